//! `@skip` and `@include`. <https://spec.graphql.org/September2025/#sec-Type-System.Directives.Built-in-Directives>

use serde_json::json;

use super::{data, refusal};

#[tokio::test]
async fn conditions_decide_by_variables_and_their_defaults() {
    for (query, variables, expected) in [
        ("query($s: Boolean!) { second @include(if: $s) }", json!({ "s": true }), r#"{"second":2}"#),
        ("query($s: Boolean = true) { second @include(if: $s) }", json!({}), r#"{"second":2}"#),
        ("query($s: Boolean = true) { second @skip(if: $s) }", json!({}), "{}"),
        ("query($s: Boolean! = false) { second @include(if: $s) @skip(if: $s) }", json!({}), "{}"),
        ("query($s: Boolean!) { second __typename @include(if: $s) }", json!({ "s": false }), r#"{"second":2}"#),
        ("query($s: Boolean!) { ... @include(if: $s) { second } }", json!({ "s": true }), r#"{"second":2}"#),
        ("query($s: Boolean!) { ...F @skip(if: $s) } fragment F on Query { second }", json!({ "s": true }), "{}"),
        (
            "query($s: Boolean!) { ...F @skip(if: $s) ...F } fragment F on Query { second }",
            json!({ "s": true }),
            r#"{"second":2}"#,
        ),
        ("{ second @skip(if: false) @include(if: true) }", json!({}), r#"{"second":2}"#),
    ] {
        assert_eq!(data(query, variables).await, expected, "{query}");
    }
}

#[tokio::test]
async fn a_condition_that_may_be_null_is_refused_wherever_it_stands() {
    for query in [
        "query($s: Boolean) { second @include(if: $s) }",
        "query($s: Boolean) { second @skip(if: $s) }",
        "query($s: Boolean) { second @skip(if: false) @include(if: $s) }",
        "query($s: Boolean) { __typename @include(if: $s) }",
        "query($s: Boolean) { ... @include(if: $s) { second } }",
        "query($s: Boolean) { ...F @include(if: $s) } fragment F on Query { second }",
        "query($s: Boolean) { ...F } fragment F on Query { second @include(if: $s) }",
        "query($s: Boolean) { second tree @skip(if: true) { depth @include(if: $s) } }",
        "query($s: Boolean = null) { second @include(if: $s) }",
        "query($s: String!) { second @include(if: $s) }",
        "query($s: [Boolean!]!) { second @include(if: $s) }",
        "query A { second } query B($s: Boolean) { second @include(if: $s) }",
    ] {
        for variables in [json!({}), json!({ "s": true }), json!({ "s": null })] {
            assert_eq!(refusal(query, variables).await.1, "GRAPHQL_VALIDATION_FAILED", "{query}");
        }
    }
}

#[tokio::test]
async fn a_condition_that_is_not_true_or_false_is_refused() {
    let (document, input) = ("GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT");
    for (query, variables, code) in [
        ("{ second @include(if: null) }", json!({}), document),
        ("{ second @include(if: 1) }", json!({}), document),
        ("{ second @include(if: \"true\") }", json!({}), document),
        ("{ second @include }", json!({}), document),
        ("query($s: Boolean!) { second @include(if: $s) }", json!({}), input),
        ("query($s: Boolean!) { second @include(if: $s) }", json!({ "s": null }), input),
        ("query($s: Boolean!) { second @include(if: $s) }", json!({ "s": "true" }), input),
        ("{ second @include(if: $s) }", json!({ "s": true }), document),
        ("{ second @include(if: true) @include(if: true) }", json!({}), document),
    ] {
        assert_eq!(refusal(query, variables).await.1, code, "{query}");
    }
}
