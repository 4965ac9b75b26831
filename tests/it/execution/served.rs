//! The same over our own schema, HTTP and WebSocket.

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;

const MEDIA_TYPE: &str = "application/graphql-response+json";

async fn serving() -> TestApp {
    TestApp::builder().without_workers().start().await
}

/// The status and the body as it came, so that order counts.
async fn send(app: &TestApp, query: &str, variables: Json) -> (u16, String) {
    let url = format!("http://{}/graphql", app.address);
    let body = json!({ "query": query, "variables": variables });
    let sent = app.client.post(url).header("accept", MEDIA_TYPE).json(&body).send().await.expect("the server answers");
    (sent.status().as_u16(), sent.text().await.expect("text"))
}

#[tokio::test]
async fn an_absent_variable_leaves_a_page_to_its_default_size() {
    let app = serving().await;
    for (query, variables) in [
        ("query($n: Int) { jobs(first: $n) { totalCount } }", json!({})),
        ("query($n: Int, $f: JobFilterInput) { jobs(first: $n, filter: $f) { totalCount } }", json!({ "f": null })),
        ("query($s: [JobState!]) { jobs(filter: { states: $s }) { totalCount } }", json!({})),
    ] {
        let (status, text) = send(&app, query, variables).await;
        assert_eq!((status, text.as_str()), (200, r#"{"data":{"jobs":{"totalCount":0}}}"#), "{query}");
    }
    let create = "mutation($metric: Metric, $text: String) {
        createCollection(input: { name: \"a\", metric: $metric, description: $text }) {
            collection { description embedding { metric } } } }";
    let data = app.data(create, json!({})).await;
    let collection = &data["createCollection"]["collection"];
    assert_eq!(collection, &json!({ "description": "", "embedding": { "metric": "COSINE" } }));
}

#[tokio::test]
async fn an_absent_variable_changes_nothing_where_null_would_clear() {
    let app = TestApp::start().await;
    let collection = app.collection("a").await;
    let documents = json!([{ "source": { "text": "Fjord ferries leave at noon." }, "title": "Ferries" }]);
    let payload = app.ingest(&collection, documents).await;
    let document = id(&payload["documents"][0]["document"]);
    let update = "mutation($id: ID!, $title: String, $metadata: JSON) {
        updateDocument(input: { id: $id, title: $title, metadata: $metadata }) { document { title metadata } } }";
    let updated = app.data(update, json!({ "id": document, "metadata": { "a": 1 } })).await;
    assert_eq!(updated["updateDocument"]["document"], json!({ "title": "Ferries", "metadata": { "a": 1 } }));
}

#[tokio::test]
async fn a_condition_that_may_be_null_is_refused_without_data() {
    let app = serving().await;
    let (status, text) = send(&app, "query($s: Boolean) { queues @include(if: $s) { name } }", json!({})).await;
    let answer: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, answer.get("data")), (400, None), "{text}");
    let error = &answer["errors"][0];
    assert_eq!(error["message"], "$s: got a variable of type Boolean, expected one of type Boolean! for `if`");
    assert_eq!(error["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
    assert_eq!(error["locations"], json!([{ "line": 1, "column": 42 }]));
}

#[tokio::test]
async fn a_mutation_that_fails_beside_one_that_succeeds_leaves_no_data_and_what_was_done_stays() {
    let app = serving().await;
    let create = "createCollection(input: { name: \"a\" }) { collection { name } }";
    let (status, text) = send(&app, &format!("mutation {{ a: {create} b: {create} }}"), json!({})).await;
    let answer: Json = serde_json::from_str(&text).expect("JSON");
    assert_eq!((status, answer.get("data")), (200, Some(&Json::Null)), "{text}");
    assert_eq!(answer["errors"][0]["path"], json!(["b"]));
    assert_eq!(answer["errors"][0]["extensions"]["code"], "ALREADY_EXISTS");
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 1);
}

