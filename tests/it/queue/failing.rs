//! Attempts that fail: tried again, or dead.

use std::sync::Arc;

use serde_json::json;

use super::{collection, document, documents, insert_job, jobs, run, until_jobs_are};
use crate::support::TestApp;
use crate::support::embedder::WordEmbedder;
use crate::support::gql::id;

#[tokio::test(flavor = "multi_thread")]
async fn a_transient_failure_is_told_and_tried_again_after_a_pause() {
    let embedder = WordEmbedder { failures: 1.into(), ..WordEmbedder::default() };
    let app = TestApp::builder()
        .embedder(Arc::new(embedder))
        .set("queue.backoff_max_ms", 3_600_000)
        .set("queue.backoff_base_ms", 3_600_000)
        .start()
        .await;
    let collection = collection(&app).await;
    let payload = app.ingest(&collection, json!([document("late", 1)])).await;
    until_jobs_are(&app.database, &["RETRYING 1 UNAVAILABLE"]).await;
    let moved = "SELECT count(*) FROM jobs WHERE lease_holder IS NULL AND error_message = 'could not embed the text; try again later'
        AND run_at BETWEEN now() + interval '29 min' AND now() + interval '60 min'";
    assert_eq!(app.database.number(moved).await, 1);
    assert_eq!(documents(&app.database).await, ["PENDING UNAVAILABLE 0"]);

    app.database.execute("UPDATE jobs SET run_at = now()").await;
    let events = app.progress(&id(&payload["run"]), None).await;
    let told = events.iter().find(|event| event["kind"] == "DOCUMENT_RETRYING").expect("told");
    assert_eq!(told["document"]["error"]["code"], "UNAVAILABLE");
    assert_eq!(jobs(&app.database).await, ["SUCCEEDED 2"]);
    assert_eq!(documents(&app.database).await, ["INDEXED 1"]);
    assert_eq!(run(&app.database).await, "SUCCEEDED 1 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_permanent_failure_is_not_tried_again_and_holds_up_no_other_document() {
    let app = TestApp::start().await;
    let collection = collection(&app).await;
    let markup_only = json!({ "source": { "text": "<p><br></p>" }, "contentType": "text/html" });
    let given = json!([document("first", 1), markup_only, document("last", 3)]);
    let payload = app.ingest_to_end(&collection, given).await;
    assert_eq!(jobs(&app.database).await, ["SUCCEEDED 1", "DEAD 1 BAD_USER_INPUT", "SUCCEEDED 1"]);
    assert_eq!(documents(&app.database).await, ["INDEXED 1", "ERROR BAD_USER_INPUT 0", "INDEXED 3"]);
    assert_eq!(run(&app.database).await, "PARTIAL 2 1");
    let failed = app.document(&id(&payload["documents"][1]["document"])).await;
    let message = failed["error"]["message"].as_str().expect("a message");
    assert!(message.contains("no text"), "{message}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_fails_at_every_attempt_is_dead_after_the_last() {
    let embedder = WordEmbedder { failures: usize::MAX.into(), ..WordEmbedder::default() };
    let app = TestApp::builder().embedder(Arc::new(embedder)).set("queue.max_attempts", 3).start().await;
    let collection = collection(&app).await;
    app.ingest_to_end(&collection, json!([document("never", 1)])).await;
    assert_eq!(jobs(&app.database).await, ["DEAD 3 UNAVAILABLE"]);
    assert_eq!(documents(&app.database).await, ["ERROR UNAVAILABLE 0"]);
    assert_eq!(run(&app.database).await, "FAILED 0 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_fails_its_attempt_and_not_the_worker() {
    let embedder = WordEmbedder { panics_at: Some("poison".to_owned()), ..WordEmbedder::default() };
    let app = TestApp::builder()
        .embedder(Arc::new(embedder))
        .set("queue.max_attempts", 2)
        .set("queue.workers", 1)
        .start()
        .await;
    let collection = collection(&app).await;
    app.ingest_to_end(&collection, json!([document("poison", 1), document("after", 1)])).await;
    assert_eq!(jobs(&app.database).await, ["DEAD 2 INTERNAL", "SUCCEEDED 1"]);
    assert_eq!(documents(&app.database).await, ["ERROR INTERNAL 0", "INDEXED 1"]);
    assert_eq!(run(&app.database).await, "PARTIAL 1 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_takes_too_long_is_ended_and_tried_again() {
    let embedder = Arc::new(WordEmbedder::default());
    embedder.gate.shut();
    let app = TestApp::builder()
        .embedder(embedder.clone())
        .set("queue.job_timeout_ms", 300)
        .set("queue.max_attempts", 1000)
        .start()
        .await;
    let collection = collection(&app).await;
    app.ingest(&collection, json!([document("slow", 1)])).await;
    let timed_out = "SELECT count(*) FROM jobs WHERE attempts >= 2 AND error_code = 'TIMEOUT'
        AND error_message = 'the job''s attempt took longer than its limit of 300 ms'";
    crate::support::until("a second attempt", async || (app.database.number(timed_out).await == 1).then_some(())).await;
    embedder.gate.open();
    // On a busy machine an attempt takes longer than that also when nothing hangs.
    let app = TestApp::builder().database(app.shut_down().await).start().await;
    app.drain().await;
    assert_eq!(documents(&app.database).await, ["INDEXED 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_this_version_does_not_understand_is_dead_with_the_reason_and_not_lost() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    app.ingest(&collection, json!([document("newer", 1), document("plain", 1)])).await;
    let newer = "UPDATE jobs SET payload_version = 2 WHERE id = (SELECT id FROM jobs ORDER BY id LIMIT 1)";
    app.database.execute(newer).await;
    insert_job(&app.database, "dance", "").await;
    insert_job(&app.database, "ingest_document", "").await;
    let app = TestApp::builder().database(app.database.clone()).start().await;
    app.drain().await;

    let dead = "DEAD 1 BAD_USER_INPUT";
    assert_eq!(jobs(&app.database).await, [dead, "SUCCEEDED 1", dead, dead]);
    let messages = app.database.texts("SELECT error_message FROM jobs WHERE state = 'DEAD' ORDER BY id").await;
    let expected = [
        "job.payload: got payload of `ingest_document` version 2: unknown version, expected version 1",
        "job.kind: got dance, expected a kind of job that this version knows",
        "job.payload: got payload of `ingest_document` version 1: missing field `document_id`, expected version 1",
    ];
    assert_eq!(messages, expected);
    assert_eq!(documents(&app.database).await, ["ERROR BAD_USER_INPUT 0", "INDEXED 1"]);
    assert_eq!(run(&app.database).await, "PARTIAL 1 1");
}
