//! Taking documents in: text of every kind, ready-made chunks, and what becomes of a document that is known already.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::documents::{chunks, each};
use crate::support::embedder::WordEmbedder;
use crate::support::gql::id;
use crate::support::vectors::random;

/// Texts whose characters are one to four bytes, combined, right to left, or none that a reader sees.
const MULTILINGUAL: [&str; 6] = [
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich. Ça suffit, garçon ! Ñandú à la crème brûlée.",
    "春はあけぼの。やうやう白くなりゆく山際、少し明かりて、紫だちたる雲の細くたなびきたる。夏は夜。月のころはさらなり。",
    "👩‍👩‍👧‍👦 a family 🏳️‍🌈 a flag 👍🏽 a thumb; e\u{301}te\u{301} and a\u{30a}ngstro\u{308}m with combining marks, 𝔘𝔫𝔦𝔠𝔬𝔡𝔢 beyond the plane.",
    "الحياة جميلة. هل تسمعني؟ نعم، أسمعك جيدا. שלום עולם, מה שלומך היום? אני בסדר גמור, תודה רבה.",
    "\u{feff}begins with a mark\u{200b}of\u{a0}order\u{2028}and line\r\nends of\rall kinds\u{c}here\tthere",
    "हिन्दी में एक वाक्य। दूसरा वाक्य यहाँ है। ประโยคภาษาไทยไม่มีช่องว่าง 한국어 문장도 있습니다. Добрый день, мир.",
];

