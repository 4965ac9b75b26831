//! `graphql-transport-ws`: its rules, and that connections leave nothing behind however they end.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use tokio::runtime::Handle;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::gql::{PROGRESS, Socket, id};
use crate::support::{TestApp, until};

/// Opens a WebSocket, or gives the status of the refusal.
async fn open(app: &TestApp) -> Result<Socket, u16> {
    let mut request = format!("ws://{}/graphql", app.address).into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
    match tokio_tungstenite::connect_async(request).await {
        Ok((stream, _)) => Ok(Socket(stream)),
        Err(tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

/// An application with a run that does not move.
async fn with_run(builder: crate::support::app::TestAppBuilder) -> (TestApp, String) {
    let app = builder.without_workers().start().await;
    let collection = app.collection("docs").await;
    let payload = app.ingest(&collection, json!([{ "source": { "text": "cats" } }])).await;
    let run = id(&payload["run"]);
    (app, run)
}

fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("this process has files").count()
}

/// One connection from start to end: politely, by hanging up, or by a reset, which even loses what is under way.
async fn connect_and_leave(app: &TestApp, run: &str, turn: usize) {
    let mut socket = app.websocket().await;
    socket.subscribe("1", PROGRESS, json!({ "run": run })).await;
    match turn % 4 {
        0 => socket.0.close(None).await.expect("the server says goodbye too"),
        1 => assert_eq!(socket.next().await.expect("an event")["type"], "next"),
        2 => {}
        _ => {
            let MaybeTlsStream::Plain(stream) = socket.0.get_ref() else { unreachable!("no TLS here") };
            stream.set_zero_linger().expect("an open socket");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_connections_leave_nothing_behind() {
    const CONNECTIONS: usize = 10_000;
    const AT_ONCE: usize = 32;
    // Places are few: one that was not given back would be missed at once.
    let (app, run) = with_run(TestApp::builder().set("http.websocket_limit", 2 * AT_ONCE)).await;
    connect_and_leave(&app, &run, 0).await;
    let quiet = async || (app.app.signals.topic_count() == 0).then_some(());
    until("the first subscription to end", quiet).await;
    let (files, tasks) = (open_files(), Handle::current().metrics().num_alive_tasks());

    let clients = (0..AT_ONCE).map(|client| {
        let (app, run) = (&app, &run);
        async move {
            for turn in (client..CONNECTIONS).step_by(AT_ONCE) {
                connect_and_leave(app, run, turn / AT_ONCE).await;
            }
        }
    });
    join_all(clients).await;
    until("all subscriptions to end", quiet).await;
    until("all tasks to end", async || (Handle::current().metrics().num_alive_tasks() <= tasks).then_some(())).await;
    // Tests beside this one open files too, but not thousands.
    assert!(open_files() < files + 1_000, "{} open files, {files} before", open_files());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_subscriptions_of_one_connection_leave_nothing_behind() {
    let (app, run) = with_run(TestApp::builder()).await;
    let mut socket = app.websocket().await;
    for turn in 0..1_000 {
        let subscription = (turn % 2).to_string();
        socket.subscribe(&subscription, PROGRESS, json!({ "run": run })).await;
        let event = socket.next().await.expect("an event");
        assert_eq!([&event["id"], &event["type"]], [subscription.as_str(), "next"], "turn {turn}");
        socket.send(json!({ "id": subscription, "type": "complete" })).await;
    }
    until("all subscriptions to end", async || (app.app.signals.topic_count() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_breaks_the_protocol_is_told_by_the_close_code() {
    let (app, run) = with_run(TestApp::builder()).await;
    let init = json!({ "type": "connection_init" }).to_string();
    let payload = json!({ "query": PROGRESS, "variables": { "run": run } });
    let subscribe = json!({ "id": "1", "type": "subscribe", "payload": payload }).to_string();
    for (messages, expected) in [
        (vec!["{"], 4400),
        (vec![&init, "{"], 4400),
        (vec![&init, r#"{"type":"shout"}"#], 4400),
        (vec![&init, r#"{"type":"subscribe","payload":{"query":"{ x }"}}"#], 4400),
        (vec![&subscribe], 4401),
        (vec![&init, &subscribe, &subscribe], 4409),
        (vec![&init, &init], 4429),
    ] {
        let mut socket = app.bare_websocket().await;
        for message in &messages {
            futures_util::SinkExt::send(&mut socket.0, Message::Text((*message).into())).await.expect("open");
        }
        let last = loop {
            let message = socket.next().await.expect("a close frame");
            if message["type"] == "close" {
                break message;
            }
        };
        assert_eq!(last["code"], expected, "{messages:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_begin_in_time_is_closed() {
    let app = TestApp::builder().without_workers().set("http.websocket_init_timeout_ms", 50).start().await;
    let mut silent = app.bare_websocket().await;
    assert_eq!(silent.next().await, Some(json!({ "type": "close", "code": 4408 })));

    let mut pinging = app.bare_websocket().await;
    pinging.send(json!({ "type": "ping" })).await;
    assert_eq!(pinging.next().await.expect("an answer")["type"], "pong");
    assert_eq!(pinging.next().await, Some(json!({ "type": "close", "code": 4408 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_stops_says_that_it_goes_away() {
    let (app, run) = with_run(TestApp::builder()).await;
    let mut socket = app.websocket().await;
    socket.subscribe("1", PROGRESS, json!({ "run": run })).await;
    assert_eq!(socket.next().await.expect("an event")["type"], "next");
    drop(app);
    assert_eq!(socket.next().await, Some(json!({ "type": "close", "code": 1001 })));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_too_many_is_refused_until_another_ends() {
    let app = TestApp::builder().without_workers().set("http.websocket_limit", 1).start().await;
    let first = app.websocket().await;
    assert_eq!(open(&app).await.err(), Some(503));
    drop(first);
    until("the place to be free", async || open(&app).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_loses_its_place() {
    let settings = TestApp::builder().set("http.websocket_limit", 1).set("http.websocket_keepalive_ms", 20);
    let app = settings.without_workers().start().await;
    // Answers to pings are sent while reading: this one does not read.
    let _deaf = app.websocket().await;
    until("the place to be free", async || open(&app).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_and_mutations_work_too() {
    let app = TestApp::builder().without_workers().start().await;
    let mut socket = app.websocket().await;
    let create = "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { name } } }";
    for (query, variables, data) in [
        (
            create,
            json!({ "input": { "name": "docs" } }),
            json!({ "createCollection": { "collection": { "name": "docs" } } }),
        ),
        ("{ collections { totalCount } }", json!({}), json!({ "collections": { "totalCount": 1 } })),
    ] {
        socket.subscribe("1", query, variables).await;
        let expected = json!({ "type": "next", "id": "1", "payload": { "data": data } });
        assert_eq!(socket.next().await, Some(expected));
        assert_eq!(socket.next().await, Some(json!({ "type": "complete", "id": "1" })));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_holds_up_nobody_else() {
    let (app, run) = with_run(TestApp::builder()).await;
    let mut slow = app.websocket().await;
    // Far more than the buffers between the two hold: the server waits for this reader.
    const ANSWERS: usize = 200;
    let schema = "{ __schema { types { name description fields { name description args { name description } } } } }";
    for turn in 0..ANSWERS {
        slow.subscribe(&turn.to_string(), schema, json!({})).await;
    }
    let mut quick = app.websocket().await;
    quick.subscribe("1", PROGRESS, json!({ "run": run })).await;
    let event = tokio::time::timeout(Duration::from_secs(30), quick.next()).await.expect("in time");
    assert_eq!(event.expect("an event")["type"], "next");

    let mut answered = 0;
    while answered < ANSWERS {
        let message: Json = slow.next().await.expect("every answer comes");
        answered += usize::from(message["type"] == "complete");
    }
}
