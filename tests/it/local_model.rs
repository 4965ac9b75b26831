//! The real model: meaning without shared words, and token counts that are the tokenizer's own.

use std::sync::Arc;

use serde_json::json;
use vectorforge::embed::{Embedder, LocalModel, Purpose};

use crate::support::TestApp;
use crate::support::documents::chunks;

/// Most tokens that the model reads of a text, special tokens included.
const MODEL_LIMIT: u32 = 256;

fn model() -> Arc<LocalModel> {
    let found = LocalModel::packaged(None, 2).expect("the model's configuration is sound");
    Arc::new(found.expect("the model is not there: run `make runtime`, as `make test` does"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paragraph_is_found_by_its_meaning() {
    let app = TestApp::builder().embedder(model()).start().await;
    let collection = app.collection("docs").await;
    let paragraphs = [
        "The kitten curled up on the sofa and purred.",
        "Interest rates were raised by the central bank to fight inflation.",
        "Simmer the tomatoes with garlic and basil until thick.",
        "The rocket reached orbit eight minutes after launch.",
    ];
    let documents: Vec<_> = paragraphs.iter().map(|text| json!({ "source": { "text": text } })).collect();
    app.ingest_to_end(&collection, json!(documents)).await;
    for (query, paragraph) in [
        ("a young cat resting", 0),
        ("monetary policy and rising prices", 1),
        ("how do I cook pasta sauce?", 2),
        ("spacecraft flight", 3),
    ] {
        let found = app.search(&collection, query).await;
        assert_eq!(found["hits"][0]["chunk"]["text"], paragraphs[paragraph], "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tokens_of_every_chunk_are_counted_as_the_model_reads_them_and_stay_within_the_size() {
    let model = model();
    let app = TestApp::builder().embedder(model.clone()).start().await;
    let tokenizer = model.tokenizer().await.expect("the model loads");
    let text = "Straßenbahnhaltestelle, naïve café! 東京は日本の首都です。こんにちは世界。 Привет, как дела? 👩‍👩‍👧 ok 🎉🎉 \
        e\u{301}te\u{301} antidisestablishmentarianism x=1;y=2;z=3 https://example.com/a?b=c&d=e#f 서울은 한국의 수도입니다. \
        مرحبا بالعالم \u{200b}\u{ad}hyphen\u{ad}ated ﬁnancial Ⅷ ½ ";
    for size in [5, 32, 240] {
        let chunking = json!({ "size": size, "overlap": size / 4 });
        let collection = app.collection_with(json!({ "name": size.to_string(), "chunking": chunking })).await;
        let document = app.indexed(&collection, json!({ "source": { "text": text.repeat(6) } })).await;
        assert_eq!(document["status"], "INDEXED", "{document}");
        for chunk in chunks(&document) {
            let counted = tokenizer.offsets(chunk["text"].as_str().expect("a text")).len();
            assert_eq!(chunk["tokenCount"], counted, "{chunk}");
            assert!(counted <= size, "{counted} tokens, at most {size}: {chunk}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_a_text_longer_than_the_model_reads_the_beginning_counts() {
    let model = model();
    let beginning = "word ".repeat(MODEL_LIMIT as usize);
    let texts = vec![beginning.clone(), format!("{beginning} and an end that nobody reads"), "another".to_owned()];
    let embedded = model.embed(texts, Purpose::Document).await.expect("the model runs");
    assert_eq!([embedded[0].tokens, embedded[1].tokens], [MODEL_LIMIT; 2]);
    assert_eq!(embedded.iter().map(|one| one.truncated).collect::<Vec<_>>(), [true, true, false]);
    assert_eq!(embedded[0].vector, embedded[1].vector);
    assert_ne!(embedded[0].vector, embedded[2].vector);

    let app = TestApp::builder().embedder(model).start().await;
    let collection = app.collection_with(json!({ "name": "docs", "chunking": { "size": 1000 } })).await;
    let document = app.indexed(&collection, json!({ "source": { "text": beginning } })).await;
    assert_eq!((&document["status"], &document["tokenCount"]), (&json!("INDEXED"), &json!(MODEL_LIMIT)));

    for (query, cut_at) in [(&beginning, json!(MODEL_LIMIT)), (&"word ".to_owned(), json!(null))] {
        let found = app.search(&collection, query).await;
        assert_eq!(found["info"]["queryCutAtTokens"], cut_at, "{} bytes", query.len());
    }
}
