//! A document that is replaced or deleted: readers see one whole version at any time, and nothing stays behind.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::{Value as Json, json};

use crate::support::documents::{chunks, each};
use crate::support::embedder::WordEmbedder;
use crate::support::gql::id;
use crate::support::{TestApp, until};

/// An application whose embedder can be held, two chunks a batch, a word a chunk; and a collection.
async fn held() -> (TestApp, Arc<WordEmbedder>, String) {
    let embedder = Arc::new(WordEmbedder::default());
    // A lease that does not run out: what ends a job here is never that its worker counts as lost.
    let settings = TestApp::builder().embedder(embedder.clone()).set("queue.lease_ms", 3_600_000);
    let app = settings.set("embedding.batch_size", 2).start().await;
    let collection = app.collection_with(json!({ "name": "docs", "chunking": { "size": 1 } })).await;
    (app, embedder, collection)
}

fn document(text: &str) -> Json {
    json!([{ "sourceUri": "x:1", "source": { "text": text } }])
}

/// Ingests and waits until the embedder holds it.
async fn ingest_up_to_the_gate(app: &TestApp, embedder: &WordEmbedder, collection: &str, text: &str) -> Json {
    let before = embedder.calls.load(Ordering::SeqCst);
    let payload = app.ingest(collection, document(text)).await;
    let held = async || (embedder.calls.load(Ordering::SeqCst) > before).then_some(());
    until("the document to come to the embedder", held).await;
    payload
}

async fn texts_found(app: &TestApp, collection: &str) -> Vec<String> {
    let found = app.search(collection, "one two three four five six").await;
    let hits = found["hits"].as_array().expect("hits");
    let mut texts: Vec<_> = hits.iter().map(|hit| hit["chunk"]["text"].as_str().expect("a text").to_owned()).collect();
    texts.sort();
    texts
}

async fn rows(app: &TestApp) -> [i64; 3] {
    let count = async |table: &str| app.database.number(&format!("SELECT count(*) FROM {table}")).await;
    [count("chunks").await, count("embeddings").await, count("document_contents").await]
}

async fn run_state(app: &TestApp, payload: &Json) -> Json {
    app.progress(&id(&payload["run"]), None).await.last().expect("events")["run"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_version_answers_until_the_new_one_is_complete() {
    let (app, embedder, collection) = held().await;
    let payload = app.ingest_to_end(&collection, document("one two three")).await;
    let (doc, old) = (id(&payload["documents"][0]["document"]), ["one", "three", "two"]);
    let old_chunk = id(chunks(&app.document(&doc).await)[0]);

    embedder.gate.shut();
    let replacing = ingest_up_to_the_gate(&app, &embedder, &collection, "four five six").await;
    assert_eq!(replacing["documents"][0]["outcome"], "REPLACED");
    assert_eq!(texts_found(&app, &collection).await, old);
    let shown = app.document(&doc).await;
    assert_eq!((&shown["status"], &shown["text"]), (&json!("PROCESSING"), &json!("one two three")));
    assert_eq!(each(chunks(&shown), "text"), ["one", "two", "three"]);
    let node = "query($id: ID!) { node(id: $id) { id } }";
    assert_eq!(app.data(node, json!({ "id": old_chunk })).await["node"]["id"], old_chunk);

    embedder.gate.open();
    assert_eq!(run_state(&app, &replacing).await["state"], "SUCCEEDED");
    assert_eq!(texts_found(&app, &collection).await, ["five", "four", "six"]);
    let shown = app.document(&doc).await;
    assert_eq!((&shown["status"], &shown["text"]), (&json!("INDEXED"), &json!("four five six")));
    assert_eq!(each(chunks(&shown), "text"), ["four", "five", "six"]);
    assert_eq!(app.data(node, json!({ "id": old_chunk })).await["node"], Json::Null);
    assert_eq!(rows(&app).await, [3, 3, 1], "nothing of the old version is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_larger_than_a_batch_is_invisible_until_it_is_complete() {
    let (app, embedder, collection) = held().await;
    embedder.gate.shut();
    let payload = ingest_up_to_the_gate(&app, &embedder, &collection, "one two three").await;
    assert_eq!(rows(&app).await, [3, 0, 1], "its chunks are written");
    assert_eq!(texts_found(&app, &collection).await, [""; 0]);
    let shown = app.document(&id(&payload["documents"][0]["document"])).await;
    assert_eq!((chunks(&shown).len(), &shown["text"], &shown["chunkCount"]), (0, &Json::Null, &json!(0)));
    embedder.gate.open();
    assert_eq!(run_state(&app, &payload).await["state"], "SUCCEEDED");
    assert_eq!(texts_found(&app, &collection).await, ["one", "three", "two"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_document_replaced_twice_in_a_row_the_newest_version_remains() {
    for first in ["one", "one two three"] {
        let (app, embedder, collection) = held().await;
        embedder.gate.shut();
        let mut payloads = Vec::new();
        for text in [first, "two three four", "five six"] {
            payloads.push(ingest_up_to_the_gate(&app, &embedder, &collection, text).await);
        }
        embedder.gate.open();
        for payload in &payloads {
            let run = run_state(&app, payload).await;
            assert_eq!((&run["state"], &run["documentsDone"]), (&json!("SUCCEEDED"), &json!(1)), "{first}: {run}");
        }
        app.drain().await;
        assert_eq!(texts_found(&app, &collection).await, ["five", "six"], "{first}");
        assert_eq!(rows(&app).await, [2, 2, 1], "{first}");
        let attempts = app.database.number("SELECT max(attempts)::bigint FROM jobs").await;
        assert_eq!(attempts, 1, "a superseded job ends at once");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_deleted_while_it_is_worked_on_leaves_nothing_and_its_run_ends() {
    for text in ["one", "one two three"] {
        let (app, embedder, collection) = held().await;
        embedder.gate.shut();
        let payload = ingest_up_to_the_gate(&app, &embedder, &collection, text).await;
        app.delete_document(&id(&payload["documents"][0]["document"])).await;
        embedder.gate.open();
        let run = run_state(&app, &payload).await;
        assert_eq!((&run["state"], &run["documentsDone"]), (&json!("CANCELLED"), &json!(0)), "{text}: {run}");
        app.drain().await;
        assert_eq!(rows(&app).await, [0, 0, 0], "{text}");
        assert_eq!(texts_found(&app, &collection).await, [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_deleted_while_its_documents_are_worked_on_leaves_nothing() {
    let (app, embedder, collection) = held().await;
    app.ingest_to_end(&collection, document("six")).await;
    embedder.gate.shut();
    ingest_up_to_the_gate(&app, &embedder, &collection, "one two three").await;
    app.delete_collection(&collection).await;
    let documents = "SELECT count(*) FROM documents";
    until("its documents to be purged", async || (app.database.number(documents).await == 0).then_some(())).await;
    embedder.gate.open();
    app.drain().await;
    assert_eq!(rows(&app).await, [0, 0, 0]);
}
