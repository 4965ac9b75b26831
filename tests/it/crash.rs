//! `kill -9` of worker processes: nothing is lost, nothing is done twice but what was in flight.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Value as Json, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::support::gql::id;
use crate::support::worker::WorkerProcess;
use crate::support::{TestApp, until};

const DOCUMENTS: u16 = 200;
/// Words of a chunk.
const CHUNK_SIZE: usize = 12;
const BATCH_SIZE: usize = 4;
const WORKERS: usize = 4;

/// What every worker process of these tests runs with.
const SETTINGS: &[(&str, &str)] = &[
    ("embedding.batch_size", "4"),
    ("queue.workers", "4"),
    ("queue.max_attempts", "5"),
    // Nothing renews a lease after a test has let it run out.
    ("queue.heartbeat_ms", "1200000"),
    ("search.exact_threshold", "50"),
];

/// What becomes of the leases of who is gone, and would otherwise take an hour.
const LOSE: &str = "UPDATE jobs SET lease_until = now() - interval '1 s' WHERE state = 'RUNNING'";

/// Documents of one to a dozen chunks, no two texts alike. Every third has characters of several bytes.
fn documents() -> Json {
    let text = |document: usize| {
        let umlaut = if document.is_multiple_of(3) { "ä€" } else { "" };
        let words = 5 + document % 12 * (CHUNK_SIZE - 1);
        let words: Vec<_> = (0..words).map(|word| format!("{umlaut}d{document}w{word}")).collect();
        words.join(" ")
    };
    (0..usize::from(DOCUMENTS)).map(|document| json!({ "source": { "text": text(document) } })).collect()
}

async fn collection(app: &TestApp) -> String {
    let chunking = json!({ "size": CHUNK_SIZE, "overlap": 2 });
    app.collection_with(json!({ "name": "docs", "chunking": chunking })).await
}

/// Texts that were embedded, by all processes.
fn embedded(log: &Path) -> Vec<String> {
    std::fs::read_to_string(log).unwrap_or_default().lines().map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingest_whose_workers_are_killed_again_and_again_ends_as_if_nothing_had_happened() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    let run = id(&app.ingest(&collection, documents()).await["run"]);
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("embedded");

    // Far into the work and in the middle of a call, wherever that happens to be; never at its end, because they hang.
    let kill_points = [8, 90, 60];
    for calls in kill_points {
        let before = embedded(&log).len();
        let worker =
            WorkerProcess { log: Some(&log), hang_after: Some(calls), settings: SETTINGS, ..WorkerProcess::default() }
                .start(&app);
        // Every call but those of documents with fewer chunks embeds a whole batch.
        until("the worker to be in the middle", async || (embedded(&log).len() >= before + calls).then_some(())).await;
        worker.kill();
        app.database.execute(LOSE).await;
    }
    let unfinished = app.database.number("SELECT count(*) FROM jobs WHERE state <> 'SUCCEEDED'").await;
    assert!(unfinished > 50, "the kills came too late: {unfinished} jobs are left");
    let _worker = WorkerProcess { log: Some(&log), settings: SETTINGS, ..WorkerProcess::default() }.start(&app);
    app.drain().await;

    every_document_is_indexed_once(&app).await;
    no_chunk_is_missing_or_double(&app).await;
    the_run_counts_right(&app).await;
    let events = app.progress(&run, None).await;
    the_events_tell_it_in_order(&events);

    let texts = embedded(&log);
    let once: HashSet<_> = texts.iter().collect();
    let chunks = app.database.number("SELECT count(*) FROM chunks").await;
    assert_eq!(once.len(), usize::try_from(chunks).expect("a count"), "each chunk is embedded");
    let twice = texts.len() - once.len();
    assert!(twice <= kill_points.len() * WORKERS * BATCH_SIZE, "{twice} texts were embedded twice");
}

async fn every_document_is_indexed_once(app: &TestApp) {
    let indexed = "SELECT count(*) FROM documents WHERE status = 'INDEXED' AND (version, indexed_version) = (1, 1)
        AND error_code IS NULL AND chunk_count = (SELECT count(*) FROM chunks WHERE document_id = documents.id)";
    assert_eq!(app.database.number(indexed).await, i64::from(DOCUMENTS));
    let ended = "SELECT count(*) FROM jobs WHERE kind = 'ingest_document' AND state = 'SUCCEEDED'";
    assert_eq!(app.database.number(ended).await, i64::from(DOCUMENTS));
    let retried = app.database.number("SELECT count(*) FROM jobs WHERE attempts > 1").await;
    assert!(retried > 0, "no job was in flight at a kill");
}

async fn no_chunk_is_missing_or_double(app: &TestApp) {
    for (what, sql) in [
        ("two chunks with one index", "SELECT count(*) - count(DISTINCT (document_id, version, index)) FROM chunks"),
        (
            "documents with a gap between the indexes of their chunks",
            "SELECT count(*) FROM (SELECT FROM chunks GROUP BY document_id HAVING max(index) + 1 <> count(*)) AS gaps",
        ),
        (
            "chunks that are not the text at their place",
            "SELECT count(*) FROM chunks c JOIN document_contents USING (document_id, version)
             WHERE c.text <> substr(convert_from(original, 'UTF8'), start_char + 1, end_char - start_char)",
        ),
        (
            "documents whose last word is in no chunk",
            "SELECT count(*) FROM document_contents d WHERE length(convert_from(original, 'UTF8')) <>
             (SELECT max(end_char) FROM chunks c WHERE c.document_id = d.document_id)",
        ),
        (
            "chunks without a vector, or with one that is not seen",
            "SELECT count(*) FROM chunks c LEFT JOIN embeddings e ON e.chunk_id = c.id WHERE e.live IS NOT TRUE",
        ),
        ("vectors too many", "SELECT (SELECT count(*) FROM embeddings) - (SELECT count(*) FROM chunks)"),
    ] {
        assert_eq!(app.database.number(sql).await, 0, "{what}");
    }
}

