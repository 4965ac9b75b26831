//! `graphql-transport-ws`: its rules, and that connections leave nothing behind however they end.

use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use tokio::runtime::Handle;
use tokio_tungstenite::MaybeTlsStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameHeader};
use tokio_tungstenite::tungstenite::{self, Message};

use crate::support::gql::{PROGRESS, Socket, id};
use crate::support::{PATIENCE, TestApp, until};

/// Opens a WebSocket, or gives status and code of the refusal.
async fn open(app: &TestApp) -> Result<Socket, (u16, String)> {
    let mut request = format!("ws://{}/graphql", app.address).into_client_request().expect("a request");
    request.headers_mut().insert("sec-websocket-protocol", "graphql-transport-ws".parse().expect("a header"));
    match tokio_tungstenite::connect_async(request).await {
        Ok((stream, _)) => Ok(Socket(stream)),
        Err(tungstenite::Error::Http(response)) => {
            assert_eq!(response.headers()["retry-after"], "1");
            let body: Json = serde_json::from_slice(response.body().as_deref().expect("a body")).expect("JSON");
            let code = body["errors"][0]["extensions"]["code"].as_str().expect("a code");
            Err((response.status().as_u16(), code.to_owned()))
        }
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
    let (app, run) = with_run(
        // The connections of the client for HTTP end too.
        TestApp::builder().set("http.websocket_limit", 2 * AT_ONCE).set("http.idle_timeout_ms", 100),
    )
    .await;
    connect_and_leave(&app, &run, 0).await;
    nothing_is_left(&app).await;
    let tasks = Handle::current().metrics().num_alive_tasks();

    let clients = (0..AT_ONCE).map(|client| {
        let (app, run) = (&app, &run);
        async move {
            for turn in (client..CONNECTIONS).step_by(AT_ONCE) {
                connect_and_leave(app, run, turn / AT_ONCE).await;
            }
        }
    });
    join_all(clients).await;
    nothing_is_left(&app).await;
    until("all tasks to end", async || (Handle::current().metrics().num_alive_tasks() <= tasks).then_some(())).await;
}

/// Each connection, which is one open file, each WebSocket and each subscription is counted.
async fn nothing_is_left(app: &TestApp) {
    until("all subscriptions to end", async || (app.app.signals.topic_count() == 0).then_some(())).await;
    until("all WebSockets to end", async || (app.server.websockets() == 0).then_some(())).await;
    until("all connections to end", async || (app.server.connections() == 0).then_some(())).await;
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
        (vec![&init, r#"{"type":"subscribe","id":"","payload":{"query":"{ x }"}}"#], 4400),
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
        assert!(ends_properly(&mut socket).await, "{messages:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_begin_in_time_is_closed() {
    let app = TestApp::builder().without_workers().set("http.websocket_init_timeout_ms", 50).start().await;
    let mut silent = app.bare_websocket().await;
    assert_eq!(silent.next().await, Some(json!({ "type": "close", "code": 4408 })));

    // Where the machine stalls for longer than the limit, the next one is answered in time.
    until("a ping to be answered", async || {
        let mut pinging = app.bare_websocket().await;
        pinging.send(json!({ "type": "ping" })).await;
        let is_answered = pinging.next().await == Some(json!({ "type": "pong" }));
        if is_answered {
            assert_eq!(pinging.next().await, Some(json!({ "type": "close", "code": 4408 })));
        }
        is_answered.then_some(())
    })
    .await;
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
    assert_eq!(open(&app).await.err(), Some((503, "TOO_MANY_CONNECTIONS".to_owned())));
    drop(first);
    until("the place to be free", async || open(&app).await.ok()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_answers_no_ping_loses_its_place() {
    let settings = TestApp::builder().set("http.websocket_limit", 1).set("http.websocket_keepalive_ms", 20);
    let app = settings.set("http.websocket_init_timeout_ms", 3_600_000).without_workers().start().await;
    // Answers to pings are sent while reading: this one does not read.
    let _deaf = app.bare_websocket().await;
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
    // Far more than the buffers between the two hold: the server waits for this reader.
    const ANSWERS: usize = 200;
    let (app, run) = with_run(TestApp::builder().set("http.subscription_limit", ANSWERS)).await;
    let mut slow = app.websocket().await;
    let schema = "{ __schema { types { name description fields { name description args { name description } } } } }";
    for turn in 0..ANSWERS {
        slow.subscribe(&turn.to_string(), schema, json!({})).await;
    }
    let mut quick = app.websocket().await;
    quick.subscribe("1", PROGRESS, json!({ "run": run })).await;
    let event = tokio::time::timeout(PATIENCE, quick.next()).await.expect("it is not held up");
    assert_eq!(event.expect("an event")["type"], "next");

    let mut answered = 0;
    while answered < ANSWERS {
        let message: Json = slow.next().await.expect("every answer comes");
        answered += usize::from(message["type"] == "complete");
    }
}

/// Whether the server ended the connection after both sides had closed.
async fn ends_properly(socket: &mut Socket) -> bool {
    futures_util::StreamExt::next(&mut socket.0).await.is_none()
}

async fn send_raw(socket: &mut Socket, message: Message) {
    futures_util::SinkExt::send(&mut socket.0, message).await.expect("an open socket");
}

fn close(code: u16, reason: &str) -> Message {
    Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_closes_gets_its_own_code_back() {
    let (app, run) = with_run(TestApp::builder()).await;
    for is_busy in [false, true] {
        for code in [1000, 1001, 1011, 3000, 4001, 4999] {
            let mut socket = app.websocket().await;
            if is_busy {
                socket.subscribe("1", PROGRESS, json!({ "run": run })).await;
                assert_eq!(socket.next().await.expect("an event")["type"], "next");
            }
            send_raw(&mut socket, close(code, "bye")).await;
            assert_eq!(socket.next().await, Some(json!({ "type": "close", "code": code })));
            assert!(ends_properly(&mut socket).await, "{code}");
        }
    }
    let mut silent = app.bare_websocket().await;
    send_raw(&mut silent, Message::Close(None)).await;
    assert_eq!(silent.next().await, Some(json!({ "type": "close", "code": null })));
    assert!(ends_properly(&mut silent).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_messages_are_told_by_the_close_code() {
    let app = TestApp::builder().without_workers().set("http.websocket_message_limit_bytes", 1024).start().await;
    let frame = |opcode, bytes: &[u8], is_final| {
        Frame::from_payload(FrameHeader { opcode, is_final, ..FrameHeader::default() }, bytes.to_vec().into())
    };
    let text = |bytes: &[u8], is_final| frame(OpCode::Data(Data::Text), bytes, is_final);
    let more = |bytes: &[u8], is_final| frame(OpCode::Data(Data::Continue), bytes, is_final);
    let mut reserved = text(b"{}", true);
    reserved.header_mut().rsv1 = true;
    let close = |bytes: &[u8]| frame(OpCode::Control(Control::Close), bytes, true);
    for (frames, expected) in [
        (vec![text(&[b'x'; 1025], true)], 1009),
        (vec![text(&[b'x'; 600], false), more(&[b'x'; 600], true)], 1009),
        (vec![text(&[b'x'; 16 << 20], true)], 1009),
        (vec![text(b"\xff\xfe", true)], 1007),
        (vec![text(b"\xe2\x82", false), more(b"(", true)], 1007),
        (vec![more(b"{}", true)], 1002),
        (vec![reserved], 1002),
        (vec![frame(OpCode::Data(Data::Reserved(3)), &[], true)], 1002),
        (vec![close(&[3])], 1002),
        (vec![close(&[0x03, 0xed])], 1002),
    ] {
        let mut socket = app.websocket().await;
        let told = format!("{frames:.80?}");
        for frame in frames {
            // What goes beyond is not all taken.
            let _ = futures_util::SinkExt::send(&mut socket.0, Message::Frame(frame)).await;
        }
        assert_eq!(socket.next().await, Some(json!({ "type": "close", "code": expected })), "{told}");
    }
    until("all connections to end", async || (app.server.connections() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_does_not_answer_our_close_is_left_alone() {
    let app = TestApp::builder().without_workers().set("http.websocket_init_timeout_ms", 50).start().await;
    let _deaf = app.bare_websocket().await;
    until("the connection to end", async || (app.server.connections() == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_run_is_one_error_with_the_codes_of_http() {
    let (app, run) = with_run(TestApp::builder()).await;
    let mut socket = app.websocket().await;
    let deep = "{a".repeat(300) + &"}".repeat(300);
    for (query, variables) in [
        ("", json!({})),
        ("{", json!({})),
        ("{ nonsense }", json!({})),
        ("subscription { nonsense }", json!({})),
        ("subscription($run: ID!) { ingestProgress(runId: $run) { nonsense } }", json!({ "run": run })),
        (PROGRESS, json!({})),
        (PROGRESS, json!({ "run": [run] })),
        ("mutation { createCollection { collection { id } } }", json!({})),
        (&deep, json!({})),
    ] {
        let refusal = app.gql(query, variables.clone()).await;
        assert_eq!(refusal.get("data"), None, "{query}");
        socket.subscribe("1", query, variables).await;
        let expected = json!({ "type": "error", "id": "1", "payload": refusal["errors"] });
        assert_eq!(socket.next().await, Some(expected), "{query}");
        // Nothing follows, and the id is free.
        socket.send(json!({ "type": "ping" })).await;
        assert_eq!(socket.next().await, Some(json!({ "type": "pong" })), "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operation_that_runs_and_fails_has_a_result_and_an_end() {
    let (app, _) = with_run(TestApp::builder()).await;
    let mut socket = app.websocket().await;
    socket.subscribe("1", PROGRESS, json!({ "run": "run_0123456789abcdef0123456789abcdef" })).await;
    let result = socket.next().await.expect("a result");
    assert_eq!(result["type"], "next");
    assert_eq!(result["payload"]["errors"][0]["path"], json!(["ingestProgress"]), "{result}");
    assert_eq!(socket.next().await, Some(json!({ "type": "complete", "id": "1" })));
}

/// The refusal of one operation.
async fn refused(socket: &mut Socket, id: &str) -> String {
    let message = socket.next().await.expect("an answer");
    assert_eq!([&message["type"], &message["id"]], ["error", id], "{message}");
    let extensions = &message["payload"][0]["extensions"];
    assert_eq!(extensions["code"], "TOO_MANY_SUBSCRIPTIONS", "{message}");
    extensions["expected"].as_str().expect("what was expected").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_beyond_the_sockets_limit_is_refused_and_the_others_go_on() {
    let (app, run) = with_run(TestApp::builder().set("http.subscription_limit", 2)).await;
    let mut socket = app.websocket().await;
    for id in ["1", "2"] {
        socket.subscribe(id, PROGRESS, json!({ "run": run })).await;
        assert_eq!(socket.next().await.expect("an event")["id"], id);
    }
    socket.subscribe("3", PROGRESS, json!({ "run": run })).await;
    assert!(refused(&mut socket, "3").await.contains("2 operations at once on this WebSocket"));
    socket.subscribe("3", "{ __typename }", json!({})).await;
    refused(&mut socket, "3").await;

    socket.send(json!({ "id": "1", "type": "complete" })).await;
    until("the place to be free", async || {
        socket.subscribe("3", PROGRESS, json!({ "run": run })).await;
        (socket.next().await.expect("an answer")["type"] == "next").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_has_a_share_of_subscriptions_and_sockets_over_all_its_sockets() {
    let settings = TestApp::builder().set("http.subscription_client_limit", 1).set("http.websocket_client_limit", 2);
    let (app, run) = with_run(settings).await;
    let (mut first, mut second) = (app.websocket().await, app.websocket().await);
    first.subscribe("1", PROGRESS, json!({ "run": run })).await;
    assert_eq!(first.next().await.expect("an event")["type"], "next");
    second.subscribe("1", PROGRESS, json!({ "run": run })).await;
    assert!(refused(&mut second, "1").await.contains("1 operations at once from this address"));
    assert_eq!(open(&app).await.err(), Some((429, "TOO_MANY_CONNECTIONS".to_owned())));

    drop(first);
    until("the place to be free", async || open(&app).await.ok()).await;
    until("the share to be free", async || {
        second.subscribe("1", PROGRESS, json!({ "run": run })).await;
        (second.next().await.expect("an answer")["type"] == "next").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_answered_with_its_payload_on_both_levels() {
    let app = TestApp::builder().without_workers().start().await;
    let mut socket = app.websocket().await;
    let payload = json!({ "at": 12, "of": ["a"] });
    socket.send(json!({ "type": "ping", "payload": payload })).await;
    assert_eq!(socket.next().await, Some(json!({ "type": "pong", "payload": payload })));
    socket.send(json!({ "type": "pong", "payload": {} })).await;
    send_raw(&mut socket, Message::Ping("hello".into())).await;
    let pong = futures_util::StreamExt::next(&mut socket.0).await.expect("open").expect("a frame");
    assert_eq!(pong, Message::Pong("hello".into()));
}
