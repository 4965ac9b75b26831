//! Bad documents: the whole call is refused by the field of one of them, with nothing written.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::embedder::WordEmbedder;
use crate::support::gql::id;
use crate::support::refusal::Refusals;

const INGEST: &str = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) { run { id } } }";

/// A good document, then this one: the second is the one to be named.
fn second(collection: &str, document: Json) -> Json {
    let documents = json!([{ "source": { "text": "good" } }, document]);
    json!({ "input": { "collectionId": collection, "documents": documents } })
}

/// A document of these chunks.
fn chunks(chunks: Json) -> Json {
    json!({ "source": { "chunks": chunks } })
}

#[tokio::test]
async fn a_document_with_a_wrong_field_is_refused_and_the_good_one_beside_it_is_not_taken() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let refusals = Refusals::of(&app).await;
    let tags: Vec<_> = (0..101).map(|n| n.to_string()).collect();
    for (field, value, code, path) in [
        ("source", json!({ "text": "" }), "BAD_USER_INPUT", "source.text"),
        ("source", json!({ "text": " \r\n\t\u{a0}\u{3000}" }), "BAD_USER_INPUT", "source.text"),
        ("source", json!({ "text": "\u{feff} " }), "BAD_USER_INPUT", "source.text"),
        ("source", json!({ "text": "a\0b" }), "BAD_USER_INPUT", "source.text"),
        ("source", json!({ "text": "%PDF-1.4\n1 0 obj\n" }), "UNSUPPORTED_CONTENT_TYPE", "source.text"),
        ("source", json!({ "text": "{\\rtf1\\ansi x}" }), "UNSUPPORTED_CONTENT_TYPE", "source.text"),
        ("title", json!(""), "BAD_USER_INPUT", "title"),
        ("title", json!("é".repeat(256)), "BAD_USER_INPUT", "title"),
        ("title", json!("a\0b"), "BAD_USER_INPUT", "title"),
        ("author", json!(" "), "BAD_USER_INPUT", "author"),
        ("author", json!("a\0b"), "BAD_USER_INPUT", "author"),
        ("sourceUri", json!(""), "BAD_USER_INPUT", "sourceUri"),
        ("sourceUri", json!("a\0b"), "BAD_USER_INPUT", "sourceUri"),
        ("sourceUri", json!("x".repeat(2_049)), "BAD_USER_INPUT", "sourceUri"),
        ("sourceUri", json!(format!("file:///{}", "%E6%97%A5".repeat(2_041))), "BAD_USER_INPUT", "sourceUri"),
        ("tags", json!(["a", "b\0"]), "BAD_USER_INPUT", "tags.1"),
        ("tags", json!([""]), "BAD_USER_INPUT", "tags.0"),
        ("tags", json!(["x".repeat(256)]), "BAD_USER_INPUT", "tags.0"),
        ("tags", json!(tags), "BAD_USER_INPUT", "tags"),
        ("metadata", json!([1]), "BAD_USER_INPUT", "metadata"),
        ("metadata", json!("x"), "BAD_USER_INPUT", "metadata"),
        ("metadata", json!(false), "BAD_USER_INPUT", "metadata"),
        ("metadata", json!({ "a": "x\0" }), "BAD_USER_INPUT", "metadata"),
        ("metadata", json!({ "a\0": { "b": 1 } }), "BAD_USER_INPUT", "metadata"),
        ("metadata", json!({ "a": "x".repeat(64 * 1024) }), "PAYLOAD_TOO_LARGE", "metadata"),
        ("contentType", json!("application/zip"), "UNSUPPORTED_CONTENT_TYPE", "contentType"),
        ("contentType", json!(""), "UNSUPPORTED_CONTENT_TYPE", "contentType"),
        ("contentType", json!("text/plain\0"), "UNSUPPORTED_CONTENT_TYPE", "contentType"),
        ("contentType", json!("text/html; charset=iso-8859-1"), "UNSUPPORTED_CONTENT_TYPE", "contentType"),
        ("contentType", json!("x".repeat(10_000)), "UNSUPPORTED_CONTENT_TYPE", "contentType"),
    ] {
        let mut document = json!({ "source": { "text": "cats" } });
        document[field] = value;
        let path = format!("input.documents.1.{path}");
        refusals.check([(INGEST, second(&collection, document), code, path.as_str())]).await;
    }
    refusals.are_kept_as("refused_documents");
    refusals.left_nothing().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_made_chunk_that_was_taken_in_by_a_process_without_its_model_fails_by_its_place() {
    let taking = TestApp::builder().without_workers().start().await;
    let collection = taking.collection("docs").await;
    let documents =
        json!([chunks(json!([{ "text": "a b c" }, { "text": "a b c d" }])), chunks(json!([{ "text": "a" }]))]);
    let payload = taking.ingest(&collection, documents).await;
    let reading = Arc::new(WordEmbedder { longest: Some(3), ..WordEmbedder::default() });
    let app = TestApp::builder().embedder(reading).database(taking.database.clone()).start().await;
    app.drain().await;
    let failed = app.document(&id(&payload["documents"][0]["document"])).await;
    assert_eq!((&failed["status"], &failed["error"]["code"]), (&json!("ERROR"), &json!("BAD_USER_INPUT")), "{failed}");
    let message = failed["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("document.chunks.1: got 4 tokens, expected at most 3 tokens"), "{message}");
    assert_eq!(app.document(&id(&payload["documents"][1]["document"])).await["status"], "INDEXED");
}

#[tokio::test]
async fn collections_with_vectors_of_their_own_have_no_longest_chunk() {
    let reading = Arc::new(WordEmbedder { longest: Some(3), ..WordEmbedder::default() });
    let app = TestApp::builder().embedder(reading).without_workers().start().await;
    let own = app.collection_with(json!({ "name": "own", "embedding": { "dimensions": 2 } })).await;
    let long = json!([{ "text": "a b c d e f", "vector": [1, 0] }]);
    app.ingest(&own, json!([chunks(long)])).await;
}

#[tokio::test]
async fn chunks_that_do_not_fit_the_collection_are_refused_by_their_place() {
    let app = TestApp::builder().without_workers().set("ingest.chunks_limit", 4).start().await;
    let model = app.collection("model").await;
    let own = |name, metric| json!({ "name": name, "embedding": { "dimensions": 2 }, "metric": metric });
    let cosine = app.collection_with(own("cosine", "COSINE")).await;
    let l2 = app.collection_with(own("l2", "L2")).await;
    let refusals = Refusals::of(&app).await;
    let base64 = |x: f32, y: f32| json!(STANDARD.encode([x.to_le_bytes(), y.to_le_bytes()].concat()));
    let one = |vector: Json| json!([{ "text": "a", "vector": [1, 0] }, { "text": "b", "vector": vector }]);
    for (collection, list, code, path) in [
        (&model, json!([]), "BAD_USER_INPUT", ""),
        (&model, json!(vec![json!({ "text": "a" }); 5]), "PAYLOAD_TOO_LARGE", ""),
        (&model, json!([{ "text": "a" }, { "text": " " }]), "BAD_USER_INPUT", ".1.text"),
        (&model, json!([{ "text": "" }]), "BAD_USER_INPUT", ".0.text"),
        (&model, json!([{ "text": "a\0" }]), "BAD_USER_INPUT", ".0.text"),
        (&model, json!([{ "text": "a", "vector": [1, 2] }]), "DIMENSION_MISMATCH", ".0.vector"),
        (&cosine, json!([{ "text": "a" }]), "BAD_USER_INPUT", ".0.vector"),
        (&cosine, one(json!([])), "DIMENSION_MISMATCH", ".1.vector"),
        (&cosine, one(json!([1])), "DIMENSION_MISMATCH", ".1.vector"),
        (&cosine, one(json!([1, 2, 3])), "DIMENSION_MISMATCH", ".1.vector"),
        (&cosine, one(json!([0, 0])), "BAD_USER_INPUT", ".1.vector"),
        (&cosine, one(json!([1e-30, 0])), "BAD_USER_INPUT", ".1.vector"),
        (&cosine, one(json!([0, 1e39])), "BAD_USER_INPUT", ".1.vector.1"),
        (&cosine, one(json!([-1e39, 0])), "BAD_USER_INPUT", ".1.vector.0"),
        (&cosine, one(base64(f32::NAN, 1.0)), "BAD_USER_INPUT", ".1.vector.0"),
        (&l2, one(base64(1.0, f32::INFINITY)), "BAD_USER_INPUT", ".1.vector.1"),
        (&l2, one(json!([3e38, 3e38])), "BAD_USER_INPUT", ".1.vector"),
    ] {
        let input = json!({ "input": { "collectionId": collection, "documents": [chunks(list)] } });
        let path = format!("input.documents.0.source.chunks{path}");
        refusals.check([(INGEST, input, code, path.as_str())]).await;
    }
    let mut typed = chunks(json!([{ "text": "a" }]));
    typed["contentType"] = json!("text/plain");
    let typed = json!({ "input": { "collectionId": model, "documents": [typed] } });
    let text = json!({ "input": { "collectionId": cosine, "documents": [{ "source": { "text": "no model" } }] } });
    refusals
        .check([
            (INGEST, typed, "BAD_USER_INPUT", "input.documents.0.contentType"),
            (INGEST, text, "BAD_USER_INPUT", "input.documents.0.source"),
        ])
        .await;
    refusals.are_kept_as("refused_chunks");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn a_call_with_no_documents_too_many_or_two_of_one_source_is_refused() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let refusals = Refusals::of(&app).await;
    let from = |uri: &str| json!({ "source": { "text": uri }, "sourceUri": uri });
    let many = vec![json!({ "source": { "text": "x" } }); 1_001];
    for (documents, code, field) in [
        (json!([]), "BAD_USER_INPUT", "input.documents"),
        (json!(many), "PAYLOAD_TOO_LARGE", "input.documents"),
        (json!([from("a"), from("b"), from("a")]), "BAD_USER_INPUT", "input.documents.2.sourceUri"),
    ] {
        let input = json!({ "input": { "collectionId": collection, "documents": documents } });
        refusals.check([(INGEST, input, code, field)]).await;
    }
    refusals.are_kept_as("refused_calls");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn a_document_one_byte_over_the_limit_is_refused_and_one_of_the_limit_is_taken() {
    let ten_mib = 10 * 1024 * 1024;
    // However long a loaded machine takes for twenty megabytes.
    let patient = || TestApp::builder().without_workers().set("http.request_timeout_ms", 600_000);
    let by_default = patient().start().await;
    let by_setting = patient().set("ingest.document_limit_bytes", 100).start().await;
    for (app, limit) in [(by_default, ten_mib), (by_setting, 100)] {
        let collection = app.collection("docs").await;
        let refusals = Refusals::of(&app).await;
        let text = |bytes: usize| json!({ "text": "x".repeat(bytes) });
        let halves = |bytes: usize| json!({ "chunks": [text(bytes / 2), text(bytes - bytes / 2)] });
        for (source, field) in [(text(limit + 1), "source.text"), (halves(limit + 1), "source.chunks")] {
            let input = second(&collection, json!({ "source": source }));
            let field = format!("input.documents.1.{field}");
            refusals.check([(INGEST, input, "PAYLOAD_TOO_LARGE", field.as_str())]).await;
        }
        refusals.left_nothing().await;
        app.ingest(&collection, json!([{ "source": text(limit) }, { "source": halves(limit) }])).await;
        assert_eq!(app.database.number("SELECT count(*) FROM jobs").await, 2);
    }
}