async fn outcomes(app: &TestApp, collection: &str, documents: Json) -> (Vec<Json>, Vec<String>) {
    let payload = app.ingest_to_end(collection, documents).await;
    let taken = payload["documents"].as_array().expect("documents").clone();
    (each(&taken, "outcome"), taken.iter().map(|taken| id(&taken["document"])).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_a_thousand_characters_in_any_script_is_a_source_like_any_other() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    // As the command line and scheduled sources write it: nine bytes for each character.
    let folder = "%E6%9D%B1%E4%BA%AC".repeat(50);
    let uri = format!("file:///{}notes.md", format!("{folder}/").repeat(11));
    let document = |text: &str| json!([{ "source": { "text": text }, "sourceUri": uri }]);
    app.ingest_to_end(&collection, document("first")).await;
    let again = app.ingest_to_end(&collection, document("second")).await;
    assert_eq!(again["documents"][0]["outcome"], "REPLACED");
    let query = "query($id: ID!, $uri: String!, $prefix: String!) { collection(id: $id) {
        one: documents(sourceUri: $uri) { totalCount } under: documents(sourceUriPrefix: $prefix) { totalCount }
        none: documents(sourceUriPrefix: \"file:///elsewhere/\") { totalCount } } }";
    let prefix = format!("file:///{folder}/");
    let counts = app.data(query, json!({ "id": collection, "uri": uri, "prefix": prefix })).await;
    let expected = json!({ "one": { "totalCount": 1 }, "under": { "totalCount": 1 }, "none": { "totalCount": 0 } });
    assert_eq!(counts["collection"], expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_chunk_is_the_slice_of_the_text_that_its_offsets_say() {
    let app = TestApp::start().await;
    for (size, unit) in [(3, "TOKENS"), (7, "CHARACTERS"), (40, "CHARACTERS")] {
        let chunking = json!({ "size": size, "overlap": 1, "unit": unit });
        let collection = app.collection_with(json!({ "name": format!("{size} {unit}"), "chunking": chunking })).await;
        let all = MULTILINGUAL.join("\n\n");
        let markdown = MULTILINGUAL.map(|text| format!("# {text}\n\n{text}\n\n- `{text}`\n")).concat();
        let html = MULTILINGUAL.map(|text| format!("<h2>{text}</h2><p>{text}&amp;&#x1F600;<td>{text}")).concat();
        let sources = [(all, "text/plain"), (markdown, "text/markdown"), (html, "text/html")];
        let plain = MULTILINGUAL.map(|text| (text.to_owned(), "text/plain"));
        for (text, content_type) in plain.into_iter().chain(sources) {
            let document = json!({ "source": { "text": text }, "contentType": content_type });
            let document = app.indexed(&collection, document).await;
            assert_eq!(document["status"], "INDEXED", "{document}");
            let source: Vec<char> = document["text"].as_str().expect("a text").chars().collect();
            assert!(!chunks(&document).is_empty());
            for chunk in chunks(&document) {
                let place = |field: &str| usize::try_from(chunk[field].as_u64().expect("an offset")).expect("small");
                let slice: String = source[place("startChar")..place("endChar")].iter().collect();
                assert_eq!(chunk["text"], slice, "{unit} {size} of {content_type}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_and_headings_are_found_in_the_content() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let html =
        "<html><head><title>The &amp; Title</title></head><body><p>intro<h1>One</h1><p>first<h2>Two</h2><p>second";
    for (content_type, text, title, paths) in [
        ("text/plain", "# no heading\n\nplain", json!(null), json!([[]])),
        (
            "text/markdown",
            "intro\n\n# One\n\nfirst\n\n## Two\n\nsecond\n\n# Three\n\nthird",
            json!("One"),
            json!([[], ["One"], ["One", "Two"], ["Three"]]),
        ),
        ("text/html", html, json!("The & Title"), json!([[], ["One"], ["One", "Two"]])),
    ] {
        let document =
            app.indexed(&collection, json!({ "source": { "text": text }, "contentType": content_type })).await;
        assert_eq!(document["title"], title, "{content_type}");
        assert_eq!(Json::from(each(chunks(&document), "headingPath")), paths, "{content_type}");
        assert_eq!(document["contentType"], content_type);
    }
    let given = json!({ "source": { "text": "# Found" }, "contentType": "text/markdown", "title": "Given" });
    assert_eq!(app.indexed(&collection, given).await["title"], "Given");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_document_is_unchanged_or_replaced_by_its_source_or_else_by_its_content() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let text = |text: &str| json!({ "source": { "text": text } });
    let from = |uri: &str, text: &str| json!({ "sourceUri": uri, "source": { "text": text } });
    let (first, ids) = outcomes(&app, &collection, json!([text("a"), from("x:1", "a"), text("a"), text("b")])).await;
    assert_eq!(first, ["ACCEPTED", "ACCEPTED", "UNCHANGED", "ACCEPTED"]);
    assert_eq!(ids[0], ids[2], "the same content twice in one call is one document");
    assert_ne!(ids[0], ids[1], "the same content from a source is another");

    let (second, again) =
        outcomes(&app, &collection, json!([text("a"), from("x:1", "c"), from("x:2", "a"), text("c")])).await;
    assert_eq!(second, ["UNCHANGED", "REPLACED", "ACCEPTED", "ACCEPTED"]);
    assert_eq!(again[..2], ids[..2], "a replaced document keeps its id");
    let replaced = app.document(&ids[1]).await;
    assert_eq!([&replaced["text"], &replaced["chunkCount"]], [&json!("c"), &json!(1)]);

    let as_markdown = json!({ "sourceUri": "x:1", "source": { "text": "c" }, "contentType": "text/markdown" });
    assert_eq!(
        outcomes(&app, &collection, json!([as_markdown])).await.0,
        ["REPLACED"],
        "read otherwise, it is other content"
    );
    let elsewhere = app.collection("elsewhere").await;
    assert_eq!(outcomes(&app, &elsewhere, json!([from("x:1", "c")])).await.0, ["ACCEPTED"], "collections do not mix");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unchanged_document_takes_over_the_attributes_that_are_given() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let mut document =
        json!({ "source": { "text": "a" }, "title": "Old", "author": "Ann", "tags": ["t"], "metadata": { "k": 1 } });
    app.indexed(&collection, document.clone()).await;
    for (given, expected) in [
        (json!({ "title": "New" }), json!(["New", "Ann", ["t"], { "k": 1 }])),
        (json!({ "author": "Bob", "tags": ["u", "v"] }), json!(["New", "Bob", ["u", "v"], { "k": 1 }])),
        (json!({ "metadata": { "l": 2 } }), json!(["New", "Bob", ["u", "v"], { "l": 2 }])),
        (json!({}), json!(["New", "Bob", ["u", "v"], { "l": 2 }])),
    ] {
        document = json!({ "source": { "text": "a" } });
        document.as_object_mut().expect("an object").extend(given.as_object().expect("an object").clone());
        let now = app.indexed(&collection, document.clone()).await;
        assert_eq!(json!([now["title"], now["author"], now["tags"], now["metadata"]]), expected, "{given}");
        assert_eq!(now["status"], "INDEXED");
    }
    assert_eq!(app.database.number("SELECT count(*) FROM jobs").await, 1, "no job but the first");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_document_is_accepted_again_and_tried_anew() {
    let embedder = Arc::new(WordEmbedder { failures: AtomicUsize::new(2), ..WordEmbedder::default() });
    let app = TestApp::builder().embedder(embedder).set("queue.max_attempts", 2).start().await;
    let collection = app.collection("docs").await;
    let failed = app.indexed(&collection, json!({ "source": { "text": "a" } })).await;
    assert_eq!([&failed["status"], &failed["error"]["code"]], ["ERROR", "UNAVAILABLE"]);
    assert_eq!(app.search(&collection, "a").await["hits"], json!([]));

    let (outcome, ids) = outcomes(&app, &collection, json!([{ "source": { "text": "a" } }])).await;
    assert_eq!((outcome[0].as_str(), &ids[0]), (Some("ACCEPTED"), &id(&failed)));
    let document = app.document(&ids[0]).await;
    assert_eq!((&document["status"], &document["error"]), (&json!("INDEXED"), &Json::Null));
}

#[tokio::test(flavor = "multi_thread")]
async fn vectors_of_any_dimension_are_stored_and_found() {
    let app = TestApp::start().await;
    for dimensions in [1, 3, 768, 2_500, 4_500] {
        let name = format!("own {dimensions}");
        let embedding = json!({ "dimensions": dimensions });
        let collection = app.collection_with(json!({ "name": name, "embedding": embedding, "metric": "L2" })).await;
        let vectors = random(dimensions as u64, 5, dimensions);
        let document = app.indexed(&collection, crate::support::vectors::document("doc", &vectors, json!({}))).await;
        assert_eq!(document["text"], "doc 0\n\ndoc 1\n\ndoc 2\n\ndoc 3\n\ndoc 4");
        assert_eq!(document["tokenCount"], 0, "no model counts");
        for (index, vector) in vectors.iter().enumerate() {
            let query = json!({ "collectionId": collection, "query": { "vector": vector }, "first": 1 });
            let hit = app.search_with(query).await["hits"][0].take();
            assert_eq!((&hit["chunk"]["index"], &hit["score"]), (&json!(index), &json!(1.0)), "{dimensions}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_made_chunks_get_the_vectors_that_they_lack() {
    let embedder = Arc::new(WordEmbedder::default());
    // Two chunks a batch: vectors that were brought must find their chunks in later batches too.
    let app = TestApp::builder().embedder(embedder.clone()).set("embedding.batch_size", 2).start().await;
    let collection = app.collection("docs").await;
    let vectors = random(1, 5, crate::support::embedder::DIMENSIONS.into());
    let chunk = |index: usize| match index % 2 {
        0 => json!({ "text": format!("number {index} 💥"), "vector": vectors[index] }),
        _ => json!({ "text": format!("number {index} 💥") }),
    };
    let document =
        app.indexed(&collection, json!({ "source": { "chunks": (0..5).map(chunk).collect::<Vec<_>>() } })).await;
    assert_eq!(each(chunks(&document), "startChar"), [0, 12, 24, 36, 48]);
    assert_eq!(each(chunks(&document), "tokenCount"), [3; 5]);
    for (index, brought) in vectors.iter().enumerate() {
        let made = crate::support::embedder::embed(&format!("number {index} 💥")).vector;
        let vector = if index % 2 == 0 { brought } else { &made };
        let query = json!({ "collectionId": collection, "query": { "vector": vector }, "first": 1 });
        let hit = app.search_with(query).await["hits"][0].take();
        assert_eq!(hit["chunk"]["index"], index);
        assert!(hit["score"].as_f64().expect("a score") > 0.999_999, "{hit}");
    }
    let run = app
        .data(
            "query($id: ID!) { node(id: $id) { ... on Document { job { run { tokens chunksTotal } } } } }",
            json!({ "id": document["id"] }),
        )
        .await;
    let expected = json!({ "tokens": 6, "chunksTotal": 5 });
    assert_eq!(run["node"]["job"]["run"], expected, "only what the model read is counted");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_counts_documents_chunks_and_tokens() {
    let embedder = Arc::new(WordEmbedder::default());
    let app = TestApp::builder().embedder(embedder).start().await;
    let collection = app.collection_with(json!({ "name": "docs", "chunking": { "size": 2 } })).await;
    let documents = json!([{ "source": { "text": "one two three" } }, { "source": { "text": "four" } }, { "source": { "text": "four" } }]);
    let payload = app.ingest_to_end(&collection, documents).await;
    let fields = "query($id: ID!) { run(id: $id) { state documentsTotal documentsDone documentsFailed chunksTotal
        chunksEmbedded tokens } collections { edges { node { documentCount chunkCount } } } }";
    let data = app.data(fields, json!({ "id": payload["run"]["id"] })).await;
    let expected = json!({ "state": "SUCCEEDED", "documentsTotal": 3, "documentsDone": 3, "documentsFailed": 0,
        "chunksTotal": 3, "chunksEmbedded": 3, "tokens": 4 });
    assert_eq!(data["run"], expected);
    assert_eq!(data["collections"]["edges"][0]["node"], json!({ "documentCount": 2, "chunkCount": 3 }));
}
