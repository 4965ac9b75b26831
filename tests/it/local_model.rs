//! The real model: meaning without shared words, and token counts that are the tokenizer's own.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use async_trait::async_trait;
use models::{Embedded, Embedder, LocalModel, LocalOptions, ModelFault, Purpose, Readiness, Tokenize};
use serde_json::json;

use crate::support::TestApp;
use crate::support::documents::chunks;

/// Most tokens that the model reads of a text, special tokens included.
const MODEL_LIMIT: u32 = 256;

const CREATE: &str =
    "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";

/// The exact one and the rounded one.
fn models() -> [Arc<LocalModel>; 2] {
    let options = LocalOptions { threads: 2, ..LocalOptions::default() };
    let found =
        LocalModel::packaged(&settings::runtime_dirs(None), &options).expect("the model's configuration is sound");
    found.expect("the model is not there: run `make runtime`, as `make test` does").map(Arc::new)
}

fn model() -> Arc<LocalModel> {
    let [exact, _] = models();
    exact
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
    let collection =
        app.collection_with(json!({ "name": "docs", "chunking": { "size": 2000, "unit": "CHARACTERS" } })).await;
    let document = app.indexed(&collection, json!({ "source": { "text": beginning } })).await;
    assert_eq!(document["status"], "INDEXED", "{document}");

    for (query, cut_at) in [(&beginning, json!(MODEL_LIMIT)), (&"word ".to_owned(), json!(null))] {
        let found = app.search(&collection, query).await;
        assert_eq!(found["info"]["queryCutAtTokens"], cut_at, "{} bytes", query.len());
    }
}

/// The model, and how many texts of documents it did not read whole.
struct Watched {
    model: Arc<LocalModel>,
    truncated: AtomicUsize,
}

#[async_trait]
impl Embedder for Watched {
    fn model(&self) -> &str {
        self.model.model()
    }

