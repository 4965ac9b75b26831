//! What cannot run says why: the place, what came, what was expected.

use async_graphql::Executor;
use serde_json::{Value as Json, json};

use super::{engine, first_error, refusal, request};

const CODE: &str = "GRAPHQL_VALIDATION_FAILED";
const INPUT_CODE: &str = "BAD_USER_INPUT";

#[tokio::test]
async fn a_variable_that_is_not_of_its_type_is_named() {
    let paint = "query($input: PaintInput!) { paint(input: $input) }";
    let number = "query($n: Int!) { required(n: $n) }";
    let choose = "query($input: ChoiceInput!) { choose(input: $input) }";
    for (query, variables, message) in [
        (number, json!({}), "$n: got nothing, expected a whole number from -2147483648 to 2147483647 (Int)"),
        (number, json!({ "n": null }), "$n: got null, expected a whole number from -2147483648 to 2147483647 (Int)"),
        (number, json!({ "n": "1" }), "$n: got \"1\", expected a whole number from -2147483648 to 2147483647 (Int)"),
        (number, json!({ "n": 1.5 }), "$n: got 1.5, expected a whole number from -2147483648 to 2147483647 (Int)"),
        (
            number,
            json!({ "n": 2_147_483_648_i64 }),
            "$n: got 2147483648, expected a whole number from -2147483648 to 2147483647 (Int)",
        ),
        (number, json!({ "n": [1] }), "$n: got a list, expected a whole number from -2147483648 to 2147483647 (Int)"),
        (paint, json!({ "input": 1 }), "$input: got 1, expected an object (PaintInput)"),
        (paint, json!({ "input": { "colour": "GREEN" } }), "$input.colour: got GREEN, expected one of RED, BLUE"),
        (
            paint,
            json!({ "input": { "layers": null } }),
            "$input.layers: got null, expected a whole number from -2147483648 to 2147483647 (Int)",
        ),
        (
            paint,
            json!({ "input": { "inner": { "size": 1 } } }),
            "$input.inner.size: got an unknown field, expected one of colour, coats, layers, inner, name",
        ),
        (paint, json!({ "input": { "name": 1 } }), "$input.name: got 1, expected a text (String)"),
        (choose, json!({ "input": {} }), "$input: got none, expected exactly one of number, text"),
        (
            choose,
            json!({ "input": { "number": 1, "text": "x" } }),
            "$input: got number, text, expected exactly one of number, text",
        ),
        (
            choose,
            json!({ "input": { "number": null } }),
            "$input.number: got null, expected a whole number from -2147483648 to 2147483647 (Int)",
        ),
        (
            "query($n: [Int!]!) { strict(list: $n) }",
            json!({ "n": [1, null] }),
            "$n.1: got null, expected a whole number from -2147483648 to 2147483647 (Int)",
        ),
    ] {
        assert_eq!(refusal(query, variables).await, (message.to_owned(), INPUT_CODE.to_owned()), "{query}");
    }
}

#[tokio::test]
async fn a_value_in_a_document_that_is_not_of_its_type_is_named() {
    for (query, message) in [
        ("{ required }", ""),
        ("{ required(n: null) }", "n: got null, expected a whole number from -2147483648 to 2147483647 (Int)"),
        ("{ defaulted(n: null) }", "n: got null, expected a whole number from -2147483648 to 2147483647 (Int)"),
        ("{ colour(colour: \"RED\") }", "colour: got \"RED\", expected one of RED, BLUE"),
        ("{ colour(colour: GREEN) }", "colour: got GREEN, expected one of RED, BLUE"),
        ("{ paint(input: { colour: 1 }) }", "input.colour: got 1, expected one of RED, BLUE"),
        ("{ paint(input: \"x\") }", "input: got \"x\", expected an object (PaintInput)"),
        ("query($n: Int) { paint(input: { coats: $n, name: 1 }) }", "input.name: got 1, expected a text (String)"),
        (
            "query($n: Int = \"x\") { nullable(n: $n) }",
            "$n: got \"x\", expected a whole number from -2147483648 to 2147483647 (Int)",
        ),
        ("query A { second } query B { required(n: X) }", ""),
    ] {
        let (given, code) = refusal(query, json!({})).await;
        assert_eq!(code, CODE, "{query}");
        assert!(message.is_empty() || given == message, "{query}: {given}");
    }
}

#[tokio::test]
async fn the_operation_that_runs_is_the_one_that_was_named() {
    let run = async |query: &str, name: Json| {
        let mut request = request(query, json!({}));
        request.operation_name = name.as_str().map(str::to_owned);
        engine().execute(request).await
    };
    let two = "query A { first } query B { second }";
    for (query, name, message) in [
        (two, json!(null), "operationName: got none, expected one of A, B"),
        (two, json!(""), "operationName: got none, expected one of A, B"),
        (two, json!("C"), "operationName: got C, expected one of A, B"),
        ("{ second }", json!("A"), "operationName: got A, expected none, for the operation has no name"),
    ] {
        assert_eq!(first_error(&run(query, name).await), (message.to_owned(), CODE.to_owned()), "{query}");
    }
    for (query, name) in [
        (two, json!("B")),
        ("query B { second }", json!("")),
        ("{ second }", json!("")),
        ("query B { second }", json!(null)),
    ] {
        assert_eq!(super::text(&run(query, name).await), r#"{"second":2}"#, "{query}");
    }
}

#[tokio::test]
async fn what_is_wrong_in_the_document_as_written_is_refused_though_it_would_not_run() {
    for query in [
        "{ second } fragment Unused on Query { first }",
        "{ ...Unknown }",
        "{ second @skip(if: true) nothing @skip(if: true) }",
        "{ tree { ... on Cat { name } } }",
        "query($n: Int) { second }",
        "query($n: Int, $n: Int) { nullable(n: $n) }",
        "query($n: Unknown) { nullable(n: $n) }",
        "query($n: Tree) { nullable(n: $n) }",
        "{ nullable(n: $n) }",
        "{ nullable(n: 1, n: 2) }",
        "{ nullable(m: 1) }",
        "{ second { x } }",
        "{ tree }",
        "{ second @unknown }",
        "{ __typename @unknown }",
        "{ __typename @skip(if: $undefined) }",
        "{ __typename(n: 1) }",
        "{ __typename { x } }",
        "query A { second } query B { nothing }",
        "{ ...F } fragment F on Query { ...F }",
    ] {
        assert_eq!(refusal(query, json!({})).await.1, CODE, "{query}");
    }
}

#[tokio::test]
async fn a_document_that_does_not_parse_is_refused_in_one_line() {
    for query in ["", "{", "{ a(", "query { a } }", "mutation", "{ a(b: \"x }"] {
        let (message, code) = refusal(query, json!({})).await;
        assert_eq!(code, CODE, "{query}");
        assert!(!message.contains('\n') && message.starts_with("query: "), "{query}: {message}");
    }
}
