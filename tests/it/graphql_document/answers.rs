//! Bounds on answers: bytes of their data, number and length of their errors.

use serde_json::{Value as Json, json};

use super::repeat;
use crate::support::TestApp;

const RESPONSE_TYPE: &str = "application/graphql-response+json";

async fn answer(app: &TestApp, query: &str) -> (u16, Json) {
    let url = format!("http://{}/graphql", app.address);
    let request = app.client.post(url).header("accept", RESPONSE_TYPE).json(&json!({ "query": query }));
    let response = request.send().await.expect("the server answers");
    (response.status().as_u16(), response.json().await.expect("the answer is JSON"))
}

#[tokio::test]
async fn an_answer_that_is_too_large_is_refused_though_it_was_executed() {
    let app = TestApp::builder().without_workers().set("graphql.answer_limit_bytes", 2_000).start().await;
    let create = |name: &str, length: usize| {
        let description = "x".repeat(length);
        format!(
            "mutation {{ __typename createCollection(input: {{ name: \"{name}\", description: \"{description}\" }}) {{
            collection {{ description }} }} }}"
        )
    };
    let (status, fits) = answer(&app, &create("fits", 1_800)).await;
    assert_eq!((status, fits.get("errors")), (200, None));

    let (status, refused) = answer(&app, &create("large", 2_000)).await;
    assert_eq!((status, &refused["data"]), (200, &Json::Null), "{refused}");
    assert!(refused.as_object().expect("an object").contains_key("data"), "{refused}");
    let error = &refused["errors"][0];
    assert_eq!(error["path"], json!(["createCollection"]));
    let expected = json!({ "code": "ANSWER_TOO_LARGE", "field": "createCollection", "got": "more than 2000 bytes",
        "expected": "at most 2000 bytes (graphql.answer_limit_bytes)" });
    assert_eq!(error["extensions"], expected);
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 2);

    let mut socket = app.websocket().await;
    socket.subscribe("1", "{ __schema { types { name description } } }", json!({})).await;
    let message = socket.next().await.expect("an answer");
    assert_eq!(message["payload"]["errors"][0]["extensions"]["code"], "ANSWER_TOO_LARGE", "{message}");
}

#[tokio::test]
async fn a_long_list_of_errors_is_cut_and_says_how_many_were_left_out() {
    let app = TestApp::builder().without_workers().set("graphql.errors_limit", 10).start().await;
    let unknown = format!("{{ collections {{ {} }} }}", repeat("unknown#", 200));
    let (status, refused) = answer(&app, &unknown).await;
    assert_eq!(status, 400, "{refused}");
    let mut socket = app.websocket().await;
    socket.subscribe("1", &unknown, json!({})).await;
    let message = socket.next().await.expect("an answer");
    let payload = if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
    for errors in [&refused["errors"], payload] {
        let errors = errors.as_array().unwrap_or_else(|| panic!("errors in {errors}"));
        assert_eq!(errors.len(), 11);
        assert_eq!(errors[0]["extensions"]["code"], "GRAPHQL_VALIDATION_FAILED");
        let last = &errors[10]["extensions"];
        assert_eq!(
            (&last["code"], &last["expected"]),
            (&json!("TOO_MANY_ERRORS"), &json!("at most 10 (graphql.errors_limit)"))
        );
        assert_eq!(last["got"], "200 errors, of which 190 were left out");
    }
    let (_, few) = answer(&app, &format!("{{ collections {{ {} }} }}", repeat("unknown#", 10))).await;
    assert_eq!(few["errors"].as_array().map(Vec::len), Some(10));
}
