//! `ingestProgress`: every event once and in order, whenever a subscriber comes, goes and comes again.

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::documents::each;
use crate::support::gql::{PROGRESS, Socket, id};
use crate::support::worker::WorkerProcess;

/// Three documents, one of them in three batches where a batch is two chunks.
fn documents() -> Json {
    let chunks = ["one", "two", "three", "four", "five"].map(|text| json!({ "text": text }));
    json!([{ "source": { "text": "cats" } }, { "source": { "chunks": chunks } }, { "source": { "text": "dogs" } }])
}

/// The next event of the subscription with this id; `None` where it is complete.
async fn next_event(socket: &mut Socket, subscription: &str) -> Option<Json> {
    let mut message = socket.next().await.expect("the socket is open");
    assert_eq!(message["id"], subscription, "{message}");
    match message["type"].as_str() {
        Some("next") => Some(message["payload"]["data"]["ingestProgress"].take()),
        Some("complete") => None,
        _ => panic!("unexpected message: {message}"),
    }
}

async fn rest(socket: &mut Socket, subscription: &str) -> Vec<Json> {
    let mut events = Vec::new();
    while let Some(event) = next_event(socket, subscription).await {
        events.push(event);
    }
    events
}

fn cursor(event: &Json) -> &str {
    event["cursor"].as_str().expect("a cursor")
}

