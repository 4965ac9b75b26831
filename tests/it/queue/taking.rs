//! Enqueueing and taking.

use std::collections::HashSet;
use std::path::Path;
use std::time::Duration;

use serde_json::json;
use vectorforge::queue::{self, Enqueued, NewJob, Uniqueness};
use vectorforge::store::{DEFAULT_TENANT, Store};

use super::{claim, collection, document, insert_job};
use crate::support::worker::WorkerProcess;
use crate::support::{TestApp, until};

/// No test here may depend on a poll: an hour is longer than any test waits.
const NEVER_MS: &str = "3600000";

fn new_job(app: &TestApp, unique_key: Option<&str>) -> NewJob {
    let job = NewJob::new("ingest", "test", (1, json!({})), 3, app.app.now());
    NewJob { unique_key: unique_key.map(str::to_owned), ..job }
}

async fn take_one(store: &Store) -> Option<vectorforge::store::entity::job::Model> {
    let mut taken = queue::lease(store.db(), claim(1)).await.expect("takes");
    assert!(taken.len() <= 1, "asked for one job, got {}", taken.len());
    taken.pop()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_worker_processes_share_three_hundred_jobs_and_do_none_twice() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    app.ingest(&collection, (0..300).map(|n| document(&format!("d{n}w"), 1 + n % 3)).collect()).await;
    let dir = tempfile::tempdir().expect("a temporary directory");
    let logs = [dir.path().join("first"), dir.path().join("second")];
    let settings = &[("embedding.batch_size", "2")];
    // Neither begins before both are there.
    app.database.execute("INSERT INTO job_limits (scope, key, concurrency) VALUES ('QUEUE', 'ingest', 0)").await;
    let _workers =
        logs.each_ref().map(|log| WorkerProcess { log: Some(log), settings, ..WorkerProcess::default() }.start(&app));
    let there = "SELECT count(*) FROM workers";
    until("both processes", async || (app.database.number(there).await == 2).then_some(())).await;
    app.database.execute("DELETE FROM job_limits").await;
    app.drain().await;

    let [first, second] = logs.map(|log| lines(&log));
    assert!(!first.is_empty() && !second.is_empty(), "one did it all: {} and {} texts", first.len(), second.len());
    let all: HashSet<_> = first.iter().chain(&second).collect();
    assert_eq!((all.len(), first.len() + second.len()), (600, 600), "each text is embedded once");
    let done = "SELECT count(*) FROM jobs WHERE state = 'SUCCEEDED' AND attempts = 1";
    assert_eq!(app.database.number(done).await, 300);
}

