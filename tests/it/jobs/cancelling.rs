//! Cancelling a document's job: nothing of it remains, and what was there before is there again.

use std::sync::atomic::Ordering::SeqCst;

use serde_json::{Value as Json, json};

use super::{
    assert_changed, cancel, collection, document, job, job_ids, retry, state, steered, until_embedding, until_state,
};
use crate::support::TestApp;
use crate::support::gql::id;

/// Everything that readers see of a document, and what the database holds of it.
async fn everything(app: &TestApp, collection: &str, document: &str) -> Json {
    let query =
        "query($id: ID!) { document(id: $id) { title author tags metadata sourceUri contentType contentHash sizeBytes
        status text chunkCount tokenCount indexedAt error { code } chunks(first: 100) { edges { node {
            id index text startChar endChar tokenCount headingPath vector } } } } }";
    let mut shown = app.data(query, json!({ "id": document })).await["document"].take();
    let hits = app.search(collection, "first0 first7").await["hits"].take();
    shown["hits"] = hits.as_array().expect("hits").iter().map(|hit| json!([hit["score"], hit["chunk"]])).collect();
    for table in ["chunks", "embeddings"] {
        shown[table] = app.database.number(&format!("SELECT count(*) FROM {table}")).await.into();
    }
    shown
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_document_is_as_it_was_before_the_run_wherever_the_cancel_meets_it() {
    // Before a worker has it; in the middle of its batches; with all in one transaction.
    for (chunks, batches) in [(6, 0), (6, 1), (6, 2), (1, 1)] {
        let (embedder, builder) = steered();
        let app = builder.set("queue.workers", 1).start().await;
        let collection = collection(&app).await;
        let mut first = document("first", 4);
        first["metadata"] = json!({ "edition": 1 });
        first["author"] = json!("Ada");
        first["tags"] = json!(["old"]);
        let there = id(&app.ingest_to_end(&collection, json!([first])).await["documents"][0]["document"]);
        app.drain().await;
        let before = everything(&app, &collection, &there).await;
        let calls = embedder.calls.load(SeqCst);
        let mut second = document("second", chunks);
        second["sourceUri"] = json!("first");
        second["metadata"] = json!({ "edition": 2 });
        second["author"] = json!("Bob");
        second["tags"] = json!(["new", "er"]);
        if batches == 0 {
            super::set_paused(&app, "ingest", true).await;
        } else {
            embedder.gate.shut();
        }
        let payload = app.ingest(&collection, json!([second])).await;
        let job = job_ids(&payload).remove(0);
        if batches > 0 {
            until_embedding(&embedder, calls + 1).await;
        }
        if batches == 2 {
            embedder.gate.pass_one();
            until_embedding(&embedder, calls + 2).await;
        }
        let seen = embedder.calls.load(SeqCst);
        assert_changed(&cancel(&app, std::slice::from_ref(&job)).await, 1);
        assert_eq!(state(&app, &job).await, "CANCELLED", "at once");
        embedder.gate.open();
        super::set_paused(&app, "ingest", false).await;
        // There is one worker: when the next document is through, it has given up the cancelled one.
        let next = app.ingest_to_end(&collection, json!([document("next", 1)])).await;
        assert_eq!(embedder.calls.load(SeqCst), seen + 1, "no batch was begun but that of the next document");
        app.delete_document(&id(&next["documents"][0]["document"])).await;
        let after = everything(&app, &collection, &there).await;
        assert_eq!(after, before, "{chunks} chunks, {batches} batches");
        assert_eq!(after["status"], "INDEXED");
        let events = app.progress(&id(&payload["run"]), None).await;
        let kinds: Vec<_> = events.iter().rev().take(2).map(|event| event["kind"].clone()).collect();
        assert_eq!(kinds, ["RUN_FINISHED", "DOCUMENT_CANCELLED"]);
        assert_eq!(events.last().expect("events")["run"]["state"], "CANCELLED");

        assert_changed(&retry(&app, std::slice::from_ref(&job)).await, 1);
        until_state(&app, &job, "SUCCEEDED").await;
        let complete = everything(&app, &collection, &there).await;
        assert_eq!((&complete["status"], &complete["chunkCount"]), (&json!("INDEXED"), &json!(chunks)));
        assert_eq!((&complete["metadata"], &complete["title"]), (&json!({ "edition": 2 }), &json!("second")));
        assert_eq!(complete["author"], "Bob");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_document_is_cancelled_with_no_chunk_left_and_complete_after_a_retry() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.workers", 1).start().await;
    let collection = collection(&app).await;
    embedder.gate.shut();
    let payload = app.ingest(&collection, json!([document("new", 6)])).await;
    let (jobs, document) = (job_ids(&payload), id(&payload["documents"][0]["document"]));
    until_embedding(&embedder, 1).await;
    assert_changed(&cancel(&app, &jobs).await, 1);
    let shown = app.document(&document).await;
    assert_eq!(
        (&shown["status"], &shown["chunkCount"], &shown["error"]),
        (&json!("CANCELLED"), &json!(0), &Json::Null)
    );
    embedder.gate.open();
    app.ingest_to_end(&collection, json!([super::document("next", 1)])).await;
    assert_eq!(app.database.number("SELECT count(*) FROM chunks WHERE text LIKE 'new%'").await, 0);
    assert_eq!(app.database.number("SELECT count(*) FROM embeddings").await, 1);
    assert!(
        app.search(&collection, "new0").await["hits"]
            .as_array()
            .expect("hits")
            .iter()
            .all(|hit| { hit["chunk"]["document"]["id"] != document })
    );
    let told = job(&app, &jobs[0], "attemptHistory { outcome endedAt } finishedAt leaseUntil worker { id }").await;
    assert_eq!(told["attemptHistory"][0]["outcome"], "CANCELLED");
    assert!(told["finishedAt"].is_string() && told["leaseUntil"].is_null() && told["worker"].is_null());

    assert_changed(&retry(&app, &jobs).await, 1);
    until_state(&app, &jobs[0], "SUCCEEDED").await;
    let shown = app.document(&document).await;
    assert_eq!((&shown["status"], &shown["chunkCount"]), (&json!("INDEXED"), &json!(6)));
    assert_eq!(app.database.number("SELECT count(*) FROM embeddings").await, 7);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_gives_its_worker_back_while_its_batch_is_still_embedded() {
    for chunks in [1, 6] {
        let (embedder, builder) = steered();
        let app = builder.set("queue.workers", 1).start().await;
        let collection = collection(&app).await;
        embedder.gate.shut();
        let jobs = job_ids(&app.ingest(&collection, json!([document("cancelled", chunks)])).await);
        until_embedding(&embedder, 1).await;
        assert_changed(&cancel(&app, &jobs).await, 1);
        // There is one worker, and the batch never ends: whoever is embedded next has the worker it held.
        let next = job_ids(&app.ingest(&collection, json!([document("next", 1)])).await);
        until_embedding(&embedder, 2).await;
        embedder.gate.open();
        until_state(&app, &next[0], "SUCCEEDED").await;
        assert_eq!(state(&app, &jobs[0]).await, "CANCELLED");
        assert_eq!(app.database.number("SELECT count(*) FROM embeddings").await, 1, "{chunks} chunks");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_in_any_state_can_be_deleted_and_its_job_is_cancelled_first() {
    for wanted in ["PENDING", "RUNNING", "RETRYING", "SUCCEEDED", "CANCELLED", "DEAD"] {
        let (embedder, builder) = steered();
        let app = builder.set("queue.backoff_base_ms", 3_600_000).set("queue.backoff_max_ms", 3_600_000).start().await;
        let collection = collection(&app).await;
        match wanted {
            "PENDING" | "CANCELLED" => drop(super::set_paused(&app, "ingest", true).await),
            "RUNNING" => embedder.gate.shut(),
            "RETRYING" => embedder.failures.store(1, SeqCst),
            _ => {}
        }
        let given = if wanted == "DEAD" { super::bad_document("gone") } else { document("gone", 6) };
        let payload = app.ingest(&collection, json!([given])).await;
        let jobs = job_ids(&payload);
        if wanted == "RUNNING" {
            until_embedding(&embedder, 1).await;
        }
        if wanted == "CANCELLED" {
            cancel(&app, &jobs).await;
        }
        until_state(&app, &jobs[0], wanted).await;
        let document = id(&payload["documents"][0]["document"]);
        app.delete_document(&document).await;
        assert_eq!(app.document(&document).await, Json::Null, "{wanted}");
        let expected = if matches!(wanted, "SUCCEEDED" | "DEAD") { wanted } else { "CANCELLED" };
        assert_eq!(state(&app, &jobs[0]).await, expected, "{wanted}");
        embedder.gate.open();
        super::set_paused(&app, "ingest", false).await;
        app.ingest_to_end(&collection, json!([super::document("next", 1)])).await;
        assert_eq!(app.database.number("SELECT count(*) FROM chunks WHERE text LIKE 'gone%'").await, 0, "{wanted}");
        assert_eq!(super::reasons(&retry(&app, &jobs).await), ["SUPERSEDED"], "{wanted}");
        let kind = app.progress(&id(&payload["run"]), None).await.last().expect("events")["kind"].clone();
        assert_eq!(kind, "RUN_FINISHED", "{wanted}");
    }
}