async fn the_run_counts_right(app: &TestApp) {
    let wrong = "SELECT count(*) FROM ingestion_runs WHERE NOT (state = 'SUCCEEDED' AND finished_at IS NOT NULL
        AND documents_done = documents_total AND documents_failed = 0
        AND chunks_total = (SELECT count(*) FROM chunks) AND chunks_embedded = chunks_total)";
    assert_eq!(app.database.number(wrong).await, 0);
    let gaps = "SELECT max(sequence) - count(*) + min(sequence) - 1 FROM run_events";
    assert_eq!(app.database.number(gaps).await, 0, "events are numbered from 1 without a gap");
}

fn the_events_tell_it_in_order(events: &[Json]) {
    let kinds: Vec<_> = events.iter().map(|event| event["kind"].as_str().expect("a kind")).collect();
    assert_eq!((kinds[0], kinds[kinds.len() - 1]), ("RUN_ACCEPTED", "RUN_FINISHED"));
    let of_kind = |kind| events.iter().filter(move |event| event["kind"] == kind);
    assert_eq!(of_kind("RUN_FINISHED").count(), 1);
    let indexed: HashSet<_> = of_kind("DOCUMENT_INDEXED").map(|event| id(&event["document"])).collect();
    assert_eq!((indexed.len(), of_kind("DOCUMENT_INDEXED").count()), (DOCUMENTS.into(), DOCUMENTS.into()));
    for count in ["documentsDone", "chunksTotal", "chunksEmbedded"] {
        assert!(events.is_sorted_by_key(|event| event["run"][count].as_i64()), "{count} never goes back");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_index_whose_builder_is_killed_is_built_by_the_next() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = collection(&app).await;
    app.ingest(&collection, documents()).await;
    let table = app.database.texts("SELECT 'embeddings_' || replace(id::text, '-', '') FROM embedding_spaces").await;
    let mut writer = PgConnection::connect(&app.database.url).await.expect("connects");
    // An index is built concurrently: it waits for the transactions that write.
    let write = format!("BEGIN; LOCK TABLE {} IN ROW EXCLUSIVE MODE", table[0]);
    sqlx::raw_sql(AssertSqlSafe(write)).execute(&mut writer).await.expect("locks");

    let worker = WorkerProcess { settings: SETTINGS, ..WorkerProcess::default() }.start(&app);
    let unfinished = "SELECT count(*) FROM pg_index WHERE NOT indisvalid";
    until("an index to be begun", async || (app.database.number(unfinished).await == 1).then_some(())).await;
    worker.kill();
    app.database.execute(LOSE).await;
    let _worker = WorkerProcess { settings: SETTINGS, ..WorkerProcess::default() }.start(&app);
    let second = "SELECT count(*) FROM jobs WHERE kind = 'build_index' AND state = 'RUNNING' AND attempts = 2";
    until("another to take it up", async || (app.database.number(second).await == 1).then_some(())).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut writer).await.expect("ends");

    let ready = "SELECT count(*) FROM embedding_spaces WHERE index_state = 'READY'";
    until("the index to be ready", async || (app.database.number(ready).await == 1).then_some(())).await;
    let valid = "SELECT count(*) FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid
        WHERE relname LIKE '%\\_hnsw' AND indisvalid";
    assert_eq!(app.database.number(valid).await, 1);
    app.drain().await;
    let found = app.search(&collection, "d7w3 d7w4").await;
    assert_eq!((&found["info"]["exact"], &found["info"]["returned"]), (&json!(false), &json!(10)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_worker_is_killed_is_finished_by_the_next() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    app.ingest(&collection, documents()).await;
    app.drain().await;
    let database = app.shut_down().await;
    let app = TestApp::builder().database(database).without_workers().start().await;
    let mut reader = PgConnection::connect(&app.database.url).await.expect("connects");
    // Vectors are detached concurrently: that waits for the transactions that read them.
    sqlx::raw_sql("BEGIN; LOCK TABLE embeddings IN ACCESS SHARE MODE").execute(&mut reader).await.expect("locks");

    let delete = "mutation($id: ID!) { deleteCollection(input: { id: $id }) { __typename } }";
    app.data(delete, json!({ "id": collection })).await;
    let worker = WorkerProcess { settings: SETTINGS, ..WorkerProcess::default() }.start(&app);
    let half_done = "SELECT count(*) FROM pg_inherits WHERE inhdetachpending";
    until("the vectors to be half detached", async || (app.database.number(half_done).await == 1).then_some(())).await;
    worker.kill();
    app.database.execute(LOSE).await;
    let _worker = WorkerProcess { settings: SETTINGS, ..WorkerProcess::default() }.start(&app);
    let second = "SELECT count(*) FROM jobs WHERE kind = 'purge_collection' AND state = 'RUNNING' AND attempts = 2";
    until("another to take it up", async || (app.database.number(second).await == 1).then_some(())).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut reader).await.expect("ends");

    app.drain().await;
    let purge = app.database.texts("SELECT state || ' ' || kind FROM jobs").await;
    assert_eq!(purge, ["SUCCEEDED purge_collection"]);
    for table in ["collections", "documents", "document_contents", "chunks", "embeddings", "ingestion_runs"] {
        assert_eq!(app.database.number(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    let partitions = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'embeddings\\_%'";
    assert_eq!(app.database.number(partitions).await, 0);
}
