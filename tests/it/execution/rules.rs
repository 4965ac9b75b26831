//! Every rule of validation, broken over our own schema: refused with a code, in our words, at its place, without data.
//! Over a WebSocket as one `error`. <https://spec.graphql.org/September2025/#sec-Validation>

use std::collections::BTreeSet;

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::Socket;

/// A document that breaks one rule, by the rule's section.
const BROKEN: [(&str, &str); 45] = [
    ("5.1.1", "{ __typename } type T { a: Int }"),
    ("5.2.2.1", "query A { __typename } query A { __typename }"),
    ("5.2.3.1", "{ __typename } query A { __typename }"),
    ("5.2.4.1", "subscription { a: queueUpdated(queue: \"q\") { cursor } b: queueUpdated(queue: \"q\") { cursor } }"),
    ("5.2.4.1", "subscription { __typename }"),
    ("5.2.4.1", "subscription { ...F } fragment F on Subscription { __typename }"),
    ("5.2.4.1", "subscription { queueUpdated(queue: \"q\") @include(if: true) { cursor } }"),
    ("5.3.1", "{ nothing }"),
    ("5.3.1", "{ queues { nam } }"),
    ("5.3.1", "mutation { nothing }"),
    ("5.3.1", "subscription { nothing }"),
    ("5.3.2", "{ a: queues { name } a: jobs { totalCount } }"),
    ("5.3.2", "{ jobs(first: 1) { totalCount } jobs(first: 2) { totalCount } }"),
    ("5.3.3", "{ queues }"),
    ("5.3.3", "{ queues { name { x } } }"),
    ("5.3.3", "{ __typename { x } }"),
    ("5.4.1", "{ jobs(frist: 1) { totalCount } }"),
    ("5.4.1", "{ queues @include(if: true, unless: false) { name } }"),
    ("5.4.2", "{ jobs(first: 1, first: 1) { totalCount } }"),
    ("5.4.3", "{ node { id } }"),
    ("5.4.3", "{ queues @include { name } }"),
    ("5.5.1.1", "{ ...F } fragment F on Query { __typename } fragment F on Query { __typename }"),
    ("5.5.1.2", "{ ... on Nothing { x } }"),
    ("5.5.1.3", "{ ... on Int { x } }"),
    ("5.5.1.3", "{ ...F } fragment F on SearchInput { x }"),
    ("5.5.1.4", "{ __typename } fragment F on Query { __typename }"),
    ("5.5.2.1", "{ ...F }"),
    ("5.5.2.2", "{ ...F } fragment F on Query { ...G } fragment G on Query { ...F }"),
    ("5.5.2.3", "{ queues { ... on Job { id } } }"),
    ("5.5.2.3", "{ queues { ...F } } fragment F on Job { id }"),
    ("5.6.1", "{ jobs(first: \"1\") { totalCount } }"),
    ("5.6.1", "query($n: Int = \"1\") { jobs(first: $n) { totalCount } }"),
    ("5.6.2", "{ jobs(filter: { nothing: 1 }) { totalCount } }"),
    ("5.6.3", "{ jobs(filter: { states: [], states: [] }) { totalCount } }"),
    ("5.6.4", "mutation { createCollection(input: {}) { collection { id } } }"),
    ("5.6.5", "mutation { createCollection(input: { name: \"a\", embedding: {} }) { collection { id } } }"),
    ("5.7.1", "{ queues @nothing { name } }"),
    ("5.7.2", "query @include(if: true) { __typename }"),
    ("5.7.3", "{ queues @include(if: true) @include(if: true) { name } }"),
    ("5.8.1", "query($n: Int = 1, $n: Int = 1) { jobs(first: $n) { totalCount } }"),
    ("5.8.2", "query($n: Job) { jobs(first: $n) { totalCount } }"),
    ("5.8.3", "{ jobs(first: $n) { totalCount } }"),
    ("5.8.4", "query($unused: Int) { __typename }"),
    ("5.8.5", "query($n: String) { jobs(first: $n) { totalCount } }"),
    ("5.8.5", "query($s: Boolean) { queues @include(if: $s) { name } }"),
];

/// Words in which async-graphql tells its faults, and we do not.
const FOREIGN: [&str; 7] =
    ["Unknown ", "There can only", "Did you mean", "must have a", "cannot be", "conflict", "occurred while"];