#[tokio::test]
async fn a_mutation_that_is_named_twice_alike_runs_once() {
    let app = serving().await;
    let query = "mutation { ...F createCollection(input: { name: \"a\" }) { collection { name } } }
        fragment F on Mutation { createCollection(input: { name: \"a\" }) { collection { metadata: description } } }";
    let (_, text) = send(&app, query, json!({})).await;
    assert_eq!(text, r#"{"data":{"createCollection":{"collection":{"metadata":"","name":"a"}}}}"#);
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 1);
}

#[tokio::test]
async fn keys_come_in_the_order_of_the_operation() {
    let app = serving().await;
    app.collection("a").await;
    let query = "{ jobs { totalCount nodes { id } } __typename ...C queues @skip(if: true) { name } }
        fragment C on Query { collections { nodes { documents { totalCount } name chunkCount description } } }";
    let (_, text) = send(&app, query, json!({})).await;
    assert_eq!(
        text,
        r#"{"data":{"jobs":{"totalCount":0,"nodes":[]},"__typename":"Query","collections":{"nodes":[{"documents":{"totalCount":0},"name":"a","chunkCount":0,"description":""}]}}}"#
    );
}

#[tokio::test]
async fn a_node_shows_what_its_own_type_was_asked_for() {
    let app = serving().await;
    let collection = app.collection("a").await;
    let query = "query($id: ID!) { node(id: $id) { ... on Document { title } ... on Collection { name } ...N } }
        fragment N on Node { id __typename }";
    let (_, text) = send(&app, query, json!({ "id": collection })).await;
    assert_eq!(text, format!(r#"{{"data":{{"node":{{"name":"a","id":"{collection}","__typename":"Collection"}}}}}}"#));
    let empty = "query($id: ID!) { node(id: $id) { ... on Document { title } } }";
    assert_eq!(send(&app, empty, json!({ "id": collection })).await.1, r#"{"data":{"node":{}}}"#);
}

#[tokio::test]
async fn bad_variables_are_named_with_what_came_and_what_was_expected() {
    let app = serving().await;
    let create = "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";
    for (variables, message) in [
        (json!({}), "$input: got nothing, expected an object (CreateCollectionInput)"),
        (json!({ "input": {} }), "$input.name: got nothing, expected a text (String)"),
        (
            json!({ "input": { "name": "a", "embedding": { "model": "a", "dimensions": 3 } } }),
            "$input.embedding: got dimensions, model, expected exactly one of dimensions, model",
        ),
    ] {
        let (status, text) = send(&app, create, variables).await;
        let answer: Json = serde_json::from_str(&text).expect("JSON");
        assert_eq!(status, 400, "{text}");
        assert_eq!(answer["errors"][0]["message"], message);
        for key in ["field", "got", "expected"] {
            assert!(answer["errors"][0]["extensions"][key].is_string(), "{text}");
        }
    }
}

#[tokio::test]
async fn a_subscription_over_http_is_sent_to_the_websocket() {
    let app = serving().await;
    let (status, text) = send(&app, "subscription { queueUpdated(queue: \"ingest\") { cursor } }", json!({})).await;
    assert_eq!(status, 400);
    assert!(text.contains("expected a WebSocket (graphql-transport-ws)") && !text.contains("\"data\""), "{text}");
}

#[tokio::test]
async fn fragments_at_a_subscriptions_root_give_the_same_events() {
    let app = TestApp::start().await;
    let collection = app.collection("a").await;
    let payload = app.ingest(&collection, json!([{ "source": { "text": "Fjord ferries leave at noon." } }])).await;
    let run = id(&payload["run"]);
    app.drain().await;
    let mut seen = Vec::new();
    for root in [
        "{ ingestProgress(runId: $run) { cursor kind run { state } } }",
        "{ ...F } fragment F on Subscription { ingestProgress(runId: $run) { cursor kind run { state } } }",
        "{ ... on Subscription { ingestProgress(runId: $run) { cursor kind ...R } } }
            fragment R on IngestProgress { run { state } }",
    ] {
        let mut socket = app.websocket().await;
        socket.subscribe("1", &format!("subscription($run: ID!) {root}"), json!({ "run": run })).await;
        let mut events = Vec::new();
        while let Some(message) = socket.next().await.filter(|message| message["type"] == "next") {
            events.push(message["payload"].clone());
        }
        assert!(events.len() > 1, "{events:?}");
        seen.push(events);
    }
    assert!(seen.iter().all(|events| *events == seen[0]), "{seen:?}");
}

#[tokio::test]
async fn what_cannot_run_over_a_websocket_has_the_codes_that_http_gives() {
    let app = serving().await;
    let mut socket = app.websocket().await;
    for (number, query) in [
        "subscription { a: queueUpdated(queue: \"ingest\") { cursor } b: queueUpdated(queue: \"ingest\") { cursor } }",
        "subscription { __typename }",
        "subscription { queueUpdated(queue: \"ingest\") @include(if: true) { cursor } }",
        "subscription($q: String) { queueUpdated(queue: $q) { cursor } }",
        "subscription { nothing }",
        "subscription {",
        "query($s: Boolean) { queues @include(if: $s) { name } }",
    ]
    .into_iter()
    .enumerate()
    {
        socket.subscribe(&number.to_string(), query, json!({ "q": "ingest" })).await;
        let text = socket.next().await.expect("an answer").to_string();
        assert!(text.contains("\"code\":\"GRAPHQL_VALIDATION_FAILED\""), "{query}: {text}");
        // What ends the operation comes with it or after it.
        if text.contains("\"type\":\"next\"") {
            assert_eq!(socket.next().await.expect("an end")["type"], "complete");
        }
    }
}
