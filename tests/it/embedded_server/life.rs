//! A server from start to stop.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use embedded_postgres::{Durability, Server};
use rustix::process::test_kill_process;
use sqlx::Connection;
use sqlx::PgConnection;

use super::{connect, execute, pid, settings, temporary_directory, text};

#[tokio::test]
async fn the_second_start_keeps_what_was_committed_and_every_write_is_on_disk() {
    let dir = temporary_directory();
    let mut settings = settings(dir.path().join("data"));
    settings.durability = Durability::Full;
    let server = Server::start(settings.clone()).await.expect("first start");
    let mut connection = connect(server.url()).await;
    assert_eq!(text(&mut connection, "SHOW fsync").await, "on");
    execute(&mut connection, "CREATE TABLE kept AS SELECT 'yes'::text AS answer").await;
    server.stop().await.expect("stop");

    let server = Server::start(settings).await.expect("second start");
    let mut connection = connect(server.url()).await;
    assert_eq!(text(&mut connection, "SELECT answer FROM kept").await, "yes");
    server.stop().await.expect("stop");
}

#[tokio::test]
async fn a_new_database_is_ours_and_sorts_alike_everywhere_and_has_vectors() {
    let dir = temporary_directory();
    let server = Server::start(settings(dir.path().join("data"))).await.expect("start");
    let mut connection = connect(server.url()).await;
    for (sql, expected) in [
        ("SELECT current_user || '@' || current_database()", "vectorforge@vectorforge"),
        ("SELECT rolsuper::text FROM pg_roles WHERE rolname = current_user", "false"),
        ("SELECT pg_encoding_to_char(encoding) FROM pg_database WHERE datname = current_database()", "UTF8"),
        ("SELECT datlocprovider::text || datlocale FROM pg_database WHERE datname = current_database()", "bC.UTF-8"),
        ("SELECT ('[1,2]'::vector <-> '[1,5]')::text", "3"),
        ("SELECT lower('ÄÉ')", "äé"),
        ("SHOW jit", "off"),
        ("SHOW listen_addresses", ""),
        ("SHOW unix_socket_permissions", "0700"),
    ] {
        assert_eq!(text(&mut connection, sql).await, expected, "{sql}");
    }

    execute(&mut connection, "CREATE DATABASE another").await;
    let url = server.url().replace(":///vectorforge", ":///another");
    let mut connection = connect(&url).await;
    assert_eq!(text(&mut connection, "SELECT '[1]'::vector::text").await, "[1]");
    server.stop().await.expect("stop");
}

#[tokio::test]
async fn a_loopback_port_asks_for_the_generated_password() {
    let dir = temporary_directory();
    let mut settings = settings(dir.path().join("data"));
    settings.port = Some(0);
    let server = Server::start(settings).await.expect("start");
    let url = server.tcp_url().expect("a port was asked for");
    assert!(url.contains(&format!("@127.0.0.1:{}/", server.port().expect("open"))));

    let password = url.split([':', '@']).nth(2).expect("a password");
    assert!(!format!("{server:?}").contains(password), "shown in a log");

    let mut connection = connect(&url).await;
    let user = text(&mut connection, "SELECT current_user::text").await;
    assert_eq!(user, "vectorforge");
    let mut connection = connect(server.url()).await;
    assert_eq!(text(&mut connection, "SELECT 'socket'").await, "socket");

    let guessed = format!("postgres://vectorforge:guess@{}", url.split_once('@').expect("@").1);
    let refused = PgConnection::connect(&guessed).await;
    let error = refused.expect_err("a wrong password").to_string();
    assert!(error.contains("password authentication failed"), "{error}");

    let file = dir.path().join("data/postgres/vectorforge.password");
    assert_eq!(fs::metadata(file).expect("there").mode() & 0o777, 0o600);
    server.stop().await.expect("stop");
}

#[tokio::test]
async fn without_a_port_setting_there_is_no_tcp() {
    let dir = temporary_directory();
    let server = Server::start(settings(dir.path().join("data"))).await.expect("start");
    assert_eq!((server.port(), server.tcp_url()), (None, None));
    let socket_mode = fs::metadata(server.socket_dir()).expect("there").mode();
    assert_eq!(socket_mode & 0o777, 0o700);
    server.stop().await.expect("stop");
}

#[tokio::test]
async fn dropping_a_server_stops_it() {
    let dir = temporary_directory();
    let server = Server::start(settings(dir.path().join("data"))).await.expect("start");
    let id = server.pid();
    drop(server);
    assert!(test_kill_process(pid(id)).is_err(), "still running");
}

#[tokio::test]
async fn a_shutdown_that_takes_too_long_becomes_an_immediate_one() {
    let dir = temporary_directory();
    let mut settings = settings(dir.path().join("data"));
    settings.stop_timeout = Duration::ZERO;
    let server = Server::start(settings).await.expect("start");
    let id = server.pid();
    server.stop().await.expect("stop");
    assert!(test_kill_process(pid(id)).is_err(), "still running");
}

#[tokio::test]
async fn a_data_directory_with_a_long_or_odd_name_works() {
    let dir = temporary_directory();
    for (name, inside) in [("x, y & \"z\" é+%", true), (&"long".repeat(40), false)] {
        let data_dir = dir.path().join(name);
        let server = Server::start(settings(&data_dir)).await.expect("start");
        let socket_dir = server.socket_dir().to_owned();
        assert_eq!(socket_dir.starts_with(&data_dir), inside, "{socket_dir:?}");
        connect(server.url()).await;
        server.stop().await.expect("stop");
        assert!(!socket_dir.exists(), "{socket_dir:?} is left behind");
    }
}

#[tokio::test]
async fn ctrl_c_in_the_terminal_does_not_reach_postgresql() {
    let dir = temporary_directory();
    let server = Server::start(settings(dir.path().join("data"))).await.expect("start");
    let group = rustix::process::getpgid(Some(pid(server.pid()))).expect("running");
    assert_ne!(group, rustix::process::getpgrp());
    server.stop().await.expect("stop");
}
