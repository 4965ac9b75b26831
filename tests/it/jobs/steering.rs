//! Steering many jobs: what was changed, what was left, and why.

use serde_json::{Value as Json, json};

use super::{
    assert_changed, cancel, collection, document, job, job_ids, reasons, retry, set_paused, steer, steered,
    until_embedding, until_state,
};
use crate::support::TestApp;
use crate::support::documents::each;
use crate::support::gql::id;

async fn prefer(app: &TestApp, selection: Json, priority: i32) -> Json {
    let query = "mutation($input: SetJobPriorityInput!) { setJobPriority(input: $input) {
        changedCount changed { id priority } left { id reason detail } hasMore } }";
    let input = json!({ "selection": selection, "priority": priority });
    app.data(query, json!({ "input": input })).await["setJobPriority"].take()
}

#[tokio::test(flavor = "multi_thread")]
async fn cancelling_twice_is_told_and_no_error() {
    let app = TestApp::builder().without_workers().start().await;
    let payload = app.ingest(&collection(&app).await, json!([document("a", 1), document("b", 1)])).await;
    let jobs = job_ids(&payload);
    let cancelled = cancel(&app, &jobs).await;
    assert_changed(&cancelled, 2);
    assert_eq!(each(cancelled["changed"].as_array().expect("jobs"), "state"), ["CANCELLED", "CANCELLED"]);
    let events = app.database.number("SELECT count(*) FROM job_events").await;
    let again = cancel(&app, &jobs).await;
    assert_eq!((&again["changedCount"], reasons(&again)), (&json!(0), vec!["FINISHED", "FINISHED"]));
    assert_eq!(again["left"][0]["job"]["state"], "CANCELLED");
    assert_eq!(again["left"][0]["detail"], "the job has ended already");
    assert_eq!(app.database.number("SELECT count(*) FROM job_events").await, events);
    let run = app
        .data(
            "query($id: ID!) { node(id: $id) { ... on Run { state documentsCancelled } } }",
            json!({ "id": id(&payload["run"]) }),
        )
        .await;
    assert_eq!(run["node"], json!({ "state": "CANCELLED", "documentsCancelled": 2 }), "counted once");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_job_that_is_left_is_told_with_its_reason() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.workers", 1).start().await;
    let collection = collection(&app).await;
    let done = job_ids(&app.ingest_to_end(&collection, json!([document("done", 1)])).await).remove(0);
    until_state(&app, &done, "SUCCEEDED").await;
    embedder.gate.shut();
    let calls = embedder.calls.load(std::sync::atomic::Ordering::SeqCst);
    let held = job_ids(&app.ingest(&collection, json!([document("runs", 1), document("waits", 1)])).await);
    until_embedding(&embedder, calls + 1).await;
    app.database
        .execute(
            "INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, state, max_attempts, run_at)
             SELECT '00000000-0000-7000-8000-00000000000a', tenant_id, 'maintenance', 'build_index', '{}', 1,
                 'SCHEDULED', 5, now() + interval '1 hour' FROM jobs LIMIT 1",
        )
        .await;
    let (scheduled, nowhere) = ("job_0000000000007000800000000000000a", "job_0000000000007000800000000000000b");
    let all: Vec<_> = [&*done, &held[0], &held[1], scheduled, nowhere].map(str::to_owned).into();
    let retried = retry(&app, &all[1..]).await;
    assert_eq!(reasons(&retried), ["RUNNING", "WAITING", "SCHEDULED", "NOT_FOUND"], "{retried}");
    let details = each(retried["left"].as_array().expect("left"), "detail");
    assert!(details.iter().all(|detail| detail.as_str().is_some_and(|detail| !detail.is_empty())), "{details:?}");
    assert_eq!(retried["left"][3]["job"], Json::Null);

    let preferred = prefer(&app, json!({ "ids": all }), 7).await;
    assert_eq!(each(preferred["changed"].as_array().expect("jobs"), "priority"), [7, 7, 7], "{preferred}");
    assert_eq!(reasons(&preferred), ["FINISHED", "NOT_FOUND"]);
    assert_eq!(reasons(&prefer(&app, json!({ "ids": [held[1]] }), 7).await), ["UNCHANGED"]);
    embedder.gate.open();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_has_a_newer_version_is_not_gone_back_to() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    let old = job_ids(&app.ingest(&collection, json!([document("a", 1)])).await);
    cancel(&app, &old).await;
    let mut newer = document("a", 1);
    newer["source"]["text"] = json!("something else");
    app.ingest(&collection, json!([newer])).await;
    let retried = retry(&app, &old).await;
    assert_eq!(reasons(&retried), ["SUPERSEDED"]);
    assert_eq!(retried["left"][0]["detail"], "the document was deleted or has a newer version");
    assert_eq!(job(&app, &old[0], "state").await["state"], "CANCELLED");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_is_worked_off_in_calls_and_one_that_finds_nothing_is_told() {
    let app = TestApp::builder().without_workers().set("queue.selection_limit", 2).start().await;
    let collection = collection(&app).await;
    let documents: Vec<_> = (0..5).map(|n| document(&format!("d{n}"), 1)).collect();
    let payload = app.ingest(&collection, json!(documents)).await;
    let jobs = job_ids(&payload);
    let selection = json!({ "filter": { "runId": id(&payload["run"]) } });
    for (expected, has_more) in [(&jobs[..2], true), (&jobs[2..4], true), (&jobs[4..], false), (&[], false)] {
        let cancelled = steer(&app, "cancelJobs", selection.clone()).await;
        assert_eq!(each(cancelled["changed"].as_array().expect("jobs"), "id"), expected, "oldest first");
        assert_eq!((&cancelled["changedCount"], &cancelled["hasMore"]), (&json!(expected.len()), &json!(has_more)));
        assert_eq!(cancelled["left"], json!([]));
    }
    let taken_at_its_word = json!({ "filter": { "states": ["CANCELLED"] } });
    let left = steer(&app, "cancelJobs", taken_at_its_word).await;
    assert_eq!((reasons(&left), &left["hasMore"]), (vec!["FINISHED", "FINISHED"], &json!(true)));
    for mutation in ["cancelJobs", "retryJobs"] {
        let nothing = steer(&app, mutation, json!({ "filter": { "kinds": ["dance"] } })).await;
        assert_changed(&nothing, 0);
    }
    assert_changed(&prefer(&app, json!({ "filter": { "errorCodes": ["INTERNAL"] } }), 1).await, 0);
    assert_changed(&cancel(&app, &[]).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preferred_job_is_taken_first() {
    let app = TestApp::builder().set("queue.workers", 1).start().await;
    let collection = collection(&app).await;
    set_paused(&app, "ingest", true).await;
    let documents: Vec<_> = (0..4).map(|n| document(&format!("d{n}"), 1)).collect();
    let jobs = job_ids(&app.ingest(&collection, json!(documents)).await);
    assert_changed(&prefer(&app, json!({ "ids": [jobs[2]] }), 1_000).await, 1);
    assert_changed(&prefer(&app, json!({ "ids": [jobs[0]] }), -1_000).await, 1);
    assert_eq!(job(&app, &jobs[2], "wait { position }").await["wait"]["position"], 1);
    assert_eq!(job(&app, &jobs[0], "wait { position }").await["wait"]["position"], 4);
    set_paused(&app, "ingest", false).await;
    app.drain().await;
    let started = "SELECT replace(id::text, '-', '') FROM jobs ORDER BY started_at";
    let order: Vec<_> = app.database.texts(started).await.iter().map(|id| format!("job_{id}")).collect();
    assert_eq!(order, [2, 1, 3, 0].map(|place: usize| jobs[place].clone()));
}
