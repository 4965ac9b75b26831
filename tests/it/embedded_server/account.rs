//! Which user the server runs as: PostgreSQL refuses root.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, chown};
use std::path::{Path, PathBuf};

use embedded_postgres::Server;
use rustix::process::geteuid;

use super::{copy_runtime, settings, temporary_directory};

/// PostgreSQL's programs in a directory that only we may enter.
fn private_runtime(parent: &Path) -> PathBuf {
    let private = parent.join("private");
    fs::DirBuilder::new().mode(0o700).create(&private).expect("directory");
    copy_runtime(&private);
    private
}

fn runtime_copies(data_dir: &Path) -> usize {
    let entries = fs::read_dir(data_dir).expect("there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with("runtime")).count()
}

#[tokio::test]
async fn root_serves_as_another_user_from_a_copy_it_can_reach_and_others_as_themselves_in_place() {
    let dir = temporary_directory();
    let data_dir = dir.path().join("data");
    let mut settings = settings(&data_dir);
    settings.runtime_dirs = vec![private_runtime(dir.path())];
    for _ in 0..2 {
        let server = Server::start(settings.clone()).await.expect("start");
        let user = fs::metadata(format!("/proc/{}", server.pid())).expect("running").uid();
        if geteuid().is_root() {
            assert_ne!(user, 0);
            assert_eq!(runtime_copies(&data_dir), 1);
        } else {
            assert_eq!(user, geteuid().as_raw());
            assert_eq!(runtime_copies(&data_dir), 0);
        }
        server.stop().await.expect("stop");
    }
}

#[tokio::test]
async fn root_is_told_which_directory_keeps_the_server_from_its_data_and_others_need_no_such_thing() {
    let dir = temporary_directory();
    let private = dir.path().join("private");
    fs::DirBuilder::new().mode(0o700).create(&private).expect("directory");
    let started = Server::start(settings(private.join("data"))).await;
    if !geteuid().is_root() {
        return started.expect("start").stop().await.expect("stop");
    }
    let message = started.expect_err("no way in").to_string();
    let expected = format!("may not enter {} on the way", private.display());
    assert!(message.contains(&expected), "{message}");
    assert!(message.contains("VECTORFORGE_DATA_DIR"), "{message}");
}

#[tokio::test]
async fn root_goes_on_with_a_cluster_that_another_user_began() {
    const SOMEBODY: u32 = 12_345;
    let dir = temporary_directory();
    let data_dir = dir.path().join("data");
    let server = Server::start(settings(&data_dir)).await.expect("start");
    server.stop().await.expect("stop");
    let owner = if geteuid().is_root() { SOMEBODY } else { geteuid().as_raw() };
    give_tree(&data_dir, owner);

    let server = Server::start(settings(&data_dir)).await.expect("start");
    let user = fs::metadata(format!("/proc/{}", server.pid())).expect("running").uid();
    assert_eq!(user, owner);
    server.stop().await.expect("stop");
}

fn give_tree(path: &Path, owner: u32) {
    chown(path, Some(owner), None).expect("chown");
    if path.is_dir() {
        let entries = fs::read_dir(path).expect("readable").flatten();
        entries.for_each(|entry| give_tree(&entry.path(), owner));
    }
}
