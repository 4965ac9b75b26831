//! Connections over raw sockets: how many there may be, how long they may wait, and how they end.

use serde_json::Value as Json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::app::{TestAppBuilder, client};
use crate::support::{TestApp, until};

/// The connections beyond the limit on which the server says that there are too many.
const BEYOND: usize = 32;

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

async fn start(settings: TestAppBuilder) -> TestApp {
    settings.without_workers().start().await
}

async fn connect(app: &TestApp) -> TcpStream {
    TcpStream::connect(&app.address).await.expect("the server listens")
}

/// A connection over which something was sent.
async fn say(app: &TestApp, text: &str) -> TcpStream {
    let mut socket = connect(app).await;
    socket.write_all(text.as_bytes()).await.expect("an open socket");
    socket
}

/// Everything up to the server's end of the connection.
async fn rest(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    socket.read_to_end(&mut bytes).await.expect("a connection that is ended, not cut");
    String::from_utf8(bytes).expect("text")
}

/// Asks over a connection that is kept, and reads the answer.
async fn ask_health(socket: &mut TcpStream) {
    socket.write_all(HEALTH.as_bytes()).await.expect("an open socket");
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let read = socket.read_buf(&mut answer).await.expect("an answer");
        assert!(read > 0, "the connection ended: {}", String::from_utf8_lossy(&answer));
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

async fn all_are_closed(app: &TestApp) {
    until("all connections to be closed", async || (app.server.connections() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_finish_its_request_is_closed() {
    let app = start(TestApp::builder().set("http.head_timeout_ms", 50)).await;
    for part in ["", "G", "GET /healthz HTTP/1.1\r\n", "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "] {
        let mut socket = say(&app, part).await;
        assert_eq!(rest(&mut socket).await, "", "{part:?}");
    }
    all_are_closed(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_comes_byte_by_byte_is_closed_too() {
    let app = start(TestApp::builder().set("http.head_timeout_ms", 50)).await;
    let mut socket = say(&app, "GET /healthz HTTP/1.1\r\nX: ").await;
    until("no more bytes to be taken", async || socket.write_all(b"x").await.err().map(drop)).await;
    all_are_closed(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_asks_nothing_more_is_closed() {
    let app = start(TestApp::builder().set("http.idle_timeout_ms", 50).set("http.head_timeout_ms", 3_600_000)).await;
    let mut socket = connect(&app).await;
    ask_health(&mut socket).await;
    assert_eq!(rest(&mut socket).await, "");
    all_are_closed(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_time_for_a_head_begins_with_its_first_byte() {
    let app = start(TestApp::builder().set("http.head_timeout_ms", 1_000)).await;
    let mut kept = connect(&app).await;
    ask_health(&mut kept).await;
    // By then the kept one has been quiet for as long.
    assert_eq!(rest(&mut connect(&app).await).await, "");
    ask_health(&mut kept).await;
    kept.write_all(b"GET /").await.expect("an open socket");
    assert_eq!(rest(&mut kept).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_beyond_the_limit_is_told_so_and_health_still_answers() {
    let app = start(TestApp::builder().set("http.connection_limit", 1)).await;
    let mut only = connect(&app).await;
    ask_health(&mut only).await;

    let schema = "GET /schema.graphql HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let refusal = rest(&mut say(&app, schema).await).await.to_ascii_lowercase();
    let (head, body) = refusal.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("http/1.1 503 "), "{head}");
    assert!(head.contains("\r\nretry-after: 1") && head.contains("\r\nconnection: close"), "{head}");
    let body: Json = serde_json::from_str(body).expect("JSON");
    assert_eq!(body["errors"][0]["extensions"]["code"], "too_many_connections");
    assert!(rest(&mut say(&app, HEALTH).await).await.starts_with("HTTP/1.1 200 "));

    drop(only);
    let url = format!("http://{}/schema.graphql", app.address);
    let served = async || client().get(&url).send().await.is_ok_and(|it| it.status() == 200).then_some(());
    until("the place to be free", served).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_connections_on_all_places_do_not_keep_health_from_answering() {
    let app = start(TestApp::builder().set("http.connection_limit", 2)).await;
    let mut silent = Vec::new();
    for _ in 0..2 * (2 + BEYOND) {
        silent.push(connect(&app).await);
    }
    assert!(rest(&mut say(&app, HEALTH).await).await.starts_with("HTTP/1.1 200 "));
    drop(silent);
    all_are_closed(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_no_answers_is_closed() {
    let app = start(TestApp::builder().set("http.stall_timeout_ms", 50)).await;
    // Far more than the buffers between the two hold.
    let questions = "GET /schema.graphql HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1_000);
    let _deaf = say(&app, &questions).await;
    all_are_closed(&app).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_takes_its_time_over_each_part_gets_all_of_its_answers() {
    const ANSWERS: usize = 400;
    let app = start(TestApp::builder()).await;
    let one = "GET /schema.graphql HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let last = "GET /schema.graphql HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    let mut slow = say(&app, &(one.repeat(ANSWERS - 1) + last)).await;
    let mut text = Vec::new();
    while slow.read_buf(&mut text).await.expect("the next part") > 0 {
        tokio::task::yield_now().await;
    }
    let text = String::from_utf8(text).expect("text");
    assert_eq!(text.matches("HTTP/1.1 200 ").count(), ANSWERS);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    const BODY: usize = 8 << 20;
    let app = start(TestApp::builder()).await;
    let head = "POST /graphql HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n";
    let mut socket = say(&app, &format!("{head}Content-Length: {BODY}\r\n\r\n")).await;
    socket.write_all(&vec![b'x'; BODY]).await.expect("the server goes on reading");
    assert!(rest(&mut socket).await.starts_with("HTTP/1.1 415 "));
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_ask_nothing_end_with_the_server() {
    let app = start(TestApp::builder().set("http.shutdown_grace_ms", 3_600_000)).await;
    let mut kept = connect(&app).await;
    ask_health(&mut kept).await;
    let client = tokio::spawn(async move { rest(&mut kept).await });
    app.shut_down().await;
    assert_eq!(client.await.expect("no panic"), "");
}
