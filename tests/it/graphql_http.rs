//! GraphQL over HTTP: what is read, how it is answered, and requests that do not fit the schema.
//! <https://graphql.github.io/graphql-over-http/draft/>

use reqwest::header::{ACCEPT, ALLOW, CONTENT_TYPE};
use reqwest::{Method, RequestBuilder, Response, Url};
use serde_json::{Value as Json, json};

use crate::support::TestApp;

const RESPONSE_TYPE: &str = "application/graphql-response+json";
const JSON_TYPE: &str = "application/json";
const CREATE: &str = "mutation { createCollection(input: { name: \"once\" }) { collection { id } } }";

async fn serving() -> TestApp {
    TestApp::builder().without_workers().set("http.body_limit_bytes", 2 * 1024 * 1024).start().await
}

fn request(app: &TestApp, method: Method, query: &str) -> RequestBuilder {
    app.client.request(method, format!("http://{}/graphql{query}", app.address))
}

/// Sends an operation by somebody who reads the current media type.
async fn operation(app: &TestApp, body: Json) -> (u16, Json) {
    let sent = request(app, Method::POST, "").header(ACCEPT, RESPONSE_TYPE).json(&body).send().await;
    let response = sent.expect("the server answers");
    (response.status().as_u16(), response.json().await.expect("the answer is JSON"))
}

/// The first error's code of a refusal that has no data.
async fn code(response: Response) -> String {
    let answer: Json = response.json().await.expect("the answer is JSON");
    assert_eq!(answer.get("data"), None, "{answer}");
    answer["errors"][0]["extensions"]["code"].as_str().unwrap_or_else(|| panic!("no code in {answer}")).to_owned()
}

#[tokio::test]
async fn the_accept_header_decides_media_type_and_status() {
    let app = serving().await;
    for (accept, media_type, refused) in [
        ("", JSON_TYPE, 200),
        ("*/*", JSON_TYPE, 200),
        ("application/*", JSON_TYPE, 200),
        (JSON_TYPE, JSON_TYPE, 200),
        ("text/html, Application/JSON;q=0.5", JSON_TYPE, 200),
        ("application/graphql-response+json;q=0, application/json", JSON_TYPE, 200),
        ("application/graphql-response+json;q=0.5, application/json;q=0.6", JSON_TYPE, 200),
        ("application/json;q=0, */*", RESPONSE_TYPE, 400),
        (RESPONSE_TYPE, RESPONSE_TYPE, 400),
        ("application/graphql-response+json; charset=utf-8, application/json; charset=utf-8", RESPONSE_TYPE, 400),
    ] {
        for (query, status) in [("{ __typename }", 200), ("{ nothing }", refused), ("{", refused)] {
            let sent = request(&app, Method::POST, "").header(ACCEPT, accept).json(&json!({ "query": query }));
            let response = sent.send().await.expect("the server answers");
            assert_eq!(response.status().as_u16(), status, "{accept}: {query}");
            let content_type = response.headers()[CONTENT_TYPE].to_str().expect("text").to_owned();
            assert_eq!(content_type, format!("{media_type}; charset=utf-8"), "{accept}");
            let answer: Json = response.json().await.expect("the answer is JSON");
            assert_eq!(answer.get("data").is_some(), query == "{ __typename }", "{answer}");
        }
    }
    for accept in ["text/html", "image/*", "application/xml", "application/json;q=0", "*/*;q=0.0"] {
        for method in [Method::POST, Method::GET] {
            let request = request(&app, method, "?query=%7B__typename%7D").header(ACCEPT, accept);
            let response =
                request.json(&json!({ "query": "{ __typename }" })).send().await.expect("the server answers");
            assert_eq!(response.status().as_u16(), 406, "{accept}");
        }
    }
}

#[tokio::test]
async fn get_runs_queries_and_nothing_else() {
    let app = serving().await;
    let get = async |query: &[(&str, &str)]| {
        let url = Url::parse_with_params(&format!("http://{}/graphql", app.address), query).expect("a URL");
        app.client.get(url).send().await.expect("the server answers")
    };
    let query = "query A($first: Int!) { collections(first: $first) { totalCount } } mutation B { __typename }";
    let response = get(&[("query", query), ("operationName", "A"), ("variables", "{\"first\": 1}")]).await;
    assert_eq!(response.status().as_u16(), 200);
    let answer: Json = response.json().await.expect("the answer is JSON");
    assert_eq!(answer["data"]["collections"]["totalCount"], 0);
    let named = CREATE.replace("mutation", "mutation B");
    let beside_a_query = format!("query A {{ __typename }} {named}");
    for (forbidden, name) in [
        (CREATE, ""),
        (&named, ""),
        (&named, "B"),
        (&beside_a_query, "B"),
        ("subscription { ingestProgress(runId: \"x\") { cursor } }", ""),
    ] {
        let response = get(&[("query", forbidden), ("operationName", name)]).await;
        assert_eq!((response.status().as_u16(), &response.headers()[ALLOW]), (405, &"POST".parse().expect("a header")));
        assert_eq!(code(response).await, "BAD_USER_INPUT");
    }
    for unknown in [vec![("query", CREATE), ("operationName", "C")], vec![("query", &beside_a_query)]] {
        assert_eq!(code(get(&unknown).await).await, "GRAPHQL_VALIDATION_FAILED", "{unknown:?}");
    }
    for method in [Method::PUT, Method::DELETE, Method::PATCH] {
        let response = request(&app, method.clone(), "").send().await.expect("the server answers");
        assert_eq!(response.status().as_u16(), 405, "{method}");
    }
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 0);
}

