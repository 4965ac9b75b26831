//! Each limit: the document at it passes, the one beyond it is refused by its code, and the setting moves it.

use async_graphql::{Response, Variables};
use serde_json::{Value as Json, json};

use super::{chain, gate, repeat};

/// The code of a text's refusal, with what came and what was expected.
fn refusal(settings: &[(&str, &str)], text: &str, variables: Json) -> Option<(String, String, String)> {
    let refused = gate(settings).read(text, &Variables::from_json(variables)).err()?;
    let response = serde_json::to_value(Response::from(refused)).expect("an answer is JSON");
    let extensions = &response["errors"][0]["extensions"];
    let text = |name: &str| extensions[name].as_str().expect("text").to_owned();
    Some((text("code"), text("got"), text("expected")))
}

#[test]
fn a_document_at_its_limit_passes_and_one_step_beyond_is_refused_by_name() {
    let fields = |count| format!("{{ {} }}", "__typename ".repeat(count));
    let tokens = |count| format!("{{ a {{ {} }} }}", "__typename ".repeat(count - 5));
    let nested = |depth| format!("{}__typename{}", "{ a ".repeat(depth), "}".repeat(depth));
    let inline = |depth| format!("{{ {} __typename {} }}", "... { ".repeat(depth - 1), "} ".repeat(depth - 1));
    let values = |depth| format!("{{ a(b: {}{}) }}", "[".repeat(depth - 2), "]".repeat(depth - 2));
    let operations = |count| repeat("query Q# { __typename }", count);
    let fragments = |count| format!("{{ __typename }} {}", repeat("fragment F# on Query { __typename }", count));
    let variables = |count| format!("query({}) {{ __typename }}", repeat("$v#: Int", count));
    let spreads = |count| format!("{{ {} }} fragment F on Query {{ __typename }}", "...F ".repeat(count));
    let inlines = |count| format!("{{ {} }}", "...{__typename} ".repeat(count));
    let spread_fields =
        |count: usize| format!("{{ {} }} fragment F on Query {{ a b c }}", "...F ".repeat(count.div_ceil(3) - 1));
    let aliases = |count| format!("{{ a {{ {} }} }}", repeat("a#: __typename", count));
    let directives = |count| format!("{{ a {{ {} }} }}", "b @c ".repeat(count));
    let deep_chain = |depth: usize| chain("{ ...F0 }", "Query", "...#", depth - 2);
    let text = |length: usize| format!("{{ __typename }}#{}", "x".repeat(length - 15));
    let name = |length| format!("{{ {} }}", "x".repeat(length));
    let declared = |count| format!("query A({}) {{ a }} query B($x: Int) {{ a }}", repeat("$v#: Int", count - 1));
    type Make<'a> = &'a dyn Fn(usize) -> String;
    let table: [(&str, usize, &str, Make<'_>); 18] = [
        ("query_limit_bytes", 2_048, "QUERY_TOO_LONG", &text),
        ("tokens_limit", 102, "TOO_MANY_TOKENS", &tokens),
        ("name_limit_bytes", 100, "NAME_TOO_LONG", &name),
        ("nesting_limit", 10, "QUERY_TOO_DEEP", &values),
        ("nesting_limit", 10, "QUERY_TOO_DEEP", &inline),
        ("nesting_limit", 10, "QUERY_TOO_DEEP", &deep_chain),
        ("depth_limit", 5, "QUERY_TOO_DEEP", &nested),
        ("operations_limit", 5, "TOO_MANY_OPERATIONS", &operations),
        ("fragments_limit", 5, "TOO_MANY_FRAGMENTS", &fragments),
        ("variables_limit", 5, "TOO_MANY_VARIABLES", &variables),
        ("variables_limit", 5, "TOO_MANY_VARIABLES", &declared),
        ("root_fields_limit", 5, "TOO_MANY_ROOT_FIELDS", &fields),
        ("root_fields_limit", 5, "TOO_MANY_ROOT_FIELDS", &spreads),
        ("spreads_limit", 5, "TOO_MANY_SPREADS", &spreads),
        ("spreads_limit", 5, "TOO_MANY_SPREADS", &inlines),
        ("aliases_limit", 5, "TOO_MANY_ALIASES", &aliases),
        ("directives_limit", 5, "TOO_MANY_DIRECTIVES", &directives),
        ("fields_limit", 30, "TOO_MANY_FIELDS", &spread_fields),
    ];
    for (setting, limit, code, document) in table {
        let (key, value) = (format!("graphql.{setting}"), limit.to_string());
        let settings = [(key.as_str(), value.as_str())];
        assert_eq!(refusal(&settings, &document(limit), json!({})), None, "{setting}: {}", document(limit));
        let beyond = document(limit + 1);
        let (refused, got, expected) = refusal(&settings, &beyond, json!({})).expect(&beyond);
        assert_eq!(refused, code, "{beyond}");
        assert!(expected.contains(&value) && expected.contains(&key), "{expected}");
        assert!(!got.is_empty(), "{beyond}");
    }
}

#[test]
fn what_validation_compares_is_bounded_however_it_is_multiplied() {
    let wide = repeat("x#: 1", 400);
    let fields = "a ".repeat(1_000);
    let listed = json!({ "v": vec![1; 10_000] });
    let uses = |count| format!("query($v: JSON) {{ {} }}", "a(b: $v) ".repeat(count));
    for (document, variables) in [
        // Arguments of fields that might be merged are compared each with each.
        (format!("{{ a({wide}) a({wide}) a({wide}) }}"), json!({})),
        (format!("{{ {} }} fragment F on Query {{ a({wide}) a({wide}) }}", "...F ".repeat(40)), json!({})),
        // Each set around a fragment looks into it anew.
        (format!("{{ {} {fields} {} }}", "... { ".repeat(60), "} ".repeat(60)), json!({})),
        (
            format!("{{ {} ...F {} }} fragment F on Query {{ a({wide}) }}", "... { ".repeat(60), "} ".repeat(60)),
            json!({}),
        ),
        // Variables are copied for each use, and looked for among all.
        (uses(45), listed),
        (uses(45), json!({ "v": "x".repeat(10_000_000) })),
        (format!("query({}) {{ c {{ {} }} }}", repeat("$v#: Int", 240), "a(b: $v239) ".repeat(1_500)), json!({})),
    ] {
        let limits = [("graphql.root_fields_limit", "10000"), ("graphql.steps_limit", "50000")];
        let refused = refusal(&limits, &document, variables);
        assert_eq!(refused.map(|(code, ..)| code).as_deref(), Some("VALIDATION_TOO_COSTLY"), "{document:.300}");
    }
    // What was sent once may be used once, however large.
    assert_eq!(refusal(&[], &uses(1), json!({ "v": vec![1; 3_000_000] })), None);
    let in_fragment = "mutation($v: JSON) { ...F } fragment F on Mutation { ...G } fragment G on Mutation { a(b: $v) }";
    assert_eq!(refusal(&[], in_fragment, json!({ "v": vec![1; 3_000_000] })), None);
}

/// Fields of all objects of an answer.
fn values(answer: &Json) -> usize {
    match answer {
        Json::Array(items) => items.iter().map(values).sum(),
        Json::Object(fields) => fields.len() + fields.values().map(values).sum::<usize>(),
        _ => 0,
    }
}

#[tokio::test]
async fn introspection_counts_as_exactly_what_it_gives() {
    let schema = vectorforge::graphql::builder().finish();
    let far = "{ type { ofType { ofType { fields { name type { ofType { fields { name args { name } } } } } } } } }";
    for text in [
        super::INTROSPECTION.to_owned(),
        "{ __schema { types { name } } }".to_owned(),
        "{ a: __schema { types { name } } ...F } fragment F on Query { __schema { types { kind fields { name } } } }"
            .to_owned(),
        "{ __schema { types { ...F } } } fragment F on __Type { fields { args { name } ... { type { name } } } name }"
            .to_owned(),
        format!("{{ __schema {{ types {{ fields {far} }} }} }}"),
        "{ a: __type(name: \"Query\") { fields { name type { ofType { fields { name args { name } } } } } }
            b: __type(name: \"Nothing\") { name } }"
            .to_owned(),
        format!("query($n: String!) {{ __type(name: $n) {{ fields {far} }} a: __schema {{ types {{ name }} }} }}"),
    ] {
        let variables = json!({ "n": "Collection" });
        let request = async_graphql::Request::new(&text).variables(Variables::from_json(variables.clone()));
        let answer = schema.execute(request).await.data.into_json().expect("an answer is JSON");
        let given = answer.as_object().expect("data").values().map(values).sum::<usize>();
        assert!(given > 100, "{text}: {answer}");
        for (limit, expected) in [(given, None), (given - 1, Some("INTROSPECTION_TOO_LARGE"))] {
            let limit = limit.to_string();
            let refused = refusal(&[("graphql.introspection_limit", &limit)], &text, variables.clone());
            assert_eq!(refused.as_ref().map(|(code, ..)| code.as_str()), expected, "{text} at {limit}: {refused:?}");
        }
    }
}

#[test]
fn a_type_whose_name_is_not_given_counts_as_the_largest() {
    let text =
        "query($n: String = \"Query\") { __type(name: $n) { fields { name type { name kind ofType { name } } } } }";
    let refused = refusal(&[("graphql.introspection_limit", "100")], text, json!({}));
    assert_eq!(refused.map(|(code, ..)| code).as_deref(), Some("INTROSPECTION_TOO_LARGE"));
}