/// Appends an event as a worker does, but tells nobody.
async fn append_silently(app: &TestApp, kind: &str) {
    app.database
        .execute(&format!(
            "WITH run AS (UPDATE ingestion_runs SET last_event = last_event + 1 RETURNING *)
             INSERT INTO run_events (run_id, sequence, tenant_id, kind, run_state, documents_total, documents_done,
                 documents_failed, chunks_total, chunks_embedded)
             SELECT id, last_event, tenant_id, '{kind}', 'RUNNING', documents_total, 0, 0, 0, 0 FROM run"
        ))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_is_over_is_replayed_from_any_cursor() {
    let app = TestApp::builder().set("embedding.batch_size", 2).start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, documents()).await["run"]);
    app.drain().await;
    let events = app.progress(&run, None).await;
    let rows = app.database.number("SELECT count(*) FROM run_events").await;
    assert_eq!(events.len(), usize::try_from(rows).expect("a count"));
    assert_eq!(events.last().expect("events")["kind"], "RUN_FINISHED");

    let mut socket = app.websocket().await;
    for (seen, event) in events.iter().enumerate() {
        let subscription = seen.to_string();
        socket.subscribe(&subscription, PROGRESS, json!({ "run": run, "after": cursor(event) })).await;
        assert_eq!(rest(&mut socket, &subscription).await, events[seen + 1..], "after {seen}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscriber_who_reconnects_after_each_event_sees_what_another_process_does_once_and_in_order() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, documents()).await["run"]);
    let mut live = app.websocket().await;
    live.subscribe("live", PROGRESS, json!({ "run": run })).await;
    let mut seen = vec![next_event(&mut live, "live").await.expect("the first event is there already")];
    assert_eq!(seen[0]["kind"], "RUN_ACCEPTED");

    let _worker = WorkerProcess { settings: &[("embedding.batch_size", "2")], ..WorkerProcess::default() }.start(&app);
    while seen.last().expect("events")["kind"] != "RUN_FINISHED" {
        let mut socket = app.websocket().await;
        let after = cursor(seen.last().expect("events")).to_owned();
        socket.subscribe("1", PROGRESS, json!({ "run": run, "after": after })).await;
        seen.push(next_event(&mut socket, "1").await.expect("the run goes on"));
    }
    assert_eq!(seen, app.progress(&run, None).await);
    assert_eq!(rest(&mut live, "live").await, seen[1..], "who stayed saw the same");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_events_of_a_document_larger_than_a_batch_tell_how_far_it_is() {
    let app = TestApp::builder().set("embedding.batch_size", 2).start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, json!([documents()[1]])).await["run"]);
    let events = app.progress(&run, None).await;
    let shown = |event: &Json| {
        let (document, run) = (&event["document"], &event["run"]);
        let counts = ["chunksTotal", "chunksEmbedded", "documentsDone"].map(|field| run[field].clone());
        json!([event["kind"], document["status"], document["chunkCount"], counts])
    };
    let expected = json!([
        ["RUN_ACCEPTED", null, null, [0, 0, 0]],
        ["DOCUMENT_STARTED", "PROCESSING", 0, [0, 0, 0]],
        ["DOCUMENT_CHUNKED", "PROCESSING", 5, [5, 0, 0]],
        ["CHUNKS_EMBEDDED", "PROCESSING", 5, [5, 2, 0]],
        ["CHUNKS_EMBEDDED", "PROCESSING", 5, [5, 4, 0]],
        ["CHUNKS_EMBEDDED", "PROCESSING", 5, [5, 5, 0]],
        ["DOCUMENT_INDEXED", "INDEXED", 5, [5, 5, 1]],
        ["RUN_FINISHED", null, null, [5, 5, 1]],
    ]);
    assert_eq!(Json::from_iter(events.iter().map(shown)), expected);
    assert_eq!(events.last().expect("events")["run"]["state"], "SUCCEEDED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_unchanged_documents_ends_at_once() {
    let app = TestApp::builder().start().await;
    let collection = app.collection("docs").await;
    app.ingest_to_end(&collection, documents()).await;
    let again = app.ingest(&collection, documents()).await;
    assert_eq!(again["run"]["state"], "SUCCEEDED");
    let events = app.progress(&id(&again["run"]), None).await;
    assert_eq!(each(&events, "kind"), ["RUN_ACCEPTED", "RUN_FINISHED"]);
    assert_eq!(events[1]["run"]["documentsDone"], 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_subscriptions_of_one_connection_go_their_own_ways() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, documents()).await["run"]);
    let other = id(&app.ingest(&collection, json!([{ "source": { "text": "birds" } }])).await["run"]);
    let mut socket = app.websocket().await;
    for (subscription, run) in [("a", &run), ("b", &other)] {
        socket.subscribe(subscription, PROGRESS, json!({ "run": run })).await;
        assert_eq!(next_event(&mut socket, subscription).await.expect("an event")["kind"], "RUN_ACCEPTED");
    }
    socket.send(json!({ "id": "a", "type": "complete" })).await;
    let _worker = WorkerProcess::default().start(&app);
    let events = rest(&mut socket, "b").await;
    assert_eq!(each(&events, "kind"), ["DOCUMENT_STARTED", "DOCUMENT_INDEXED", "RUN_FINISHED"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_run_or_no_cursor_is_refused_by_field() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, documents()).await["run"]);
    let unknown = format!("run_{}", "0".repeat(32));
    let mut socket = app.websocket().await;
    for (run, after, code, field) in [
        (&unknown, None, "NOT_FOUND", "runId"),
        (&collection, None, "BAD_USER_INPUT", "runId"),
        (&String::new(), None, "BAD_USER_INPUT", "runId"),
        (&run, Some("💥"), "BAD_USER_INPUT", "after"),
        (&run, Some(""), "BAD_USER_INPUT", "after"),
    ] {
        socket.subscribe("1", PROGRESS, json!({ "run": run, "after": after })).await;
        let message = socket.next().await.expect("an answer");
        let extensions = &message["payload"]["errors"][0]["extensions"];
        assert_eq!([&extensions["code"], &extensions["field"]], [code, field], "{message}");
        assert_eq!(socket.next().await.expect("an end")["type"], "complete");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_the_collection_ends_a_subscription_at_once() {
    let app = TestApp::builder().without_workers().set("events.poll_ms", 3_600_000).start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, documents()).await["run"]);
    let mut socket = app.websocket().await;
    socket.subscribe("1", PROGRESS, json!({ "run": run })).await;
    assert!(next_event(&mut socket, "1").await.is_some());
    app.delete_collection(&collection).await;
    assert_eq!(next_event(&mut socket, "1").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_whose_signal_was_lost_comes_with_the_next_look() {
    let app = TestApp::builder().without_workers().set("events.poll_ms", 20).start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, documents()).await["run"]);
    let mut socket = app.websocket().await;
    socket.subscribe("1", PROGRESS, json!({ "run": run })).await;
    assert!(next_event(&mut socket, "1").await.is_some());
    for kind in ["DOCUMENT_STARTED", "RUN_FINISHED"] {
        append_silently(&app, kind).await;
        assert_eq!(next_event(&mut socket, "1").await.expect("an event")["kind"], kind);
    }
    assert_eq!(next_event(&mut socket, "1").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_listening_connection_was_lost_everyone_looks_again() {
    let app = TestApp::builder().without_workers().set("events.poll_ms", 3_600_000).start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, documents()).await["run"]);
    let mut socket = app.websocket().await;
    socket.subscribe("1", PROGRESS, json!({ "run": run })).await;
    assert!(next_event(&mut socket, "1").await.is_some());
    append_silently(&app, "RUN_FINISHED").await;
    let listener = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
        WHERE datname = current_database() AND query LIKE 'LISTEN%'";
    assert_eq!(app.database.number(listener).await, 1);
    assert_eq!(next_event(&mut socket, "1").await.expect("an event")["kind"], "RUN_FINISHED");
}
