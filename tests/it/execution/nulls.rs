//! Null goes up to the nearest place that may be null.
//! <https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors>

use super::{engine, events, partial, request, text};
use async_graphql::Executor;
use serde_json::json;

/// An operation, its data, and the paths of its errors.
type Case<'a> = (&'a str, &'a str, &'a [&'a str]);

async fn check(cases: &[Case<'_>]) {
    for (query, data, paths) in cases {
        let (given, errors) = partial(query).await;
        assert_eq!((given.as_str(), errors), (*data, paths.iter().map(|path| (*path).to_owned()).collect()), "{query}");
    }
}

#[tokio::test]
async fn a_field_that_may_be_null_is_null_where_it_failed_and_its_siblings_stay() {
    check(&[
        ("{ tree { maybe depth } }", r#"{"tree":{"maybe":null,"depth":0}}"#, &[r#"["tree","maybe"]"#]),
        ("{ tree { maybe } }", r#"{"tree":{"maybe":null}}"#, &[r#"["tree","maybe"]"#]),
        (
            "{ tree { a: maybe child { b: maybe } } }",
            r#"{"tree":{"a":null,"child":{"b":null}}}"#,
            &[r#"["tree","a"]"#, r#"["tree","child","b"]"#],
        ),
        ("{ tree { absent { sure } } }", r#"{"tree":{"absent":null}}"#, &[]),
    ])
    .await;
}

#[tokio::test]
async fn a_field_that_must_not_be_null_takes_the_nearest_nullable_one_with_it() {
    check(&[
        ("{ tree { sure depth } second }", r#"{"tree":null,"second":2}"#, &[r#"["tree","sure"]"#]),
        ("{ tree { sure } }", r#"{"tree":null}"#, &[r#"["tree","sure"]"#]),
        (
            "{ tree { child { must { depth sure } depth } depth } }",
            r#"{"tree":{"child":null,"depth":0}}"#,
            &[r#"["tree","child","must","sure"]"#],
        ),
        ("{ mustTree { must { sure depth } } second }", "null", &[r#"["mustTree","must","sure"]"#]),
        (
            "{ mustTree { child { sure depth } depth } }",
            r#"{"mustTree":{"child":null,"depth":0}}"#,
            &[r#"["mustTree","child","sure"]"#],
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_item_that_must_not_be_null_takes_its_list_with_it() {
    check(&[
        ("{ tree { list { half } depth } }", r#"{"tree":{"list":null,"depth":0}}"#, &[r#"["tree","list",1,"half"]"#]),
        ("{ tree { mustList { half } depth } }", r#"{"tree":null}"#, &[r#"["tree","mustList",1,"half"]"#]),
        ("{ mustTree { mustList { half depth } } }", "null", &[r#"["mustTree","mustList",1,"half"]"#]),
        (
            "{ tree { loose { half depth } } }",
            r#"{"tree":{"loose":[{"half":0,"depth":0},null,{"half":2,"depth":2},null]}}"#,
            &[r#"["tree","loose",1,"half"]"#],
        ),
        (
            "{ tree { list { maybe } } }",
            r#"{"tree":{"list":[{"maybe":null},{"maybe":null},{"maybe":null}]}}"#,
            &[r#"["tree","list",0,"maybe"]"#, r#"["tree","list",1,"maybe"]"#, r#"["tree","list",2,"maybe"]"#],
        ),
    ])
    .await;
}

#[tokio::test]
async fn objects_of_abstract_types_lose_what_their_own_type_must_not_miss() {
    check(&[
        ("{ named { name lives } }", r#"{"named":[null,null,{"name":"cat","lives":9}]}"#, &[r#"["named",0,"lives"]"#]),
        ("{ pets { ... on Dog { barks lives } } }", "null", &[r#"["pets",1,"lives"]"#]),
        (
            "{ named { ... on Dog { friend { lives } } ... on Cat { lives } } }",
            r#"{"named":[{"friend":{"lives":9}},null,{"lives":9}]}"#,
            &[],
        ),
    ])
    .await;
}

#[tokio::test]
async fn one_of_two_mutations_that_fails_leaves_no_data_unless_it_may_be_null() {
    check(&[
        ("mutation { add(n: 1) fail }", "null", &[r#"["fail"]"#]),
        ("mutation { fail add(n: 1) }", "null", &[r#"["fail"]"#]),
        (
            "mutation { add(n: 1) failSoftly more: add(n: 1) }",
            r#"{"add":1,"failSoftly":null,"more":2}"#,
            &[r#"["failSoftly"]"#],
        ),
    ])
    .await;
}

#[tokio::test]
async fn a_number_that_json_does_not_have_is_an_error_and_no_silent_null() {
    let response = engine().execute(request("{ tree { notANumber depth } }", json!({}))).await;
    assert_eq!(text(&response), r#"{"tree":null}"#);
    let error = &response.errors[0];
    assert_eq!(json!(error.path), json!(["tree", "notANumber"]));
    assert_eq!(vectorforge::graphql::code_of(error), Some("INTERNAL"));
}

#[tokio::test]
async fn an_object_of_which_all_fields_are_skipped_is_empty_and_not_null() {
    check(&[
        ("{ second @skip(if: true) }", "{}", &[]),
        ("{ tree { depth @skip(if: true) } }", r#"{"tree":{}}"#, &[]),
        ("{ tree { list { ... @include(if: false) { depth } } } }", r#"{"tree":{"list":[{},{},{}]}}"#, &[]),
        ("{ pets { ... on Dog { barks } } }", r#"{"pets":[{},{"barks":true}]}"#, &[]),
        ("mutation { add(n: 1) @skip(if: true) }", "{}", &[]),
    ])
    .await;
}

#[tokio::test]
async fn events_of_a_subscription_are_completed_like_answers() {
    let given = events("subscription { ticks(times: 1) { slow depth tree: child { depth @skip(if: true) } } }").await;
    assert_eq!(given, [r#"{"ticks":{"slow":1,"depth":0,"tree":{}}}"#]);
    let (failing, _) = {
        use futures_util::StreamExt;
        let mut stream =
            engine().execute_stream(request("subscription { ticks(times: 1) { sure depth } }", json!({})), None);
        let response = stream.next().await.expect("an event");
        assert_eq!(json!(response.errors[0].path), json!(["ticks", "sure"]));
        (text(&response), stream.next().await.is_none())
    };
    assert_eq!(failing, "null");
}
