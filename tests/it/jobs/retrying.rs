//! Jobs that failed: which are tried again by themselves, and how users let them run again.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use models::ModelFault;
use serde_json::{Value as Json, json};

use super::{
    assert_changed, bad_document, cancel, collection, document, job, job_ids, retry, state, steer, steered, until_state,
};
use crate::support::documents::each;
use crate::support::gql::id;
use crate::support::{TestApp, until};

fn unavailable() -> ModelFault {
    ModelFault::Unavailable(anyhow::anyhow!("told to fail"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_retried_from_every_terminal_state_with_its_attempts_anew() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.max_attempts", 2).start().await;
    let collection = collection(&app).await;
    let succeeded = job_ids(&app.ingest_to_end(&collection, json!([document("done", 1)])).await).remove(0);
    until_state(&app, &succeeded, "SUCCEEDED").await;
    embedder.faults.lock().expect("ours").extend([unavailable(), unavailable()]);
    let dead = job_ids(&app.ingest_to_end(&collection, json!([document("dead", 1)])).await).remove(0);
    until_state(&app, &dead, "DEAD").await;
    super::set_paused(&app, "ingest", true).await;
    let cancelled = job_ids(&app.ingest(&collection, json!([document("cancelled", 1)])).await).remove(0);
    cancel(&app, std::slice::from_ref(&cancelled)).await;
    for (job_id, attempts) in [(&succeeded, 1), (&dead, 2), (&cancelled, 0)] {
        let retried = retry(&app, std::slice::from_ref(job_id)).await;
        assert_changed(&retried, 1);
        assert_eq!(retried["changed"][0]["state"], "PENDING");
        let shown = job(&app, job_id, "attempts maxAttempts redrives error { code } finishedAt").await;
        let expected = json!({ "attempts": attempts, "maxAttempts": attempts + 2, "redrives": 1, "error": null, "finishedAt": null });
        assert_eq!(shown, expected);
    }
    super::set_paused(&app, "ingest", false).await;
    app.drain().await;
    for job_id in [&succeeded, &dead, &cancelled] {
        assert_eq!(state(&app, job_id).await, "SUCCEEDED");
    }
    let indexed = "SELECT count(*) FROM documents WHERE status = 'INDEXED' AND chunk_count = 1";
    assert_eq!(app.database.number(indexed).await, 3);
    assert_eq!(app.database.number("SELECT count(*) FROM chunks").await, 3);
    let runs = app.database.texts("SELECT state || documents_done FROM ingestion_runs").await;
    assert_eq!(runs, ["SUCCEEDED1"; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_failed_jobs_of_a_run_are_retried_at_once_and_the_run_ends_well() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.max_attempts", 1).set("queue.workers", 1).start().await;
    let collection = collection(&app).await;
    embedder.faults.lock().expect("ours").extend([unavailable(), unavailable()]);
    let documents = ["a", "b", "c"].map(|name| document(name, 1));
    let payload = app.ingest_to_end(&collection, json!(documents)).await;
    let run = id(&payload["run"]);
    let state = "query($id: ID!) { run(id: $id) { state documentsDone documentsFailed finishedAt } }";
    let ended = app.data(state, json!({ "id": run })).await["run"].take();
    assert_eq!((&ended["state"], &ended["documentsFailed"]), (&json!("PARTIAL"), &json!(2)));

    super::set_paused(&app, "ingest", true).await;
    let retried = steer(&app, "retryJobs", json!({ "filter": { "runId": run, "states": ["DEAD"] } })).await;
    assert_changed(&retried, 2);
    let open = app.data(state, json!({ "id": run })).await["run"].take();
    let expected = json!({ "state": "RUNNING", "documentsDone": 1, "documentsFailed": 0, "finishedAt": null });
    assert_eq!(open, expected);
    super::set_paused(&app, "ingest", false).await;
    let events = app.progress(&run, None).await;
    let ends: Vec<_> = events.iter().filter(|event| event["kind"] == "RUN_FINISHED").collect();
    assert_eq!(ends.iter().map(|event| event["run"]["state"].clone()).collect::<Vec<_>>(), ["PARTIAL", "SUCCEEDED"]);
    let ended = app.data(state, json!({ "id": run })).await["run"].take();
    assert_eq!((&ended["state"], &ended["documentsDone"]), (&json!("SUCCEEDED"), &json!(3)));
    assert!(ended["finishedAt"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_error_is_not_retried_by_itself_and_is_the_same_after_a_retry() {
    let app = TestApp::start().await;
    let payload = app.ingest_to_end(&collection(&app).await, json!([bad_document("bad")])).await;
    let jobs = job_ids(&payload);
    for attempts in [1, 2] {
        until_state(&app, &jobs[0], "DEAD").await;
        let shown = job(&app, &jobs[0], "attempts error { code message } steps { name state error { code } }").await;
        assert_eq!((&shown["attempts"], &shown["error"]["code"]), (&json!(attempts), &json!("BAD_USER_INPUT")));
        let steps = each(shown["steps"].as_array().expect("steps"), "name");
        assert_eq!(steps, ["load", "embed", "publish"]);
        if attempts == 1 {
            assert_changed(&retry(&app, &jobs).await, 1);
            until("the second attempt", async || {
                (job(&app, &jobs[0], "attempts").await["attempts"] == 2).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_keeps_what_is_needed_to_see_why_and_a_redrive_keeps_its_history() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.max_attempts", 2).start().await;
    embedder.faults.lock().expect("ours").extend([unavailable(), unavailable()]);
    let payload = app.ingest_to_end(&collection(&app).await, json!([document("late", 1)])).await;
    let jobs = job_ids(&payload);
    until_state(&app, &jobs[0], "DEAD").await;
    let fields = "payload { version summary } redrives createdAt error { code message }
        attemptHistory { startedAt endedAt workerId outcome error { code message } }
        events(first: 100) { edges { cursor node { kind at error { code } } } }";
    let dead = job(&app, &jobs[0], fields).await;
    assert_eq!(each(dead["attemptHistory"].as_array().expect("attempts"), "outcome"), ["RETRYING", "DEAD"]);
    assert_eq!((&dead["error"]["code"], &dead["redrives"]), (&json!("UNAVAILABLE"), &json!(0)));
    assert!(dead["payload"]["summary"]["document_id"].is_string(), "{}", dead["payload"]);

    assert_changed(&retry(&app, &jobs).await, 1);
    until_state(&app, &jobs[0], "SUCCEEDED").await;
    let redriven = job(&app, &jobs[0], fields).await;
    let list = |job: &Json, list: &str| match list {
        "events" => job["events"]["edges"].as_array().expect("edges").clone(),
        _ => job[list].as_array().expect("a list").clone(),
    };
    for kept in ["attemptHistory", "events"] {
        let (before, after) = (list(&dead, kept), list(&redriven, kept));
        assert_eq!(after[..before.len()], before, "{kept}");
        assert!(after.len() > before.len());
    }
    assert_eq!((&redriven["redrives"], &redriven["createdAt"]), (&json!(1), &dead["createdAt"]));
    let next = &list(&redriven, "events")[list(&dead, "events").len()]["node"];
    assert_eq!((&next["kind"], &next["error"]["code"]), (&json!("REDRIVEN"), &json!("UNAVAILABLE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_waiting_retry_is_brought_forward() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.backoff_base_ms", 3_600_000).set("queue.backoff_max_ms", 3_600_000).start().await;
    embedder.failures.store(1, SeqCst);
    let jobs = job_ids(&app.ingest(&collection(&app).await, json!([document("late", 1)])).await);
    until_state(&app, &jobs[0], "RETRYING").await;
    let waits = job(&app, &jobs[0], "runAt wait { reason position expectedStartAt }").await;
    let expected = json!({ "reason": "BACKOFF", "position": null, "expectedStartAt": waits["runAt"] });
    assert_eq!(waits["wait"], expected);
    assert_changed(&retry(&app, &jobs).await, 1);
    until_state(&app, &jobs[0], "SUCCEEDED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_asks_for_a_pause_is_left_alone_and_no_attempt_is_lost() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.workers", 1).start().await;
    let hour = Duration::from_secs(3600);
    let fault = ModelFault::RateLimited { provider: "test".to_owned(), retry_after: Some(hour) };
    embedder.faults.lock().expect("ours").push_back(fault);
    let jobs = job_ids(&app.ingest(&collection(&app).await, json!([document("a", 1), document("b", 1)])).await);
    until_state(&app, &jobs[0], "RETRYING").await;
    until("the other job to wait for the provider", async || {
        (job(&app, &jobs[1], "wait { reason }").await["wait"]["reason"] == "CIRCUIT_OPEN").then_some(())
    })
    .await;
    let shown = job(&app, &jobs[0], "attempts error { code } wait { reason }").await;
    let expected = json!({ "attempts": 0, "error": { "code": "RATE_LIMITED" }, "wait": { "reason": "CIRCUIT_OPEN" } });
    assert_eq!(shown, expected);
    let in_an_hour = "SELECT count(*) FROM jobs WHERE state = 'RETRYING'
        AND run_at BETWEEN now() + interval '50 min' AND now() + interval '60 min'";
    assert_eq!(app.database.number(in_an_hour).await, 1);
    assert_eq!(embedder.calls.load(SeqCst), 1, "the provider is left alone");
    end_pause(&app).await;
    app.drain().await;
    for job_id in &jobs {
        let shown = job(&app, job_id, "state attempts").await;
        assert_eq!(shown, json!({ "state": "SUCCEEDED", "attempts": 1 }));
    }
}

/// Lets the time pass for which a provider is left alone.
async fn end_pause(app: &TestApp) {
    app.database
        .execute("UPDATE circuits SET open_until = now(); UPDATE jobs SET run_at = now() WHERE state = 'RETRYING'")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_provider_is_down_its_jobs_wait_then_one_tries_and_all_go_on() {
    let (embedder, builder) = steered();
    let app = builder
        .set("queue.workers", 4)
        .set("queue.max_attempts", 3)
        .set("circuit.failures", 2)
        .set("circuit.open_ms", 3_600_000)
        .set("circuit.open_max_ms", 3_600_000)
        .start()
        .await;
    embedder.is_down.store(true, SeqCst);
    let documents: Vec<_> = (0..8).map(|n| document(&format!("d{n}"), 1)).collect();
    let payload = app.ingest(&collection(&app).await, json!(documents)).await;
    let jobs = job_ids(&payload);
    let waits = "query($filter: JobFilterInput) { jobs(filter: $filter, first: 100) { totalCount edges { node {
        state attempts wait { reason } } } } }";
    let waiting = async || {
        let page = app.data(waits, json!({ "filter": { "ids": jobs } })).await["jobs"]["edges"].take();
        let nodes: Vec<_> = page.as_array().expect("edges").iter().map(|edge| edge["node"].clone()).collect();
        nodes.iter().all(|node| node["wait"]["reason"] == "CIRCUIT_OPEN").then_some(nodes)
    };
    let nodes = until("all jobs to wait for the provider", waiting).await;
    assert!(nodes.iter().all(|node| node["attempts"].as_i64() <= Some(1)), "attempts are not burned: {nodes:?}");
    let calls = embedder.calls.load(SeqCst);

    embedder.is_down.store(false, SeqCst);
    embedder.gate.shut();
    end_pause(&app).await;
    until("the trial", async || (embedder.calls.load(SeqCst) == calls + 1).then_some(())).await;
    until("the others to be due", async || {
        (app.database.number("SELECT count(*) FROM jobs WHERE state = 'PENDING'").await == 7).then_some(())
    })
    .await;
    let trial = app.data(waits, json!({ "filter": { "states": ["RUNNING"] } })).await;
    assert_eq!(trial["jobs"]["totalCount"], 1, "one job tries");
    let others = app.data(waits, json!({ "filter": { "states": ["PENDING"] } })).await["jobs"]["edges"].take();
    assert!(others.as_array().expect("edges").iter().all(|edge| edge["node"]["wait"]["reason"] == "CIRCUIT_OPEN"));
    assert_eq!(embedder.calls.load(SeqCst), calls + 1);
    embedder.gate.open();
    app.drain().await;
    let run = app.progress(&id(&payload["run"]), None).await.last().expect("events")["run"].clone();
    assert_eq!((&run["state"], &run["documentsDone"]), (&json!("SUCCEEDED"), &json!(8)));
    assert_eq!(app.database.number("SELECT count(*) FROM circuits").await, 0, "it is closed");
}
