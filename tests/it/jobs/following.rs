//! `jobUpdated` and `queueUpdated`, and `ingestProgress` over redriven runs.

use serde_json::{Value as Json, json};

use super::{
    assert_changed, cancel, collection, document, job_ids, retry, set_paused, steered, until_embedding, until_state,
};
use crate::support::TestApp;
use crate::support::documents::each;
use crate::support::gql::{Socket, id};

const JOB: &str = "subscription($id: ID!, $after: String) { jobUpdated(jobId: $id, after: $after) {
    cursor at kind state attempts stage progress { done total unit } error { code } } }";
const QUEUE: &str = "subscription($queue: String!, $after: String) { queueUpdated(queue: $queue, after: $after) {
    cursor queue { name isPaused running depth { state jobs } } } }";

/// The next value of a subscription; `None` where it is complete.
async fn next(socket: &mut Socket, field: &str) -> Option<Json> {
    let mut message = socket.next().await.expect("the socket is open");
    match message["type"].as_str() {
        Some("next") => Some(message["payload"]["data"][field].take()),
        Some("complete") => None,
        _ => panic!("unexpected message: {message}"),
    }
}

/// All events of a job after a cursor, up to its end.
async fn events(app: &TestApp, job: &str, after: &Json) -> Vec<Json> {
    let mut socket = app.websocket().await;
    socket.subscribe("1", JOB, json!({ "id": job, "after": after })).await;
    let mut events = Vec::new();
    while let Some(event) = next(&mut socket, "jobUpdated").await {
        events.push(event);
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_sees_every_event_of_a_job_once_and_goes_on_from_any_cursor() {
    let (embedder, builder) = steered();
    // No event may depend on a poll.
    let app = builder.set("events.poll_ms", 3_600_000).start().await;
    embedder.failures.store(1, std::sync::atomic::Ordering::SeqCst);
    let collection = collection(&app).await;
    set_paused(&app, "ingest", true).await;
    let jobs = job_ids(&app.ingest(&collection, json!([document("large", 5)])).await);
    let mut live = app.websocket().await;
    live.subscribe("1", JOB, json!({ "id": jobs[0] })).await;
    let mut seen = vec![next(&mut live, "jobUpdated").await.expect("the first event is there already")];
    assert_eq!((&seen[0]["kind"], &seen[0]["state"]), (&json!("ENQUEUED"), &json!("PENDING")));
    set_paused(&app, "ingest", false).await;
    while let Some(event) = next(&mut live, "jobUpdated").await {
        seen.push(event);
    }
    let kinds: Vec<_> = each(&seen, "kind").into_iter().filter(|kind| kind != "PROGRESSED").collect();
    assert_eq!(kinds, ["ENQUEUED", "STARTED", "RETRYING", "DUE", "STARTED", "SUCCEEDED"]);
    let done: Vec<_> = seen.iter().filter_map(|event| event["progress"]["done"].as_i64()).collect();
    assert!(done.is_sorted() && done.last() == Some(&5), "{done:?}");
    assert_eq!(events(&app, &jobs[0], &Json::Null).await, seen);
    for (place, event) in seen.iter().enumerate() {
        assert_eq!(events(&app, &jobs[0], &event["cursor"]).await, seen[place + 1..], "after {place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_a_redriven_job_goes_through_its_earlier_end() {
    let app = TestApp::start().await;
    let collection = collection(&app).await;
    set_paused(&app, "ingest", true).await;
    let payload = app.ingest(&collection, json!([document("again", 1)])).await;
    let jobs = job_ids(&payload);
    cancel(&app, &jobs).await;
    let first = events(&app, &jobs[0], &Json::Null).await;
    assert_eq!(each(&first, "kind"), ["ENQUEUED", "CANCELLED"]);
    assert_changed(&retry(&app, &jobs).await, 1);
    let mut late = app.websocket().await;
    late.subscribe("1", JOB, json!({ "id": jobs[0] })).await;
    for expected in ["ENQUEUED", "CANCELLED", "REDRIVEN"] {
        assert_eq!(next(&mut late, "jobUpdated").await.expect("it goes on")["kind"], expected);
    }
    let run = id(&payload["run"]);
    let mut progress = app.websocket().await;
    progress.subscribe("1", crate::support::gql::PROGRESS, json!({ "run": run })).await;
    for expected in ["RUN_ACCEPTED", "DOCUMENT_CANCELLED", "RUN_FINISHED", "DOCUMENT_REDRIVEN"] {
        assert_eq!(next(&mut progress, "ingestProgress").await.expect("it goes on")["kind"], expected);
    }
    set_paused(&app, "ingest", false).await;
    let mut last = Json::Null;
    while let Some(event) = next(&mut late, "jobUpdated").await {
        last = event["kind"].clone();
    }
    assert_eq!(last, "SUCCEEDED");
    let mut last = Json::Null;
    while let Some(event) = next(&mut progress, "ingestProgress").await {
        last = json!([event["kind"], event["run"]["state"]]);
    }
    assert_eq!(last, json!(["RUN_FINISHED", "SUCCEEDED"]));
    let replayed = app.progress(&run, None).await;
    assert_eq!(each(&replayed, "kind").iter().filter(|kind| **kind == "RUN_FINISHED").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_a_job_hears_at_once_that_its_collection_is_deleted() {
    let app = TestApp::builder().without_workers().set("events.poll_ms", 3_600_000).start().await;
    let collection = collection(&app).await;
    // More than are told one by one.
    let documents: Vec<_> = (0..100).map(|n| document(&n.to_string(), 1)).collect();
    let jobs = job_ids(&app.ingest(&collection, json!(documents)).await);
    let mut socket = app.websocket().await;
    socket.subscribe("1", JOB, json!({ "id": jobs[99] })).await;
    assert_eq!(next(&mut socket, "jobUpdated").await.expect("an event")["kind"], "ENQUEUED");
    app.delete_collection(&collection).await;
    assert_eq!(next(&mut socket, "jobUpdated").await.expect("an event")["kind"], "CANCELLED");
    assert_eq!(next(&mut socket, "jobUpdated").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_a_job_that_is_removed_comes_to_an_end() {
    let app = TestApp::builder().without_workers().set("events.poll_ms", 50).start().await;
    let jobs = job_ids(&app.ingest(&collection(&app).await, json!([document("a", 1)])).await);
    let mut socket = app.websocket().await;
    socket.subscribe("1", JOB, json!({ "id": jobs[0] })).await;
    assert!(next(&mut socket, "jobUpdated").await.is_some());
    app.database.execute("DELETE FROM jobs").await;
    assert_eq!(next(&mut socket, "jobUpdated").await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_a_queue_sees_its_state_and_then_each_that_differs() {
    let (embedder, builder) = steered();
    let app = builder.set("events.poll_ms", 3_600_000).set("events.queue_interval_ms", 1).start().await;
    let collection = collection(&app).await;
    let mut socket = app.websocket().await;
    socket.subscribe("1", QUEUE, json!({ "queue": "ingest" })).await;
    let first = next(&mut socket, "queueUpdated").await.expect("its state");
    assert_eq!((&first["queue"]["name"], &first["queue"]["isPaused"]), (&json!("ingest"), &json!(false)));
    let mut until = async |what: &str, holds: &dyn Fn(&Json) -> bool| {
        loop {
            let update = next(&mut socket, "queueUpdated").await.unwrap_or_else(|| panic!("it goes on until {what}"));
            if holds(&update["queue"]) {
                return update["cursor"].clone();
            }
        }
    };
    let has = |queue: &Json, state: &str, jobs: i64| {
        queue["depth"].as_array().expect("states").contains(&json!({ "state": state, "jobs": jobs }))
    };
    set_paused(&app, "ingest", true).await;
    until("it is paused", &|queue| queue["isPaused"] == true).await;
    embedder.gate.shut();
    let jobs = job_ids(&app.ingest(&collection, json!([document("a", 1)])).await);
    until("a job is there", &|queue| has(queue, "PENDING", 1)).await;
    set_paused(&app, "ingest", false).await;
    until("it runs", &|queue| queue["running"] == 1).await;
    until_embedding(&embedder, 1).await;
    embedder.gate.open();
    let cursor = until("it is done", &|queue| has(queue, "SUCCEEDED", 1) && queue["running"] == 0).await;
    until_state(&app, &jobs[0], "SUCCEEDED").await;
    drop(socket);

    let mut again = app.websocket().await;
    again.subscribe("1", QUEUE, json!({ "queue": "ingest", "after": cursor })).await;
    set_paused(&app, "ingest", true).await;
    loop {
        let update = next(&mut again, "queueUpdated").await.expect("a state that differs");
        assert_ne!(update["cursor"], cursor);
        if update["queue"]["isPaused"] == true {
            break;
        }
    }
}
