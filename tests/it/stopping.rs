//! Threads that read documents: whoever gives up on a document gets its worker back at once, and the thread ends as soon
//! as it listens.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value as Json, json};
use sqlx::{Connection, PgConnection};
use tokio::net::TcpStream;
use vectorforge::process;

use crate::support::app::TestAppBuilder;
use crate::support::embedder::WordEmbedder;
use crate::support::gql::id;
use crate::support::holder::Holder;
use crate::support::{TestApp, until};

/// A text that the tokenizer is given in many windows.
fn long_document() -> Json {
    json!({ "source": { "text": "These words go on and on.\n".repeat(20_000) }, "sourceUri": "long" })
}

/// One worker, and what holds its threads.
fn held() -> (Arc<Holder>, TestAppBuilder) {
    let embedder = Arc::new(WordEmbedder::default());
    let holder = embedder.holder.clone();
    holder.hold_next();
    (holder, TestApp::builder().embedder(embedder).set("queue.workers", 1))
}

/// Ingests the long document and waits until its thread is held. Gives the job.
async fn ingest_until_held(app: &TestApp, holder: &Holder) -> String {
    let collection = app.collection_with(json!({ "name": "long" })).await;
    let payload = app.ingest(&collection, json!([long_document()])).await;
    until("a thread to be held", async || holder.is_holding().then_some(())).await;
    id(&payload["documents"][0]["job"])
}

/// Lets the thread go, and asserts that it reads no further.
async fn assert_ends(holder: &Holder) {
    assert_eq!(holder.read(), None, "it is still held");
    holder.let_go();
    let windows = until("the thread to end", async || holder.read()).await;
    assert_eq!(windows, 1, "it goes on after it was stopped");
}

async fn indexes_another(app: &TestApp) {
    let collection = app.collection_with(json!({ "name": "short" })).await;
    app.ingest_to_end(&collection, json!([{ "source": { "text": "short" } }])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_gives_its_worker_back_and_stops_its_thread() {
    let (holder, builder) = held();
    let app = builder.start().await;
    let job = ingest_until_held(&app, &holder).await;
    let cancel = "mutation($id: ID!) { cancelJobs(input: { selection: { ids: [$id] } }) { changedCount } }";
    assert_eq!(app.data(cancel, json!({ "id": job })).await["cancelJobs"]["changedCount"], 1);
    indexes_another(&app).await;
    assert_ends(&holder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_takes_too_long_to_read_fails_and_stops_its_thread() {
    let (holder, builder) = held();
    // Where the thread is not even held within the limit, the next attempt is.
    let app = builder.set("ingest.load_timeout_ms", 500).set("ingest.load_attempts", 1000).start().await;
    let job = ingest_until_held(&app, &holder).await;
    let query = "query($id: ID!) { job(id: $id) { error { code } } }";
    until("the attempt to fail", async || {
        let job = app.data(query, json!({ "id": job })).await["job"].take();
        (job["error"]["code"] == "TIMEOUT").then_some(())
    })
    .await;
    assert_ends(&holder).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_gives_the_job_back_and_stops_its_thread() {
    let (holder, builder) = held();
    let app = builder.start().await;
    ingest_until_held(&app, &holder).await;
    let database = app.shut_down().await;
    let states = "SELECT concat_ws(' ', state, error_code, lease_holder) FROM jobs";
    assert_eq!(database.texts(states).await, ["PENDING"]);
    assert_ends(&holder).await;
}

/// Lets no job be taken while somebody holds the gate: the statement that takes it waits in the database.
const GATE: &str = "
    CREATE FUNCTION pass_gate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock(1);
        RETURN NEW;
    END $$;
    CREATE TRIGGER gate BEFORE UPDATE ON jobs FOR EACH ROW WHEN (NEW.state = 'RUNNING') EXECUTE FUNCTION pass_gate()";

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_process_was_taking_when_it_stopped_is_given_back() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    app.ingest(&collection, json!([{ "source": { "text": "words" } }])).await;
    app.database.execute(GATE).await;
    let mut gate = PgConnection::connect(&app.database.url).await.expect("the test database answers");
    sqlx::query("SELECT pg_advisory_lock(1)").execute(&mut gate).await.expect("nobody else holds it");

    let database = app.database.clone();
    let app = TestApp::builder().database(database.clone()).start().await;
    let waits = "SELECT count(*) FROM pg_locks JOIN pg_database AS d ON d.oid = database
        WHERE d.datname = current_database() AND locktype = 'advisory' AND objid = 1 AND NOT granted";
    until("the job to be taken", async || (database.number(waits).await == 1).then_some(())).await;
    let address = app.address.clone();
    let stopped = tokio::spawn(app.shut_down());
    until("it to stop", async || TcpStream::connect(&address).await.is_err().then_some(())).await;
    gate.close().await.expect("the gate opens");
    stopped.await.expect("no panic");
    until("the job to be taken or left", async || (database.number(waits).await == 0).then_some(())).await;
    let states = "SELECT concat_ws(' ', state, lease_holder) FROM jobs";
    assert_eq!(database.texts(states).await, ["PENDING"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_stops_waits_for_the_batch_that_is_embedded_and_keeps_its_vectors() {
    let embedder = Arc::new(WordEmbedder::default());
    let builder = || TestApp::builder().embedder(embedder.clone()).set("embedding.batch_size", 2);
    let app = builder().set("http.shutdown_grace_ms", 3_600_000).start().await;
    let words = json!({ "name": "docs", "chunking": { "size": 4, "overlap": 0 } });
    let collection = app.collection_with(words).await;
    embedder.gate.shut();
    app.ingest(&collection, json!([{ "source": { "text": "one ".repeat(4 * 6) } }])).await;
    until("a batch to be embedded", async || (embedder.calls.load(SeqCst) == 1).then_some(())).await;
    let address = app.address.clone();
    let stopped = tokio::spawn(app.shut_down());
    until("it to stop", async || TcpStream::connect(&address).await.is_err().then_some(())).await;
    embedder.gate.open();
    let database = stopped.await.expect("no panic");
    assert_eq!(database.number("SELECT count(*) FROM embeddings").await, 2, "the batch under way");
    let waiting = "SELECT count(*) FROM jobs WHERE state = 'PENDING' AND lease_holder IS NULL";
    assert_eq!(database.number(waiting).await, 1);

    let app = builder().database(database).start().await;
    app.drain().await;
    assert_eq!(app.database.number("SELECT count(*) FROM embeddings").await, 6);
    assert_eq!(embedder.calls.load(SeqCst), 3, "no chunk is embedded twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_grace_is_over_gives_up_the_batch_that_is_embedded() {
    let embedder = Arc::new(WordEmbedder::default());
    let app = TestApp::builder().embedder(embedder.clone()).set("http.shutdown_grace_ms", 1).start().await;
    let collection = app.collection("docs").await;
    embedder.gate.shut();
    app.ingest(&collection, json!([{ "source": { "text": "words" } }])).await;
    until("a batch to be embedded", async || (embedder.calls.load(SeqCst) == 1).then_some(())).await;
    let database = app.shut_down().await;
    let waiting = "SELECT count(*) FROM jobs WHERE state = 'PENDING' AND lease_holder IS NULL";
    assert_eq!(database.number(waiting).await, 1);
}

#[test]
fn a_process_ends_whatever_its_threads_are_busy_with() {
    let (free, busy) = std::sync::mpsc::channel::<()>();
    let ended = process::run_to_end(async {
        tokio::task::spawn_blocking(move || busy.recv());
        "ended"
    });
    assert_eq!(ended.expect("a runtime"), "ended");
    drop(free);
}