#[tokio::test]
async fn an_operation_that_does_not_fit_the_schema_is_refused_before_anything_runs() {
    let app = serving().await;
    let create = "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";
    let search = "query($input: SearchInput!) { search(input: $input) { hits { rank } } }";
    let two = "query A { __typename } query B { __typename }";
    for (query, rest) in [
        ("", json!({})),
        ("{", json!({})),
        ("{ nothing }", json!({})),
        ("{ collections { totalCount nothing } }", json!({})),
        ("{ collections }", json!({})),
        ("{ collections(first: \"1\") { totalCount } }", json!({})),
        ("{ collections(last: 1) { totalCount } }", json!({})),
        ("query($n: Int!) { collections(first: $n) { totalCount } }", json!({})),
        ("query($n: Int!) { collections(first: $n) { totalCount } }", json!({ "variables": { "n": "1" } })),
        ("query($n: Int!) { collections(first: $n) { totalCount } }", json!({ "variables": { "n": 1.5 } })),
        (two, json!({})),
        (two, json!({ "operationName": "C" })),
        (create, json!({ "variables": { "input": {} } })),
        (create, json!({ "variables": { "input": { "name": null } } })),
        (create, json!({ "variables": { "input": { "name": 1 } } })),
        (create, json!({ "variables": { "input": { "name": "x", "size": 1 } } })),
        (create, json!({ "variables": { "input": { "name": "x", "embedding": {} } } })),
        (create, json!({ "variables": { "input": { "name": "x", "embedding": { "model": "a", "dimensions": 3 } } } })),
        (create, json!({ "variables": { "input": { "name": "x", "metric": "MANHATTAN" } } })),
        (search, json!({ "variables": { "input": { "collectionId": "x", "query": {} } } })),
        (search, json!({ "variables": { "input": { "collectionId": "x", "query": { "vector": ["1"] } } } })),
        (search, json!({ "variables": { "input": { "collectionId": "x", "query": { "vector": "AAA=" } } } })),
        (search, json!({ "variables": { "input": { "collectionId": "x", "query": { "vector": 1 } } } })),
    ] {
        let mut body = rest;
        body["query"] = json!(query);
        let (status, answer) = operation(&app, body.clone()).await;
        assert_eq!(status, 400, "{body}: {answer}");
        assert_eq!(answer.get("data"), None, "{body}: {answer}");
        // What variables are is the input's fault.
        let takes_input = query.contains('$');
        let code = if takes_input { "BAD_USER_INPUT" } else { "GRAPHQL_VALIDATION_FAILED" };
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{body}: {answer}");
    }
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 0);
}

#[tokio::test]
async fn an_operation_beyond_depth_or_complexity_is_refused_in_few_words() {
    let app = TestApp::builder().without_workers().set("graphql.depth_limit", 10).start().await;
    let documents = "node { documents(first: 100) { edges { node { id } } } }";
    let costly = format!("{{ collections(first: 100) {{ edges {{ {documents} more: {documents} }} }} }}");
    let nested = |open: &str, times: usize| format!("{}__typename{}", open.repeat(times), "}".repeat(times));
    let overflowing = "{ collections(first: 2147483647) { edges { node {
        documents(first: 2147483647) { edges { node { chunks(first: 2147483647) { totalCount } } } } } } } }";
    let validation = "GRAPHQL_VALIDATION_FAILED";
    for (query, code) in [
        (costly, "QUERY_TOO_COMPLEX"),
        (overflowing.to_owned(), "QUERY_TOO_COMPLEX"),
        (nested("{ node(id: \"x\") ", 11), "QUERY_TOO_DEEP"),
        (nested("{ node(id: \"x\") ", 1_000), "QUERY_TOO_DEEP"),
        ("{".repeat(10_000_000), "QUERY_TOO_LONG"),
        (format!("{{ collections(first: {}", "[".repeat(1_000_000)), "QUERY_TOO_LONG"),
        (format!("{{ {} }}", "__typename @include(if: true) ".repeat(2)) + &"}".repeat(1_000_000), "QUERY_TOO_LONG"),
        (format!("{{ __typename {} }}", "@include(if: true) ".repeat(10)), validation),
        ("query A { ...F } fragment F on Query { ...F }".to_owned(), validation),
    ] {
        let (status, answer) = operation(&app, json!({ "query": query })).await;
        let text = answer.to_string();
        assert_eq!(status, 400, "{query:.200}: {text:.200}");
        assert_eq!(answer["errors"][0]["extensions"]["code"], code, "{query:.200}: {text:.200}");
        assert!(text.len() < 4_000, "{query:.200}: an answer of {} bytes", text.len());
    }
}

#[tokio::test]
async fn values_nested_without_end_are_refused() {
    let app = serving().await;
    for (open, close) in [("[", "]"), ("{ a: ", "}")] {
        let query = format!("{{ collections(first: {}{}) {{ totalCount }} }}", open.repeat(3_000), close.repeat(3_000));
        let (status, _) = operation(&app, json!({ "query": query })).await;
        assert_eq!(status, 400, "{open}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_who_make_a_collection_of_one_name_at_once_exactly_one_does() {
    let app = TestApp::builder().without_workers().start().await;
    let calls = (0..8).map(|_| app.gql(CREATE, json!({})));
    let answers = futures_util::future::join_all(calls).await;
    let (made, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.get("errors").is_none());
    assert_eq!((made.len(), refused.len()), (1, 7));
    for answer in refused {
        assert_eq!(answer["errors"][0]["extensions"]["code"], "ALREADY_EXISTS", "{answer}");
    }
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 1);
    assert_eq!(app.database.number("SELECT count(*) FROM embedding_spaces").await, 1);
}
