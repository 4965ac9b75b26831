//! Workers that are lost, or stop, or only seem to be lost.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use serde_json::json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use vectorforge::error::Code;
use vectorforge::ingest::work::IngestDocument;
use vectorforge::queue::{self, ActiveJob, Claim, Handler, Kinds};
use vectorforge::store::entity::job::Model as Row;

use super::{claim, collection, document, documents, insert_job, jobs, run, until_jobs_are};
use crate::support::embedder::WordEmbedder;
use crate::support::gql::id;
use crate::support::worker::WorkerProcess;
use crate::support::{TestApp, until};

/// No lease runs out by itself, and none is renewed: it ends where a test says so.
const SETTINGS: &[(&str, &str)] =
    &[("queue.lease_ms", "3600000"), ("queue.heartbeat_ms", "1200000"), ("queue.workers", "1")];

fn hanging(calls: usize) -> WorkerProcess<'static> {
    WorkerProcess { hang_after: Some(calls), settings: SETTINGS, ..WorkerProcess::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_workers_job_is_taken_up_and_counts_as_an_attempt() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    let payload = app.ingest(&collection, json!([document("lost", 1)])).await;
    let worker = hanging(0).start(&app);
    until_jobs_are(&app.database, &["RUNNING 1"]).await;
    worker.kill();
    app.database.execute(LOSE).await;
    let _other = WorkerProcess { settings: SETTINGS, ..WorkerProcess::default() }.start(&app);
    until_jobs_are(&app.database, &["SUCCEEDED 2"]).await;
    let events = app.progress(&id(&payload["run"]), None).await;
    let told = events.iter().find(|event| event["kind"] == "DOCUMENT_RETRYING").expect("told");
    assert_eq!(told["document"]["error"]["message"], "its worker was lost");
    assert_eq!(documents(&app.database).await, ["INDEXED 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_kills_every_worker_is_dead_after_its_last_attempt_and_the_run_is_told() {
    let app = TestApp::builder().without_workers().set("queue.max_attempts", 2).start().await;
    let collection = collection(&app).await;
    app.ingest(&collection, json!([document("good", 1), document("poison", 1)])).await;
    // One worker at a time takes one job after another: the good one first.
    for (calls, expected) in [(1, ["SUCCEEDED 1", "RUNNING 1"]), (0, ["SUCCEEDED 1", "RUNNING 2 WORKER_LOST"])] {
        let worker = hanging(calls).start(&app);
        until_jobs_are(&app.database, &expected).await;
        worker.kill();
        app.database.execute(LOSE).await;
    }
    let _bystander = WorkerProcess { settings: SETTINGS, ..WorkerProcess::default() }.start(&app);
    until_jobs_are(&app.database, &["SUCCEEDED 1", "DEAD 2 WORKER_LOST"]).await;
    assert_eq!(documents(&app.database).await, ["INDEXED 1", "ERROR WORKER_LOST 0"]);
    assert_eq!(run(&app.database).await, "PARTIAL 1 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_gives_its_jobs_back_uncounted_and_another_takes_them_at_once() {
    let embedder = Arc::new(WordEmbedder::default());
    embedder.gate.shut();
    let stopping = TestApp::builder().embedder(embedder).start().await;
    let collection = collection(&stopping).await;
    stopping.ingest(&collection, json!([document("a", 1), document("b", 3)])).await;
    until_jobs_are(&stopping.database, &["RUNNING 1", "RUNNING 1"]).await;
    let database = stopping.shut_down().await;
    assert_eq!(jobs(&database).await, ["PENDING 0", "PENDING 0"]);
    let leased = "SELECT count(*) FROM jobs WHERE lease_holder IS NOT NULL OR lease_until IS NOT NULL";
    assert_eq!(database.number(leased).await, 0);

    let app = TestApp::builder().database(database).start().await;
    app.drain().await;
    assert_eq!(jobs(&app.database).await, ["SUCCEEDED 1", "SUCCEEDED 1"]);
    assert_eq!(documents(&app.database).await, ["INDEXED 1", "INDEXED 3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_wakes_those_that_can_take_its_jobs() {
    let embedder = Arc::new(WordEmbedder::default());
    let stopping = TestApp::builder().embedder(embedder.clone()).set("queue.workers", 1).start().await;
    let collection = collection(&stopping).await;
    stopping.ingest_to_end(&collection, json!([document("before", 1)])).await;
    embedder.gate.shut();
    stopping.ingest(&collection, json!([document("held", 1)])).await;
    until_jobs_are(&stopping.database, &["SUCCEEDED 1", "RUNNING 1"]).await;
    let idle = TestApp::builder().database(stopping.database.clone()).set("queue.poll_ms", 3_600_000).start().await;
    // Proves that it listens and is idle: this it can only have from a signal, or from its first look.
    idle.ingest_to_end(&collection, json!([document("other", 1)])).await;

    stopping.shut_down().await;
    // By itself it would look in an hour.
    idle.drain().await;
    assert_eq!(jobs(&idle.database).await, ["SUCCEEDED 1"; 3]);
}

/// What a thief does who believes the worker lost.
const STEAL: &str = "UPDATE jobs SET lease_holder = gen_random_uuid(), lease_until = now() + interval '1 hour',
    attempts = attempts + 1, leases = leases + 1, lease_token = gen_random_uuid() WHERE state = 'RUNNING'";
/// What becomes of who holds a job, the thief too: its lease has run out.
const LOSE: &str = "UPDATE jobs SET lease_until = now() - interval '1 s' WHERE state = 'RUNNING'";

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_lost_its_lease_commits_nothing() {
    for (chunks, written_before) in [(1, 0), (5, 5)] {
        let embedder = Arc::new(WordEmbedder::default());
        embedder.gate.shut();
        let app = TestApp::builder()
            .embedder(embedder.clone())
            .set("queue.workers", 1)
            .set("embedding.batch_size", 2)
            .start()
            .await;
        let collection = collection(&app).await;
        app.ingest(&collection, json!([document("stolen", chunks)])).await;
        until("the worker to embed", async || (embedder.calls.load(SeqCst) == 1).then_some(())).await;
        app.database.execute(STEAL).await;
        embedder.gate.open();
        // There is one worker: when the next document is through, it has given up the first.
        app.ingest_to_end(&collection, json!([document("next", 1)])).await;
        assert_eq!(jobs(&app.database).await, ["RUNNING 2", "SUCCEEDED 1"], "{chunks} chunks");
        assert_eq!(documents(&app.database).await, ["PROCESSING 0", "INDEXED 1"], "{chunks} chunks");
        let chunks_there = "SELECT count(*) FROM chunks WHERE text LIKE 'stolen%'";
        assert_eq!(app.database.number(chunks_there).await, written_before);
        let embedded = "SELECT count(*) FROM embeddings JOIN chunks ON id = chunk_id WHERE text LIKE 'stolen%'";
        assert_eq!(app.database.number(embedded).await, 0);

        app.database.execute(LOSE).await;
        app.drain().await;
        assert_eq!(jobs(&app.database).await, ["SUCCEEDED 3", "SUCCEEDED 1"]);
        assert_eq!(documents(&app.database).await, [format!("INDEXED {chunks}"), "INDEXED 1".to_owned()]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_that_begins_after_its_lease_was_lost_leaves_an_ended_run_alone() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    app.ingest(&collection, json!([document("late", 1)])).await;
    let stalled = queue::lease(app.app.store.db(), claim(1)).await.expect("takes");
    app.database.execute(LOSE).await;
    let other = TestApp::builder().database(app.database.clone()).start().await;
    other.drain().await;
    let events = app.database.number("SELECT max(sequence) FROM run_events").await;

    let stalled = ActiveJob {
        row: stalled[0].clone(),
        kinds: Kinds::default(),
        stop: CancellationToken::new(),
        lost: CancellationToken::new(),
    };
    let error = IngestDocument::new(app.app.clone()).run(&stalled, "load").await.expect_err("the lease is lost");
    assert_eq!(error.code, Code::LeaseLost);
    assert_eq!(documents(&app.database).await, ["INDEXED 1"]);
    assert_eq!(run(&app.database).await, "SUCCEEDED 1 0");
    assert_eq!(app.database.number("SELECT max(sequence) FROM run_events").await, events);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_renews_only_the_leases_under_which_it_works() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    app.ingest(&collection, json!([document("held", 1), document("dropped", 1)])).await;
    let (db, holder, short) = (app.app.store.db(), Uuid::now_v7(), Duration::from_millis(1));
    let taken = queue::lease(db, Claim { holder, lease: short, ..claim(2) }).await.expect("takes");
    let (held, token) = (taken[0].id, taken[0].lease_token.expect("a lease"));
    let kept = queue::renew(db, holder, Duration::from_secs(3600), vec![held]).await.expect("renews");
    assert_eq!(kept, [(held, token)]);
    until("the other lease to run out", async || {
        let expired = queue::expired(db, 10).await.expect("looks");
        (expired.iter().map(|job| job.id).eq([taken[1].id])).then_some(())
    })
    .await;
}

/// What becomes of a lease whose commit had not reached the disk when the server crashed.
const FORGET: &str = "ALTER TABLE jobs DISABLE TRIGGER USER;
    UPDATE jobs SET state = 'PENDING', lease_holder = NULL, lease_until = NULL, leases = leases - 1,
        attempts = attempts - 1 WHERE state = 'RUNNING';
    ALTER TABLE jobs ENABLE TRIGGER USER";

#[tokio::test(flavor = "multi_thread")]
async fn a_lease_that_a_crash_of_the_server_forgot_leaves_its_number_to_the_next_holder_but_not_its_rights() {
    let app = TestApp::builder().without_workers().start().await;
    let id = insert_job(&app.database, "test", "").await;
    let store = &app.app.store;
    let forgotten = queue::lease(store.db(), claim(1)).await.expect("takes").remove(0);
    app.database.execute(FORGET).await;
    let lease = queue::lease(store.db(), claim(1)).await.expect("takes").remove(0);
    assert_eq!((lease.id, lease.leases), (id, forgotten.leases), "its number is given again");

    let tx = store.begin().await.expect("begins");
    let refused = queue::steps::finish_step(&tx, &forgotten, "first", json!(1), None).await.expect_err("lost");
    assert_eq!(refused.code, Code::LeaseLost);
    drop(tx);
    let ended = |row: &Row| [(row.id, row.lease_token, row.queue.clone())];
    queue::succeed_all(store, &ended(&forgotten)).await.expect("asks");
    assert_eq!(jobs(&app.database).await, ["RUNNING 1"]);
    queue::succeed_all(store, &ended(&lease)).await.expect("asks");
    assert_eq!(jobs(&app.database).await, ["SUCCEEDED 1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_takes_the_job_of_its_forgotten_lease_again_commits_once() {
    let embedder = Arc::new(WordEmbedder::default());
    embedder.gate.shut();
    let app = TestApp::builder().embedder(embedder.clone()).set("queue.workers", 2).start().await;
    let collection = collection(&app).await;
    app.ingest(&collection, json!([document("twice", 1)])).await;
    for attempts in [1, 2] {
        until("an attempt to embed", async || (embedder.calls.load(SeqCst) == attempts).then_some(())).await;
        if attempts == 1 {
            app.database.execute(FORGET).await;
        }
    }
    embedder.gate.open();
    app.drain().await;
    // Both slots are free again: neither attempt is under way.
    app.ingest_to_end(&collection, json!([document("a", 1), document("b", 1)])).await;
    assert_eq!(jobs(&app.database).await, ["SUCCEEDED 1"; 3]);
    assert_eq!(documents(&app.database).await, ["INDEXED 1"; 3]);
    assert_eq!(run(&app.database).await, "SUCCEEDED 1 0");
    assert_eq!(app.database.number("SELECT count(*) FROM chunks").await, 3);
}
