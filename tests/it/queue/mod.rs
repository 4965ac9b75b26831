//! The queue, job by job: how jobs are taken, how they fail, and what becomes of those whose worker is lost.

mod failing;
mod losing;
mod plans;
mod states;
mod steps;
mod taking;

use std::time::Duration;

use serde_json::{Value as Json, json};
use uuid::Uuid;
use vectorforge::queue::Claim;
use vectorforge::store::DEFAULT_TENANT;

use crate::support::database::TestDatabase;
use crate::support::{TestApp, until};

/// A document of so many chunks in a collection of [`collection`].
fn document(name: &str, chunks: usize) -> Json {
    let words: Vec<_> = (0..chunks * 4).map(|word| format!("{name}{word}")).collect();
    json!({ "source": { "text": words.join(" ") } })
}

/// A collection that is cut every four words.
async fn collection(app: &TestApp) -> String {
    app.collection_with(json!({ "name": "docs", "chunking": { "size": 4, "overlap": 0 } })).await
}

/// State, attempts and error of every job, in the order in which they were enqueued.
async fn jobs(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', state, attempts, error_code) FROM jobs ORDER BY id";
    database.texts(sql).await
}

/// Waits for the jobs to be so.
async fn until_jobs_are(database: &TestDatabase, expected: &[&str]) {
    let what = format!("the jobs to be {expected:?}");
    until(&what, async || (jobs(database).await == expected).then_some(())).await;
}

/// Status, error and chunks of every document, in the order in which they were submitted.
async fn documents(database: &TestDatabase) -> Vec<String> {
    let sql = "SELECT concat_ws(' ', status, error_code, chunk_count) FROM documents ORDER BY id";
    database.texts(sql).await
}

/// State and counts of the first run.
async fn run(database: &TestDatabase) -> String {
    let sql = "SELECT concat_ws(' ', state, documents_done, documents_failed) FROM ingestion_runs ORDER BY id";
    database.texts(sql).await.remove(0)
}

/// A claim of somebody on jobs of the queue.
fn claim(limit: usize) -> Claim<'static> {
    let lease = Duration::from_secs(3600);
    Claim { queue: "ingest", holder: Uuid::now_v7(), lease, limit, after_tenant: Uuid::nil() }
}

/// Puts a job into the table as no version of ours would, and tells nobody.
async fn insert_job(database: &TestDatabase, kind: &str, extra: &str) -> Uuid {
    let id = Uuid::now_v7();
    let sql = format!(
        "INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, state, max_attempts)
         VALUES ('{id}', '{DEFAULT_TENANT}', 'ingest', '{kind}', '{{}}', 1, 'PENDING', 5);
         UPDATE jobs SET id = id {extra} WHERE id = '{id}'"
    );
    database.execute(&sql).await;
    id
}
