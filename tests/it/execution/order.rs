//! Keys as the operation has them, each field once. <https://spec.graphql.org/September2025/#sec-Field-Collection>

use serde_json::json;

use super::{data, refusal};

#[tokio::test]
async fn keys_stand_in_the_order_of_the_operation_however_long_each_takes() {
    for (query, expected) in [
        ("{ first second }", r#"{"first":1,"second":2}"#),
        ("{ second first }", r#"{"second":2,"first":1}"#),
        ("{ tree { slow depth } second }", r#"{"tree":{"slow":1,"depth":0},"second":2}"#),
        ("{ ...F second } fragment F on Query { first }", r#"{"first":1,"second":2}"#),
        (
            "{ ... { first } second ...F } fragment F on Query { first third: second }",
            r#"{"first":1,"second":2,"third":2}"#,
        ),
        ("{ tree { depth } second tree { slow } }", r#"{"tree":{"depth":0,"slow":1},"second":2}"#),
        (
            "{ pets { ... on Dog { name } __typename ... on Cat { lives name } } }",
            r#"{"pets":[{"__typename":"Cat","lives":9,"name":"cat"},{"name":"dog","__typename":"Dog"}]}"#,
        ),
        (
            "{ named { ... on Named { name } ... on Cat { lives } } }",
            r#"{"named":[{"name":"dog"},null,{"name":"cat","lives":9}]}"#,
        ),
    ] {
        assert_eq!(data(query, json!({})).await, expected, "{query}");
    }
}

#[tokio::test]
async fn introspection_stands_in_order_like_everything_else() {
    let query = "{ __typename __type(name: \"Cat\") { fields { name type { kind ofType { name } } } kind name } }";
    let expected = r#"{"__typename":"Query","__type":{"fields":[{"name":"name","type":{"kind":"NON_NULL","ofType":{"name":"String"}}},{"name":"lives","type":{"kind":"NON_NULL","ofType":{"name":"Int"}}}],"kind":"OBJECT","name":"Cat"}}"#;
    assert_eq!(data(query, json!({})).await, expected);
}

#[tokio::test]
async fn a_mutation_that_is_named_twice_alike_runs_once() {
    for (query, expected) in [
        ("mutation { add(n: 1) add(n: 1) }", r#"{"add":1}"#),
        ("mutation { add(n: 1) ...F } fragment F on Mutation { add(n: 1) again: add(n: 1) }", r#"{"add":1,"again":2}"#),
        ("mutation { slowAdd(n: 1) add(n: 1) ... { slowAdd(n: 1) } }", r#"{"slowAdd":1,"add":2}"#),
    ] {
        assert_eq!(data(query, json!({})).await, expected, "{query}");
    }
}

#[tokio::test]
async fn two_different_fields_of_one_key_are_refused_wherever_they_stand() {
    for query in [
        "{ a: first a: second }",
        "{ a: first ... on Query { a: second } }",
        "{ tree { depth } ... { tree { depth: slow } } }",
        "{ defaulted(n: 1) ... on Query { defaulted(n: 2) } }",
        "{ ...F a: second } fragment F on Query { a: first }",
        "mutation { add(n: 1) ... on Mutation { add(n: 2) } }",
    ] {
        assert_eq!(refusal(query, json!({})).await.1, "GRAPHQL_VALIDATION_FAILED", "{query}");
    }
}
