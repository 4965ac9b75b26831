//! The text of a document means what the specification says.
//! <https://spec.graphql.org/September2025/#sec-Language>

use async_graphql::Response;
use serde_json::{Value as Json, json};

use super::gate;
use crate::support::TestApp;

/// The first error of a text that is no document.
fn fault(text: &str) -> Json {
    let refused = gate(&[]).parse(text).expect_err(text);
    let mut response = serde_json::to_value(Response::from(refused)).expect("an answer is JSON");
    response["errors"][0].take()
}

#[test]
fn what_the_grammar_allows_is_read() {
    let gate = gate(&[]);
    for text in [
        "{a}",
        "\u{feff}{,a,,b\t}\r\n# }",
        "query{a}",
        "query Q($a:Int=1@d,$b:[ Int ! ] ! = [ 1 , 2 ]) @d(a: 1) { a }",
        "subscription S { a } fragment F on # comment\n T @d { ...F2 ... on T @d { b } ... @d { c } ...{d} } fragment F2 on T {a}",
        "query on { on: on(on: on) ...on2 } fragment on2 on on { fragment query: mutation }",
        "{ a(a: trueish, b: [nullable falsely], c: {}, d: [], e: {a: {b: []}}, f: -0, g: 1.5e-3, h: 1E+2) }",
        "\"A description\" query Q(\"of a variable\" $a: Int) { a } \"\"\"Of a fragment\"\"\" fragment F on T { a }",
        "{ a(b: \"\", c: \"\"\"\"\"\", d: \"\"\" \" \"\" \\\"\"\" \"\"\") }",
        "{ a(b: \"tab\there, \u{7f}\u{1}\") } # \u{0}\u{1}",
    ] {
        if let Err(refused) = gate.parse(text) {
            panic!("{text}: {refused:?}");
        }
    }
}

#[test]
fn what_the_grammar_does_not_allow_is_refused_where_it_stands() {
    for (text, line, column, got) in [
        ("", 1, 1, "no operation"),
        ("# only", 1, 7, "no operation"),
        ("{", 1, 2, "the end of the text"),
        ("{}", 1, 2, "}"),
        ("{ a }}", 1, 6, "}"),
        ("{ a { } }", 1, 7, "}"),
        ("{ a() }", 1, 5, ")"),
        ("query() { a }", 1, 7, ")"),
        ("{ a(b: ) }", 1, 8, ")"),
        ("{ a(b: [1) }", 1, 10, ")"),
        ("{ a(b $c) }", 1, 7, "$"),
        ("queryQ { a }", 1, 1, "queryQ"),
        ("{ a }\r\n{ b }", 2, 1, "a second operation without a name"),
        ("{ a } query Q { b }", 1, 1, "an operation without a name"),
        ("query Q { a }\rquery Q { b }", 2, 7, "a second operation Q"),
        ("{ a } fragment F on T { a } fragment F on T { a }", 1, 38, "a second fragment F"),
        ("fragment F on T { a }", 1, 22, "no operation"),
        ("{ a } fragment on on T { a }", 1, 16, "on"),
        ("{ a } fragment F { a }", 1, 18, "{"),
        ("{ ... on { a } }", 1, 10, "{"),
        ("\"description\" { a }", 1, 15, "{"),
        ("query($a: Int = $b) { a }", 1, 17, "$"),
        ("query($a: Int @d(b: $b)) { a }", 1, 21, "$"),
        ("query($a: [Int) { a }", 1, 15, ")"),
        ("type T { a: Int }", 1, 1, "type"),
        ("{ a(b: 01) }", 1, 8, "01"),
        ("{ a(b: 1.) }", 1, 8, "1."),
        ("{ a(b: .5) }", 1, 8, "."),
        ("{ a(b: 1e) }", 1, 8, "1e"),
        ("{ a(b: 12x) }", 1, 8, "12x"),
        ("{ a(b: 1.5.) }", 1, 8, "1.5."),
        ("{ a(b: -) }", 1, 8, "-"),
        ("{ a(b: 1e999) }", 1, 8, "1e999"),
        ("{ a(b: \"x\n\") }", 1, 8, "a string without an end"),
        ("{ a(b: \"x\\\n\") }", 1, 8, "a string without an end"),
        ("{ a(b: \"\"\"x) }", 1, 8, "a block string without an end"),
        ("{ é }", 1, 3, "é"),
        ("{ a \u{1} }", 1, 5, "\\u{1}"),
        ("# é😀\n\"é😀\" {a}", 2, 6, "{"),
        ("{ a(é: 1) }", 1, 5, "é"),
        ("{ a .. b }", 1, 5, "."),
        ("{ a @b @c @b }", 1, 11, "a second directive @b"),
        ("{ __typename @b(a: 1) @b(a: 2) }", 1, 23, "a second directive @b"),
    ] {
        let fault = fault(text);
        let location = json!([{ "line": line, "column": column }]);
        let extensions = &fault["extensions"];
        assert_eq!((&fault["locations"], &extensions["got"]), (&location, &json!(got)), "{text}: {fault}");
        assert_eq!(extensions["code"], "GRAPHQL_VALIDATION_FAILED", "{text}: {fault}");
        let message = format!("query: got {got}, expected {}", extensions["expected"].as_str().expect("text"));
        assert_eq!(fault["message"], message, "{text}");
    }
}