    fn dimensions(&self) -> u32 {
        self.model.dimensions()
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Embedded>, ModelFault> {
        let embedded = self.model.embed(texts, purpose).await?;
        if purpose == Purpose::Document {
            self.truncated.fetch_add(embedded.iter().filter(|one| one.truncated).count(), SeqCst);
        }
        Ok(embedded)
    }

    async fn tokenizer(&self) -> Result<Arc<dyn Tokenize>, ModelFault> {
        self.model.tokenizer().await
    }

    fn longest_chunk(&self) -> Option<u32> {
        self.model.longest_chunk()
    }

    fn readiness(&self) -> Readiness {
        self.model.readiness()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_chunk_size_in_characters_says_the_model_reads_every_chunk_whole() {
    let watched = Arc::new(Watched { model: model(), truncated: AtomicUsize::new(0) });
    let app = TestApp::builder().embedder(watched.clone()).start().await;
    let words = "The harbour opens at six in the morning. ".repeat(80);
    let texts = [
        format!("{words}\n\nThe last sentence is about penguins."),
        "東京は日本の首都であり世界最大の都市の一つ".repeat(60),
        "서울은 한국의 수도이다 ".repeat(120),
        "a,b;c:d!e?f".repeat(300),
    ];
    for (size, overlap) in [(32_768, 0), (32_768, 16_384), (1_500, 300)] {
        let chunking = json!({ "size": size, "overlap": overlap, "unit": "CHARACTERS" });
        let collection =
            app.collection_with(json!({ "name": format!("{size} {overlap}"), "chunking": chunking })).await;
        for text in &texts {
            let document = app.indexed(&collection, json!({ "source": { "text": text } })).await;
            assert_eq!(document["status"], "INDEXED", "{document}");
            assert!(document["chunkCount"].as_u64() > Some(1), "{document}");
            for chunk in chunks(&document) {
                let tokens = chunk["tokenCount"].as_u64().expect("counted");
                assert!(tokens <= u64::from(MODEL_LIMIT) - 2, "{tokens} tokens: {chunk}");
            }
        }
        let found = app.search(&collection, "The last sentence is about penguins.").await;
        let text = found["hits"][0]["chunk"]["text"].as_str().expect("a text");
        assert!(text.contains("penguins"), "the end is found: {text}");
    }
    assert_eq!(watched.truncated.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ready_made_chunk_that_the_model_would_not_read_whole_is_refused_by_its_place() {
    let watched = Arc::new(Watched { model: model(), truncated: AtomicUsize::new(0) });
    let app = TestApp::builder().embedder(watched.clone()).start().await;
    let collection = app.collection("docs").await;
    let (fits, too_long) = ("word ".repeat(254), "word ".repeat(255));
    let good = json!({ "source": { "chunks": [{ "text": fits }] } });
    let bad = json!({ "source": { "chunks": [{ "text": "short" }, { "text": too_long }] } });
    let ingest = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) { run { id } } }";
    let input = json!({ "input": { "collectionId": collection, "documents": [good, bad] } });
    let refusal = app.refusal(ingest, input).await;
    assert_eq!((&refusal["code"], &refusal["got"]), (&json!("BAD_USER_INPUT"), &json!("255 tokens")), "{refusal}");
    assert_eq!(refusal["field"], "input.documents.1.source.chunks.1.text");
    assert!(refusal["expected"].as_str().expect("told").starts_with("at most 254 tokens"), "{refusal}");
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 0);

    // A vector of the caller's own stands for the whole chunk; nothing is left out.
    let own = json!({ "source": { "chunks": [{ "text": "word ".repeat(300), "vector": vec![1; 384] }] } });
    for document in [good, own] {
        assert_eq!(app.indexed(&collection, document).await["status"], "INDEXED");
    }
    assert_eq!(watched.truncated.load(SeqCst), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_longer_than_the_model_reads_is_refused_and_one_as_long_is_not() {
    let app = TestApp::builder().embedder(model()).start().await;
    let room = MODEL_LIMIT - 2;
    let input = |size| json!({ "input": { "name": "docs", "chunking": { "size": size } } });
    let refusal = app.refusal(CREATE, input(room + 1)).await;
    assert_eq!(refusal["field"], "input.chunking.size", "{refusal}");
    let message = refusal["message"].as_str().expect("a message");
    assert!(message.contains("255") && message.contains("at most 254 tokens"), "{message}");
    app.data(CREATE, input(room)).await;
    let known = app.data("{ embeddingModels { name longestChunk } }", json!({})).await;
    assert_eq!(known["embeddingModels"][0]["longestChunk"], room);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_default_chunk_is_as_long_as_the_model_reads() {
    let app =
        TestApp::builder().embedder(model()).set("chunking.size", 1000).set("chunking.overlap", 500).start().await;
    app.collection("docs").await;
    let found = app.data("{ collectionByName(name: \"docs\") { chunking { size overlap } } }", json!({})).await;
    assert_eq!(found["collectionByName"]["chunking"], json!({ "size": 254, "overlap": 127 }));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rounded_model_is_chosen_by_its_name_where_it_is_faster_and_served_everywhere() {
    let [exact, rounded] = models();
    let app = TestApp::builder().embedder(exact.clone()).embedder(rounded.clone()).start().await;
    let known = app.data("{ embeddingModels { name dimensions isDefault } }", json!({})).await;
    let entry = |name: &str, is_default: bool| json!({ "name": name, "dimensions": 384, "isDefault": is_default });
    let (first, second) = (entry("local/all-MiniLM-L6-v2", true), entry("local/all-MiniLM-L6-v2:bf16", false));

    let input = json!({ "input": { "name": "fast", "embedding": { "model": rounded.model() } } });
    if rounded.is_offered() {
        assert_eq!(known["embeddingModels"], json!([first, second]));
        app.data(CREATE, input).await;
    } else {
        assert_eq!(known["embeddingModels"], json!([first]));
        let refusal = app.refusal(CREATE, input).await;
        assert_eq!(refusal["field"], "input.embedding.model", "{refusal}");
        // As another machine's process would have made it.
        app.collection("fast").await;
        app.database.execute("UPDATE embedding_spaces SET model = 'local/all-MiniLM-L6-v2:bf16'").await;
    }
    let fast = app.data("{ collectionByName(name: \"fast\") { id embedding { model } } }", json!({})).await;
    let fast = &fast["collectionByName"];
    assert_eq!(fast["embedding"]["model"], rounded.model());
    let fast = fast["id"].as_str().expect("an id");

    let text = "The ferry leaves the harbour at six in the morning.";
    let document = app.indexed(fast, json!({ "source": { "text": text } })).await;
    assert_eq!(document["status"], "INDEXED", "{document}");
    let stored = app.database.texts("SELECT embedding::text FROM embeddings").await;
    let stored: Vec<f32> = serde_json::from_str(&stored[0]).expect("a vector is a list of numbers");
    let mut made = Vec::new();
    for model in [exact, rounded] {
        made.push(
            model.embed(vec![text.to_owned()], Purpose::Document).await.expect("the model runs").remove(0).vector,
        );
    }
    assert!(stored == made[1] && stored != made[0], "the vectors of a space are those of its model");
    let cosine: f32 = made[0].iter().zip(&made[1]).map(|(exact, rounded)| exact * rounded).sum();
    assert!(cosine > 0.9999, "cosine {cosine}");
    let found = app.search(fast, text).await;
    assert!(found["hits"][0]["score"].as_f64().expect("a score") > 0.999, "{found}");
}
