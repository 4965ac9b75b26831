//! The root of a subscription. <https://spec.graphql.org/September2025/#sec-Single-Root-Field>

use super::events;

#[tokio::test]
async fn fragments_at_the_root_give_the_same_events() {
    let expected = [r#"{"ticks":{"depth":0}}"#, r#"{"ticks":{"depth":1}}"#];
    for query in [
        "subscription { ticks { depth } }",
        "subscription { ...F } fragment F on Ticks { ticks { depth } }",
        "subscription { ... on Ticks { ticks { depth } } }",
        "subscription { ... { ticks { depth } } }",
        "subscription { ... { ...F } ticks { depth } } fragment F on Ticks { ...G } fragment G on Ticks { ticks { depth } }",
        "subscription { ticks { ...D } } fragment D on Tree { depth }",
    ] {
        assert_eq!(events(query).await, expected, "{query}");
    }
    assert_eq!(
        events(
            "subscription { t: ticks(times: 1) { d: depth } ...F } fragment F on Ticks { t: ticks(times: 1) { depth } }"
        )
        .await,
        [r#"{"t":{"d":0,"depth":0}}"#]
    );
}

#[tokio::test]
async fn there_is_exactly_one_root_field_after_fragments_are_put_in() {
    for (query, message) in [
        ("subscription { ticks { depth } others }", "subscription: got 2 root fields, expected exactly one"),
        ("subscription { others a: others }", "subscription: got 2 root fields, expected exactly one"),
        ("subscription { others ... { a: others } }", "subscription: got 2 root fields, expected exactly one"),
        (
            "subscription { others ...F } fragment F on Ticks { ticks { depth } }",
            "subscription: got 2 root fields, expected exactly one",
        ),
        (
            "subscription { others @include(if: true) }",
            "subscription: got @include at its root, expected one root field that is always there",
        ),
        (
            "subscription { others a: others @skip(if: true) }",
            "subscription: got @skip at its root, expected one root field that is always there",
        ),
        (
            "subscription { ... @skip(if: false) { others } }",
            "subscription: got @skip at its root, expected one root field that is always there",
        ),
        (
            "subscription { ...F @include(if: true) } fragment F on Ticks { others }",
            "subscription: got @include at its root, expected one root field that is always there",
        ),
    ] {
        assert_eq!(events(query).await, [message], "{query}");
    }
    for query in [
        "subscription { __typename }",
        "subscription { ... { __typename } }",
        "query A { second } subscription B { others a: others }",
    ] {
        let given = events(query).await;
        assert_eq!(given.len(), 1, "{query}: {given:?}");
        assert!(!given[0].starts_with('{'), "{query}: {given:?}");
    }
}

#[tokio::test]
async fn conditions_below_the_root_stay_allowed() {
    let query = "subscription { ticks(times: 1) { depth @skip(if: true) slow @include(if: true) } }";
    assert_eq!(events(query).await, [r#"{"ticks":{"slow":1}}"#]);
}
