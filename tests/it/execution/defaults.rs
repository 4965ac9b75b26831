//! What stands for a variable that is absent. <https://spec.graphql.org/September2025/#CoerceArgumentValues()>

use async_graphql::Executor;
use serde_json::json;

use super::{data, engine, refusal, request, text};

#[tokio::test]
async fn an_absent_variable_leaves_its_place_to_the_default_there_and_null_does_not() {
    for (query, variables, expected) in [
        ("query($n: Int) { nullable(n: $n) }", json!({}), "Some(5)"),
        ("query($n: Int) { nullable(n: $n) }", json!({ "n": null }), "None"),
        ("query($n: Int) { nullable(n: $n) }", json!({ "n": 1 }), "Some(1)"),
        ("query($n: Int = 2) { nullable(n: $n) }", json!({}), "Some(2)"),
        ("query($n: Int = 2) { nullable(n: $n) }", json!({ "n": null }), "None"),
        ("query($n: Int = null) { nullable(n: $n) }", json!({}), "None"),
        ("query($n: Int) { defaulted(n: $n) }", json!({}), "7"),
        ("query($n: Int) { defaulted(n: $n) }", json!({ "n": 1 }), "1"),
        ("query($n: Int = 2) { defaulted(n: $n) }", json!({}), "2"),
        ("query($n: Int! = 2) { required(n: $n) }", json!({}), "2"),
        ("query($n: Int = 2) { required(n: $n) }", json!({}), "2"),
        ("query($n: Int) { ...F } fragment F on Query { defaulted(n: $n) }", json!({}), "7"),
    ] {
        assert!(data(query, variables).await.contains(&format!(":\"{expected}\"")), "{query}");
    }
}

#[tokio::test]
async fn defaults_count_within_input_objects_at_any_depth() {
    let query = "query($c: Colour, $n: Int, $s: String) {
        paint(input: { colour: $c, coats: $n, layers: $n, inner: { colour: $c, coats: $n, name: $s } }) }";
    for (variables, expected) in [
        (json!({}), "Blue Some(3) 4 None [Blue Some(3) 4 None []]"),
        (json!({ "n": 1, "c": "RED", "s": "x" }), "Red Some(1) 1 None [Red Some(1) 4 Some(\\\"x\\\") []]"),
        (json!({ "s": null }), "Blue Some(3) 4 None [Blue Some(3) 4 None []]"),
    ] {
        assert_eq!(data(query, variables).await, format!("{{\"paint\":\"{expected}\"}}"));
    }
    let whole = "query($input: PaintInput!) { paint(input: $input) }";
    let given = json!({ "input": { "inner": { "coats": null } } });
    assert_eq!(data(whole, given).await, r#"{"paint":"Blue Some(3) 4 None [Blue None 4 None []]"}"#);
}

#[tokio::test]
async fn an_absent_variable_in_a_list_is_null_and_a_single_value_is_a_list() {
    for (query, variables, expected) in [
        ("query($n: Int) { numbers(list: [1, $n]) }", json!({}), "[Some(1), None]"),
        ("query($n: Int = 2) { numbers(list: [1, $n]) }", json!({}), "[Some(1), Some(2)]"),
        ("query($n: [Int]!) { numbers(list: $n) }", json!({ "n": 3 }), "[Some(3)]"),
        ("{ numbers(list: 4) }", json!({}), "[Some(4)]"),
        ("query($n: Int!) { strict(list: [$n]) }", json!({ "n": 5 }), "[5]"),
    ] {
        assert!(data(query, variables).await.contains(expected), "{query}");
    }
}

#[tokio::test]
async fn null_for_what_must_not_be_null_fails_the_field_and_nothing_else() {
    let query = "query($n: Int) { loosely(n: $n) second }";
    let response = engine().execute(request(query, json!({ "n": null }))).await;
    assert_eq!(text(&response), r#"{"loosely":null,"second":2}"#);
    let error = json!(response.errors[0]);
    assert_eq!((&error["path"], &error["extensions"]["field"]), (&json!(["loosely"]), &json!("n")));
    assert_eq!(error["extensions"]["code"], "BAD_USER_INPUT");
    assert!(error["message"].as_str().expect("a message").starts_with("n: got null, expected a whole number"));
}

#[tokio::test]
async fn a_variable_stands_only_where_its_type_may() {
    for (value, query, message) in [
        (
            json!(1),
            "query($n: Int) { required(n: $n) }",
            "$n: got a variable of type Int, expected one of type Int! for `n`",
        ),
        (
            json!("x"),
            "query($n: String) { defaulted(n: $n) }",
            "$n: got a variable of type String, expected one of type Int! for `n`",
        ),
        (
            json!(1),
            "query($n: Int) { strict(list: [$n]) }",
            "$n: got a variable of type Int, expected one of type Int! for `list`",
        ),
        (
            json!([1]),
            "query($n: [Int]!) { strict(list: $n) }",
            "$n: got a variable of type [Int]!, expected one of type [Int!]! for `list`",
        ),
        (
            json!(1),
            "query($n: Int!) { strict(list: $n) }",
            "$n: got a variable of type Int!, expected one of type [Int!]! for `list`",
        ),
        (
            json!(1),
            "query($n: Int) { choose(input: { number: $n }) }",
            "$n: got a variable of type Int, expected one of type Int! for `number`, which must not be null",
        ),
        (
            json!(1),
            "query($n: Int) { ...F } fragment F on Query { ... { required(n: $n) } }",
            "$n: got a variable of type Int, expected one of type Int! for `n`",
        ),
    ] {
        let expected = (message.to_owned(), "GRAPHQL_VALIDATION_FAILED".to_owned());
        assert_eq!(refusal(query, json!({ "n": value })).await, expected, "{query}");
    }
}