#[tokio::test(flavor = "multi_thread")]
async fn whichever_rule_is_broken_the_refusal_has_a_code_and_a_place_in_our_words() {
    let app = TestApp::builder().without_workers().start().await;
    let mut socket = app.websocket().await;
    for (rule, query) in BROKEN {
        for variables in [json!({}), json!({ "s": null, "n": null })] {
            let errors = refused(&app, query, &variables).await;
            for error in &errors {
                check(rule, query, error, "GRAPHQL_VALIDATION_FAILED");
            }
            assert_eq!(set(&told(&mut socket, query, &variables).await), set(&errors), "{rule} {query}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_taken_is_the_inputs_fault() {
    let app = TestApp::builder().without_workers().start().await;
    let mut socket = app.websocket().await;
    let jobs = "query($n: Int!) { jobs(first: $n) { totalCount } }";
    let vector =
        "query($v: Vector!) { search(input: { collectionId: \"x\", query: { vector: $v } }) { hits { rank } } }";
    for (query, variables) in [
        (jobs, json!({})),
        (jobs, json!({ "n": null })),
        (jobs, json!({ "n": "1" })),
        (jobs, json!({ "n": 1.5 })),
        ("query($s: [JobState!]) { jobs(filter: { states: $s }) { totalCount } }", json!({ "s": ["ASLEEP"] })),
        ("query($s: Boolean!) { queues @include(if: $s) { name } }", json!({ "s": null })),
        (vector, json!({ "v": ["1"] })),
        (vector, json!({ "v": "AAA=" })),
        (vector, json!({ "v": 1 })),
    ] {
        let errors = refused(&app, query, &variables).await;
        errors.iter().for_each(|error| check("variables", query, error, "BAD_USER_INPUT"));
        assert_eq!(set(&told(&mut socket, query, &variables).await), set(&errors), "{query} {variables}");
    }
}

/// The errors over HTTP, of an answer without data.
async fn refused(app: &TestApp, query: &str, variables: &Json) -> Vec<Json> {
    let url = format!("http://{}/graphql", app.address);
    let body = json!({ "query": query, "variables": variables });
    let request = app.client.post(url).header("accept", "application/graphql-response+json").json(&body);
    let response = request.send().await.expect("the server answers");
    assert_eq!(response.status().as_u16(), 400, "{query}");
    let mut answer: Json = response.json().await.expect("JSON");
    assert_eq!(answer.get("data"), None, "{query}: {answer}");
    let errors = answer["errors"].as_array_mut().map(std::mem::take).unwrap_or_default();
    assert!(!errors.is_empty(), "{query}: {answer}");
    errors
}

/// The errors over a WebSocket: one message, and nothing after it.
async fn told(socket: &mut Socket, query: &str, variables: &Json) -> Vec<Json> {
    socket.subscribe("refused", query, variables.clone()).await;
    let mut message = socket.next().await.expect("an answer");
    assert_eq!((&message["type"], &message["id"]), (&json!("error"), &json!("refused")), "{query}: {message}");
    socket.subscribe("next", "{ __typename }", json!({})).await;
    for kind in ["next", "complete"] {
        let next = socket.next().await.expect("an answer");
        assert_eq!((&next["type"], &next["id"]), (&json!(kind), &json!("next")), "{query}: {next}");
    }
    message["payload"].as_array_mut().map(std::mem::take).unwrap_or_default()
}

/// Without order, each fault once.
fn set(errors: &[Json]) -> BTreeSet<String> {
    let set: BTreeSet<_> = errors.iter().map(Json::to_string).collect();
    assert_eq!(set.len(), errors.len(), "one is told twice: {errors:?}");
    set
}

fn check(rule: &str, query: &str, error: &Json, code: &str) {
    let shown = format!("{rule} {query}: {error}");
    let extensions = &error["extensions"];
    assert_eq!(extensions["code"], code, "{shown}");
    let part = |name: &str| extensions[name].as_str().unwrap_or_else(|| panic!("no {name}: {shown}"));
    let message = error["message"].as_str().expect("a message");
    assert_eq!(message, format!("{}: got {}, expected {}", part("field"), part("got"), part("expected")), "{shown}");
    assert!(!FOREIGN.iter().any(|words| message.contains(words)), "{shown}");
    let locations = error["locations"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_place = |place: &Json| ["line", "column"].iter().all(|it| place[*it].as_u64() > Some(0));
    assert!(!locations.is_empty() && locations.iter().all(is_place), "{shown}");
    assert_eq!(error.get("path"), None, "{shown}");
}
