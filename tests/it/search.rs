//! Search: scores, order and filters against a comparison of everything, made here.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use crate::support::documents::{chunks, each};
use crate::support::embedder::WordEmbedder;
use crate::support::gql::id;
use crate::support::vectors::{document, nearest, random};
use crate::support::{PATIENCE, TestApp};

fn near(a: &Json, b: f64) -> bool {
    (a.as_f64().expect("a score") - b).abs() < 1e-5 * b.abs().max(1.0)
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_and_order_are_those_of_comparing_every_vector() {
    let app = TestApp::start().await;
    let vectors = random(1, 40, 8);
    for metric in ["COSINE", "L2", "INNER_PRODUCT"] {
        let input = json!({ "name": metric, "embedding": { "dimensions": 8 }, "metric": metric });
        let collection = app.collection_with(input).await;
        app.indexed(&collection, document("doc", &vectors, json!({}))).await;
        for query in random(2, 5, 8) {
            let input = json!({ "collectionId": collection, "query": { "vector": query }, "first": 7 });
            let found = app.search_with(input).await;
            let hits = found["hits"].as_array().expect("hits");
            let expected = nearest(metric, &query, &vectors, 7);
            let places: Vec<_> = expected.iter().map(|(place, _)| json!(place)).collect();
            assert_eq!(each(hits.iter().map(|hit| &hit["chunk"]), "index"), places, "{metric}");
            assert_eq!(each(hits, "rank"), [1, 2, 3, 4, 5, 6, 7]);
            for (hit, (_, score)) in hits.iter().zip(expected) {
                assert!(near(&hit["score"], score), "{metric}: {} is not {score}", hit["score"]);
            }
            let info = &found["info"];
            assert_eq!(
                [&info["exact"], &info["index"], &info["shortfall"]],
                [&json!(true), &json!("EXACT"), &Json::Null]
            );
            assert_eq!([&info["requested"], &info["returned"]], [7, 7]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_finds_the_chunks_that_share_its_words() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let texts = ["the cat sleeps", "a dog barks", "rain falls"].map(|text| json!({ "source": { "text": text } }));
    app.ingest_to_end(&collection, json!(texts)).await;
    let found = app.search(&collection, "the DOG barks").await;
    assert_eq!(found["hits"][0]["chunk"]["text"], "a dog barks");
    assert!(near(&found["hits"][0]["score"], 2.0 / 3.0), "two words of three are shared");
    let stages = found["info"]["stages"].as_array().expect("stages");
    assert_eq!(each(stages, "name"), ["embed", "dense", "fetch"]);
    let parts: f64 = stages.iter().map(|stage| stage["ms"].as_f64().expect("a time")).sum();
    assert!(parts <= found["info"]["tookMs"].as_f64().expect("a time"), "the parts are no longer than the whole");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chunk_finds_its_neighbours_without_itself() {
    let app = TestApp::start().await;
    let mut vectors = random(3, 20, 4);
    // A twin is as near to its twin as that is to itself: it stays in, whichever the scan gives first.
    vectors[7] = vectors[4].clone();
    let collection = app.collection_with(json!({ "name": "own", "embedding": { "dimensions": 4 } })).await;
    let document = app.indexed(&collection, document("doc", &vectors, json!({}))).await;
    for (index, chunk) in chunks(&document).into_iter().enumerate() {
        for first in [1, 5, 19, 20] {
            let query = json!({ "collectionId": collection, "query": { "chunkId": id(chunk) }, "first": first });
            let found = app.search_with(query).await;
            let hits = found["hits"].as_array().expect("hits");
            assert_eq!(hits.len(), first.min(19), "{index}");
            assert!(hits.iter().all(|hit| hit["chunk"]["id"] != chunk["id"]), "{index}");
            let expected = nearest("COSINE", &vectors[index], &vectors, first + 1);
            for (hit, (_, score)) in hits.iter().zip(&expected[1..]) {
                assert!(near(&hit["score"], *score), "{index}");
            }
        }
    }
    let elsewhere = app.collection_with(json!({ "name": "elsewhere", "embedding": { "dimensions": 4 } })).await;
    let query = json!({ "collectionId": elsewhere, "query": { "chunkId": id(chunks(&document)[0]) } });
    let refusal = app
        .refusal("query($input: SearchInput!) { search(input: $input) { hits { rank } } }", json!({ "input": query }))
        .await;
    assert_eq!([&refusal["code"], &refusal["field"]], ["NOT_FOUND", "input.query.chunkId"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_leaves_the_documents_whose_metadata_has_its_fields_with_equal_values() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let metadata = [
        json!({ "lang": "en", "year": 2024, "tags": ["a", "b"], "author": { "name": "Ann", "city": { "zip": "1" } } }),
        json!({ "lang": "de", "year": 2024.0, "tags": ["b"], "author": { "name": "Bob" }, "draft": true, "none": null }),
        json!({ "lang": "en", "year": "2024", "tags": [], "ключ 💥": "значение" }),
    ];
    let documents = metadata.iter().enumerate().map(|(index, metadata)| {
        json!({ "sourceUri": index.to_string(), "source": { "text": "same words" }, "metadata": metadata })
    });
    app.ingest_to_end(&collection, Json::from_iter(documents)).await;
    for (filter, expected) in [
        (json!({}), vec!["0", "1", "2"]),
        (json!({ "lang": "en" }), vec!["0", "2"]),
        (json!({ "lang": "en", "year": 2024 }), vec!["0"]),
        (json!({ "year": 2024 }), vec!["0", "1"]),
        (json!({ "year": "2024" }), vec!["2"]),
        (json!({ "year": [2024] }), vec![]),
        (json!({ "tags": "b" }), vec![]),
        (json!({ "tags": ["b"] }), vec!["1"]),
        (json!({ "tags": ["b", "b"] }), vec![]),
        (json!({ "tags": ["a", "b"] }), vec!["0"]),
        (json!({ "tags": ["b", "a"] }), vec![]),
        (json!({ "tags": [] }), vec!["2"]),
        (json!({ "tags": {} }), vec![]),
        (json!({ "author": {} }), vec![]),
        (json!({ "author": { "name": "Bob" } }), vec!["1"]),
        (json!({ "author": { "city": { "zip": "1" } } }), vec![]),
        (json!({ "author": { "city": { "zip": "1" }, "name": "Ann" } }), vec!["0"]),
        (json!({ "tags": ["b"], "author": {} }), vec![]),
        (json!({ "draft": true }), vec!["1"]),
        (json!({ "none": null }), vec!["1"]),
        (json!({ "draft": null }), vec![]),
        (json!({ "ключ 💥": "значение" }), vec!["2"]),
        (json!({ "lang": "fr" }), vec![]),
        (json!({ "lang": "' OR true --" }), vec![]),
    ] {
        let query =
            json!({ "collectionId": collection, "query": { "text": "words" }, "filter": { "metadata": filter } });
        let found = app.search_with(query).await;
        let mut sources =
            each(found["hits"].as_array().expect("hits").iter().map(|hit| &hit["chunk"]["document"]), "sourceUri");
        sources.sort_by_key(ToString::to_string);
        assert_eq!(sources, expected, "{filter}");
        let info = json!([found["info"]["exact"], found["info"]["returned"], found["info"]["shortfall"]]);
        assert_eq!(info, json!([true, expected.len(), "NO_MORE_MATCHES"]), "{filter}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_gives_no_more_than_it_has_and_says_why() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let other = app.collection("other").await;
    app.indexed(&other, json!({ "source": { "text": "elsewhere" } })).await;
    for held in 0..3 {
        let query = json!({ "collectionId": collection, "query": { "text": "words" }, "first": 100 });
        let found = app.search_with(query).await;
        assert_eq!(found["hits"].as_array().expect("hits").len(), held);
        let info = &found["info"];
        let told = json!([info["returned"], info["requested"], info["shortfall"], info["exact"], info["index"]]);
        assert_eq!(told, json!([held, 100, "NO_MORE_MATCHES", true, "EXACT"]));
        app.indexed(&collection, json!({ "source": { "text": format!("words {held}") } })).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_that_takes_too_long_is_ended() {
    let hanging = WordEmbedder { hang_after: Some(0), ..WordEmbedder::default() };
    let app = TestApp::builder().embedder(Arc::new(hanging)).set("search.timeout_ms", 20);
    let app = app.set("http.request_timeout_ms", 3_600_000).start().await;
    let collection = app.collection("docs").await;
    let query = "query($input: SearchInput!) { search(input: $input) { hits { rank } } }";
    let input = json!({ "input": { "collectionId": collection, "query": { "text": "words" } } });
    let refusing = tokio::time::timeout(PATIENCE, app.refusal(query, input));
    assert_eq!(refusing.await.expect("it ends")["code"], "TIMEOUT");
}
