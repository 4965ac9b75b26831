//! Jobs as users see and steer them, over GraphQL, with real workers.

mod cancelling;
mod following;
mod listing;
mod queues;
mod refusals;
mod retrying;
mod steering;
mod waiting;

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value as Json, json};

use crate::support::app::TestAppBuilder;
use crate::support::embedder::WordEmbedder;
use crate::support::gql::id;
use crate::support::{TestApp, until};

/// A document from a source, of so many chunks in a collection of [`collection`].
fn document(name: &str, chunks: usize) -> Json {
    let words: Vec<_> = (0..chunks * 4).map(|word| format!("{name}{word}")).collect();
    json!({ "source": { "text": words.join(" ") }, "sourceUri": name, "title": name })
}

/// A document that no loader can read.
fn bad_document(name: &str) -> Json {
    json!({ "source": { "text": "<p><br></p>" }, "contentType": "text/html", "sourceUri": name })
}

/// A collection that is cut every four words.
async fn collection(app: &TestApp) -> String {
    app.collection_with(json!({ "name": "docs", "chunking": { "size": 4, "overlap": 0 } })).await
}

/// An application whose documents are embedded two chunks at a time, by an embedder that the test steers.
fn steered() -> (Arc<WordEmbedder>, TestAppBuilder) {
    let embedder = Arc::new(WordEmbedder::default());
    let builder = TestApp::builder().embedder(embedder.clone()).set("embedding.batch_size", 2);
    (embedder, builder)
}

/// Ids of the jobs of an ingest call, in the order of its documents.
fn job_ids(payload: &Json) -> Vec<String> {
    let documents = payload["documents"].as_array().expect("documents");
    documents.iter().map(|document| id(&document["job"])).collect()
}

/// Waits until a worker embeds: then a shut gate holds it.
async fn until_embedding(embedder: &WordEmbedder, calls: usize) {
    until("a worker to embed", async || (embedder.calls.load(SeqCst) >= calls).then_some(())).await;
}

/// Some fields of a job.
async fn job(app: &TestApp, id: &str, fields: &str) -> Json {
    let query = format!("query($id: ID!) {{ job(id: $id) {{ {fields} }} }}");
    app.data(&query, json!({ "id": id })).await["job"].take()
}

async fn state(app: &TestApp, id: &str) -> String {
    job(app, id, "state").await["state"].as_str().expect("a state").to_owned()
}

/// Waits until a job is in a state.
async fn until_state(app: &TestApp, job: &str, expected: &str) {
    until(&format!("{job} to be {expected}"), async || (state(app, job).await == expected).then_some(())).await;
}

const STEERED: &str = "changedCount changed { id state priority } left { id job { state } reason detail } hasMore";

/// Cancels or retries, by the name of the mutation.
async fn steer(app: &TestApp, mutation: &str, selection: Json) -> Json {
    let query = format!("mutation($input: SelectJobsInput!) {{ {mutation}(input: $input) {{ {STEERED} }} }}");
    app.data(&query, json!({ "input": { "selection": selection } })).await[mutation].take()
}

async fn cancel(app: &TestApp, ids: &[String]) -> Json {
    steer(app, "cancelJobs", json!({ "ids": ids })).await
}

async fn retry(app: &TestApp, ids: &[String]) -> Json {
    steer(app, "retryJobs", json!({ "ids": ids })).await
}

/// Asserts that all was changed and nothing left.
fn assert_changed(payload: &Json, count: usize) {
    assert_eq!(payload["changedCount"], count, "{payload}");
    assert_eq!(payload["changed"].as_array().map(Vec::len), Some(count), "{payload}");
    assert_eq!((&payload["left"], &payload["hasMore"]), (&json!([]), &json!(false)), "{payload}");
}

/// The reasons for which jobs were left, in order.
fn reasons(payload: &Json) -> Vec<&str> {
    let left = payload["left"].as_array().expect("a list");
    left.iter().map(|left| left["reason"].as_str().expect("a reason")).collect()
}

async fn set_paused(app: &TestApp, queue: &str, is_paused: bool) -> Json {
    let mutation = if is_paused { "pauseQueue" } else { "resumeQueue" };
    let query = format!(
        "mutation($name: String!) {{ {mutation}(input: {{ name: $name }}) {{ changed queue {{ name isPaused pausedAt }} }} }}"
    );
    app.data(&query, json!({ "name": queue })).await[mutation].take()
}
