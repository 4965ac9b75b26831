//! Small documents that would take a server for minutes: refused at once, over HTTP and WebSocket, while others are
//! served.

use futures_util::future::join_all;
use serde_json::{Value as Json, json};

use super::{INTROSPECTION, chain, repeat};
use crate::support::TestApp;

/// Each with the code of its refusal.
fn attacks() -> Vec<(String, &'static str)> {
    let twice = "...# ...#";
    let chain = |operation: &str, on: &str, step: &str| chain(operation, on, step, 30);
    vec![
        (chain("{ ...F0 }", "Query", twice), "TOO_MANY_SPREADS"),
        (chain("{ ...F0 }", "Query", "a: __typename ...# b: __typename ...#"), "TOO_MANY_ALIASES"),
        (chain("{ ...F0 }", "Query", "... { ...# } ... on Query { ...# }"), "TOO_MANY_SPREADS"),
        (chain("{ ...F0 }", "Query", "...# @include(if: true) ...# @skip(if: false)"), "TOO_MANY_DIRECTIVES"),
        (chain("{ ...F0 }", "Query", "... @include(if: true) { ... { ...# ...# } }"), "QUERY_TOO_DEEP"),
        (chain("{ ...F0 }", "Query", "a: node(id: \"x\") { ...# } b: node(id: \"x\") { ...# }"), "QUERY_TOO_DEEP"),
        (chain("{ __typename }", "Query", twice), "TOO_MANY_SPREADS"),
        (chain("query A { __typename } query B { ...F0 }", "Query", twice), "TOO_MANY_SPREADS"),
        (chain("{ a: ...F0 }", "Query", twice), "GRAPHQL_VALIDATION_FAILED"),
        (chain("{ node(id: \"x\") { ...F0 } }", "Nothing", twice), "TOO_MANY_SPREADS"),
        (chain("mutation { ...F0 }", "Mutation", twice), "TOO_MANY_SPREADS"),
        (chain("subscription { ...F0 }", "Subscription", twice), "TOO_MANY_SPREADS"),
        (chain("{ ...F0 }", "Query", "...# ...F0"), "GRAPHQL_VALIDATION_FAILED"),
        (format!("{{ {} }}", repeat("a#:__schema{types{name}}", 2_000)), "TOO_MANY_TOKENS"),
        (format!("{{ {} }}", repeat("a#:__schema{types{name fields{name type{name}}}}", 2_000)), "QUERY_TOO_LONG"),
        (format!("{{ {} }}", repeat("a#:__schema{types{name}}", 60)), "TOO_MANY_ROOT_FIELDS"),
        (
            format!("{{ {} }}", repeat("a#:__schema{types{name fields{name args{name} type{name}}}}", 40)),
            "INTROSPECTION_TOO_LARGE",
        ),
        (
            format!("{{ __schema {{ {} }} }}", repeat("a#:types{fields{name type{ofType{fields{name}}}}}", 200)),
            "INTROSPECTION_TOO_LARGE",
        ),
        (
            format!(
                "{{ {} }} fragment F on __Schema {{ types {{ fields {{ name }} }} types {{ kind }} }}",
                repeat("a#:__schema{...F b:types{fields{args{name type{name}}}}}", 45)
            ),
            "INTROSPECTION_TOO_LARGE",
        ),
        (format!("{{ {} }}", "__typename ".repeat(1_000_000)), "QUERY_TOO_LONG"),
        (format!("query({}) {{ __typename }}", repeat("$v#:Int", 50_000)), "QUERY_TOO_LONG"),
        (format!("query({}) {{ __typename }}", repeat("$v#:Int", 2_000)), "TOO_MANY_VARIABLES"),
        (format!("{{ __typename }} #{}", "x".repeat(100_000)), "QUERY_TOO_LONG"),
        ("{".repeat(60_000), "QUERY_TOO_DEEP"),
    ]
}

/// The first error of an answer to an operation over WebSocket, be it a refusal or a result.
async fn refused_by_websocket(app: &TestApp, query: &str) -> Json {
    let mut socket = app.websocket().await;
    socket.subscribe("1", query, json!({})).await;
    let message = socket.next().await.expect("an answer");
    match message["type"].as_str() {
        Some("next") => message["payload"]["errors"][0].clone(),
        Some("error") => message["payload"][0].clone(),
        _ => panic!("unexpected message: {message}"),
    }
}

fn check(query: &str, code: &str, error: &Json) {
    let extensions = &error["extensions"];
    assert_eq!((&extensions["code"], &extensions["field"]), (&json!(code), &json!("query")), "{query:.200}: {error}");
    assert!(extensions["got"].is_string() && extensions["expected"].is_string(), "{query:.200}: {error}");
    assert_eq!(error.get("path"), None, "{query:.200}: {error}");
    assert!(error.to_string().len() < 500, "{query:.200}: {error}");
    if code != "GRAPHQL_VALIDATION_FAILED" {
        assert!(extensions["expected"].as_str().expect("text").contains("(graphql."), "{query:.200}: {error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_grows_without_end_is_refused_over_http_and_websocket() {
    let app = TestApp::builder().without_workers().start().await;
    let url = format!("http://{}/graphql", app.address);
    for (query, code) in attacks() {
        let request = app.client.post(&url).header("accept", "application/graphql-response+json");
        let response = request.json(&json!({ "query": query, "operationName": null })).send().await;
        let response = response.expect("the server answers");
        assert_eq!(response.status().as_u16(), 400, "{query:.200}");
        let answer: Json = response.json().await.expect("the answer is JSON");
        assert_eq!((answer.get("data"), answer["errors"].as_array().map(Vec::len)), (None, Some(1)), "{query:.200}");
        check(&query, code, &answer["errors"][0]);
        // A longer one ends the connection by the rules of the WebSocket.
        if query.len() < 1_000_000 {
            check(&query, code, &refused_by_websocket(&app, &query).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_while_attacks_run() {
    let app = TestApp::builder().without_workers().start().await;
    let (attacks, app) = (attacks(), &app);
    let attacking = join_all(attacks.iter().map(|(query, _)| async move {
        for _ in 0..4 {
            assert!(app.gql(query, json!({})).await["errors"].is_array(), "{query:.200}");
        }
    }));
    let mut told = 0;
    let asking = async {
        loop {
            let response = app.client.get(format!("http://{}/healthz", app.address)).send().await;
            assert_eq!(response.expect("the server answers").status().as_u16(), 200);
            told += 1;
        }
    };
    tokio::select! {
        _ = attacking => {}
        () = asking => {}
    }
    assert!(told > 0, "health was told when all was over");
}

#[tokio::test]
async fn the_introspection_of_common_tools_passes_and_fits_the_answer() {
    let app = TestApp::builder().without_workers().start().await;
    let data = app.data(INTROSPECTION, json!({})).await;
    let types = data["__schema"]["types"].as_array().expect("types");
    assert!(types.iter().any(|ty| ty["name"] == "Collection"), "{data}");
}