fn lines(log: &Path) -> Vec<String> {
    std::fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_worker_is_woken_by_a_new_job_and_does_not_wait_for_its_next_look() {
    let app = TestApp::builder().set("queue.poll_ms", NEVER_MS).start().await;
    let collection = collection(&app).await;
    app.ingest_to_end(&collection, json!([document("before", 1)])).await;
    app.ingest_to_end(&collection, json!([document("after", 1)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_of_which_nobody_was_told_is_found_at_the_next_look() {
    let app = TestApp::start().await;
    let collection = collection(&app).await;
    app.ingest_to_end(&collection, json!([document("before", 1)])).await;
    insert_job(&app.database, "unknown", "").await;
    app.drain().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_lives_and_dies_with_the_transaction_of_its_rows() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    let query = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) { run { id } } }";
    let documents = json!([document("good", 1), { "source": { "text": " " } }]);
    app.refusal(query, json!({ "input": { "collectionId": collection, "documents": documents } })).await;
    for table in ["jobs", "documents", "document_contents", "ingestion_runs", "run_events"] {
        assert_eq!(app.database.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }

    for (is_committed, expected) in [(false, 0), (true, 1)] {
        let tx = app.app.store.begin().await.expect("begins");
        queue::enqueue(&tx, DEFAULT_TENANT, vec![new_job(&app, None)]).await.expect("enqueues");
        if is_committed {
            tx.commit().await.expect("commits");
        } else {
            tx.rollback().await.expect("rolls back");
        }
        assert_eq!(app.database.number("SELECT count(*) FROM jobs").await, expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_unique_key_admits_one_unfinished_job() {
    let app = TestApp::builder().without_workers().start().await;
    let store = &app.app.store;
    let enqueue = async |key| {
        let tx = store.begin().await.expect("begins");
        let unique = Uniqueness::while_unfinished();
        let enqueued =
            queue::enqueue_unique(&tx, DEFAULT_TENANT, new_job(&app, Some(key)), &unique).await.expect("enqueues");
        tx.commit().await.expect("commits");
        enqueued
    };
    let Enqueued::New(a) = enqueue("a").await else { panic!("nothing stands in its way") };
    assert_eq!(enqueue("a").await, Enqueued::Existing(a), "the caller is told which one");
    assert!(matches!(enqueue("b").await, Enqueued::New(_)));
    let first = take_one(store).await.expect("a job");
    assert_eq!(enqueue("a").await, Enqueued::Existing(a), "it runs");
    let tx = store.begin().await.expect("begins");
    queue::succeed(&tx, &first).await.expect("ends");
    tx.commit().await.expect("commits");
    let Enqueued::New(next) = enqueue("a").await else { panic!("it has ended") };
    assert_eq!(enqueue("a").await, Enqueued::Existing(next));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_held_over_the_states_and_the_time_that_the_caller_chooses() {
    use vectorforge::store::entity::job::JobState;

    let app = TestApp::builder().without_workers().start().await;
    let store = &app.app.store;
    let enqueue = async |unique: &Uniqueness| {
        let tx = store.begin().await.expect("begins");
        let enqueued =
            queue::enqueue_unique(&tx, DEFAULT_TENANT, new_job(&app, Some("a")), unique).await.expect("enqueues");
        tx.commit().await.expect("commits");
        enqueued
    };
    let hour = Some(Duration::from_secs(3_600));
    let waiting = Uniqueness { states: vec![JobState::Pending], period: None };
    let of_an_hour = Uniqueness { states: vec![JobState::Pending, JobState::Running], period: hour };
    let Enqueued::New(first) = enqueue(&waiting).await else { panic!("nothing stands in its way") };
    assert_eq!(enqueue(&waiting).await, Enqueued::Existing(first), "it waits");
    take_one(store).await.expect("a job");
    assert_eq!(enqueue(&of_an_hour).await, Enqueued::Existing(first), "it runs, and is young");
    app.database.execute("UPDATE jobs SET created_at = now() - interval '2 h'").await;
    let Enqueued::New(second) = enqueue(&of_an_hour).await else { panic!("it is older than an hour") };
    assert_eq!(enqueue(&of_an_hour).await, Enqueued::Existing(second));
    take_one(store).await.expect("the second job");
    assert!(matches!(enqueue(&waiting).await, Enqueued::New(_)), "both run, and only waiting ones count");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_urgent_job_is_taken_first_then_the_oldest() {
    let app = TestApp::builder().without_workers().start().await;
    let mut expected = Vec::new();
    for (place, extra) in [(2, ""), (3, ""), (0, ", priority = 9"), (1, ", priority = 9"), (4, ", priority = -1")] {
        expected.push((place, insert_job(&app.database, "test", extra).await));
    }
    insert_job(&app.database, "test", ", priority = 99, state = 'CANCELLED', finished_at = now()").await;
    insert_job(&app.database, "test", ", priority = 99, queue = 'maintenance'").await;
    expected.sort_unstable();
    for (place, id) in expected {
        let taken = take_one(&app.app.store).await.expect("a due job");
        assert_eq!((taken.id, taken.attempts), (id, 1), "place {place}");
    }
    assert_eq!(take_one(&app.app.store).await, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_are_taken_than_were_asked_for_whatever_the_planner_believes() {
    let app = TestApp::builder().without_workers().start().await;
    insert_job(&app.database, "test", "").await;
    // As right after a quiet night: for a table of one row it chooses another plan.
    app.database.execute("ANALYZE jobs").await;
    for _ in 0..20 {
        insert_job(&app.database, "test", "").await;
    }
    assert!(take_one(&app.app.store).await.is_some());
    let running = app.database.number("SELECT count(*) FROM jobs WHERE state = 'RUNNING'").await;
    assert_eq!(running, 1);
}