#[test]
fn a_field_that_is_given_twice_in_an_input_object_is_refused_wherever_it_stands() {
    for (text, column) in [
        ("{ a(b: {c: 1, d: 2, c: 1}) }", 21),
        ("{ a(b: [1, {e: {c: 1, c: 2}}]) }", 23),
        ("query($b: B = {c: 1, c: 1}) { a }", 22),
        ("{ a @d(b: {c: 1, c: 1}) }", 18),
        ("{ ... @d(b: {c: 1, c: 1}) { a } }", 20),
        ("query A { a } query B { a(b: {c: $c, c: $c}) }", 38),
        ("{ a } fragment F on T { a(b: {c: 1, c: 1}) }", 37),
    ] {
        let fault = fault(text);
        assert_eq!(fault["locations"][0]["column"], column, "{text}: {fault}");
        assert_eq!(fault["extensions"]["got"], "a second field c", "{text}: {fault}");
    }
    assert!(gate(&[]).parse("{ a(b: {c: {c: 1}, d: {c: 1}}, c: {c: 1}) }").is_ok());
}

#[test]
fn no_text_of_few_signs_breaks_the_parser() {
    let gate = gate(&[]);
    let parts =
        ["{", "}", "(", ")", "[", "a", ":", "...", "on", "\"", "\\", "\"\"\"", "$", "@", "1", "-", ".", "\n", "é"];
    // Every text of four parts, also behind the beginning of an argument.
    for turn in 0..parts.len().pow(4) {
        let text: String = (0..4).map(|at| parts[turn / parts.len().pow(at) % parts.len()]).collect();
        let _ = gate.parse(&text);
        let _ = gate.parse(&format!("{{ a(b: {text}"));
    }
}

#[tokio::test]
async fn unicode_escapes_and_block_strings_arrive_as_what_they_mean() {
    let app = TestApp::builder().without_workers().start().await;
    for (name, (literal, expected)) in [
        (r#""caf\u00e9 \u{1F600}""#, "café 😀"),
        (r#""\uD83D\uDE00 \/ \"x\"""#, "😀 / \"x\""),
        ("\"\"\"\n    two\n      lines \\\"\"\" \\u0041\n  \"\"\"", "two\n  lines \"\"\" \\u0041"),
    ]
    .into_iter()
    .enumerate()
    {
        let create = format!(
            "mutation {{ createCollection(input: {{ name: \"{name}\", description: {literal} }}) {{
            collection {{ description }} }} }}"
        );
        let data = app.data(&create, json!({})).await;
        assert_eq!(data["createCollection"]["collection"]["description"], expected, "{literal}");
    }
    for literal in [r#""\uD83D""#, r#""\uDE00\uD83D""#, r#""\u{D83D}""#, r#""\u{110000}""#, r#""\x41""#] {
        let create = format!("mutation {{ createCollection(input: {{ name: {literal} }}) {{ collection {{ id }} }} }}");
        let refusal = app.refusal(&create, json!({})).await;
        assert_eq!((&refusal["code"], &refusal["field"]), (&json!("GRAPHQL_VALIDATION_FAILED"), &json!("query")));
        assert_eq!(refusal["expected"], "an escape of a Unicode character", "{refusal}");
    }
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 3);
}
