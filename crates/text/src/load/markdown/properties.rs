//! Read in pieces, a document has the headings that it has when it is read whole.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// Pieces that end within a few blocks, with room for the longest block behind the usual length.
const SHORT: Lengths = Lengths { usual: 40, most: 600, word: 16 };

/// Documents tried: what the suite has time for; more were tried when this was written.
const CASES: u32 = 200;

fn words() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![5 => "[a-z]{1,6}", 1 => "\\[[a-c]\\]", 1 => "`[a-z# ]{1,4}`", 1 => "[*][a-z]{1,3}[*]", 1 => "é"],
        1..5,
    )
    .prop_map(|words| words.join(" "))
}

fn heading() -> impl Strategy<Value = String> {
    let atx = (1..=6_usize, words()).prop_map(|(level, title)| format!("{} {title}", "#".repeat(level)));
    let setext = (words(), prop_oneof!["={1,3}", "-{3,4}"]).prop_map(|(title, line)| format!("{title}\n{line}"));
    prop_oneof![3 => atx, 1 => setext]
}

/// Lines as they stand in code and HTML, where they are no headings.
fn raw_lines() -> impl Strategy<Value = String> {
    vec(
        prop_oneof![
            words(),
            Just(String::new()),
            words().prop_map(|words| format!("# {words}")),
            words().prop_map(|words| format!("    {words}"))
        ],
        1..5,
    )
    .prop_map(|lines| lines.join("\n"))
}

fn block() -> impl Strategy<Value = String> {
    let fence = (prop_oneof![Just("```"), Just("~~~"), Just("````")], raw_lines())
        .prop_map(|(marks, code)| format!("{marks}\n{code}\n{marks}"));
    let html = (prop_oneof![Just("pre"), Just("script"), Just("style")], raw_lines())
        .prop_map(|(tag, lines)| format!("<{tag}>\n{lines}\n</{tag}>"));
    let comment = raw_lines().prop_map(|lines| format!("<!--\n{lines}\n-->"));
    let definition = ("[a-c]", words())
        .prop_map(|(label, title)| format!("[{label}]: https://example.org '{}'", title.replace(['`', '*'], "")));
    let indented = words().prop_map(|words| format!("    # {words}"));
    let leaf = prop_oneof![
        4 => words(), 4 => heading(), 2 => fence, 1 => html, 1 => comment, 1 => definition, 1 => indented,
        1 => Just("---".to_owned()), 1 => Just("| a | b |\n|---|---|\n| 1 | # 2 |".to_owned())
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        let prefixed = |first: &'static str, rest: &'static str| {
            move |blocks: Vec<String>| {
                let text = blocks.join("\n\n");
                let lines = text.lines().enumerate();
                let marked = lines.map(|(n, line)| {
                    let mark = if n == 0 { first } else { rest };
                    if line.is_empty() { mark.trim_end().to_owned() } else { format!("{mark}{line}") }
                });
                marked.collect::<Vec<_>>().join("\n")
            }
        };
        prop_oneof![
            vec(inner.clone(), 1..3).prop_map(prefixed("> ", "> ")),
            vec(inner.clone(), 1..3).prop_map(prefixed("- ", "  ")),
            vec(inner.clone(), 1..3).prop_map(prefixed("1. ", "   ")),
            (inner, words())
                .prop_map(|(block, lazy)| format!("> {}\n{lazy}", block.lines().next().unwrap_or_default())),
        ]
    })
}

fn document() -> impl Strategy<Value = String> {
    let joint = prop_oneof![6 => Just("\n\n"), 1 => Just("\n"), 1 => Just("\r\n\r\n"), 1 => Just("\n\n\n")];
    vec((block(), joint), 1..24)
        .prop_map(|blocks| blocks.into_iter().flat_map(|(block, joint)| [block, joint.to_owned()]).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn cut_into_pieces_a_document_reads_as_it_does_whole(text in document()) {
        let read = |lengths| load_in(&text, lengths, &Stop::default()).expect("nobody stops it");
        let whole = read(Lengths { usual: usize::MAX, most: usize::MAX, word: 0 });
        prop_assert_eq!(read(SHORT), whole);
    }
}
