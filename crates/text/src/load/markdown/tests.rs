//! Where the headings of a text are, and what it is called.

use super::super::outline::paths;
use super::*;

fn loaded(text: &str) -> Option<Loaded> {
    load(text, &Stop::default()).expect("nobody stops it")
}

fn outline_of(text: &str) -> Vec<(&str, String)> {
    let loaded = loaded(text).unwrap();
    let line_at = |start: usize| text[start..].lines().next().unwrap_or_default();
    let starts = loaded.sections.iter().map(|section| line_at(section.start));
    starts.zip(paths(&loaded.sections)).collect()
}

#[test]
fn both_kinds_of_heading_open_sections_at_their_offset() {
    let text = "before\n\n# Über *all* `x` #\n\ntext\n\nSecond\nline\n---\n\nmore\n\n### Third {#anchor}\n";
    assert_eq!(
        outline_of(text),
        [
            ("# Über *all* `x` #", "Über all x".to_owned()),
            ("Second", "Über all x > Second line".to_owned()),
            ("### Third {#anchor}", "Über all x > Second line > Third".to_owned()),
        ]
    );
}

#[test]
fn code_quotes_and_lists_open_no_sections() {
    let text = "```sh\n# comment\n```\n\n    # indented\n\n> # quoted\n\n- # listed\n\n# real\r\n";
    assert_eq!(outline_of(text), [("# real", "real".to_owned())]);
}

#[test]
fn a_section_tells_where_its_body_begins() {
    let text = "Title\n=====\nbody";
    let section = &loaded(text).unwrap().sections[0];
    assert_eq!(&text[section.body_start..], "body");
}

#[test]
fn the_title_comes_from_front_matter_else_from_the_first_top_heading() {
    for (text, expected) in [
        ("---\nauthor: x\ntitle: \"A: b\"\n---\n\n# H\n", Some("A: b")),
        ("---\ntitle: it's\n---\n# H\n", Some("it's")),
        ("---\ntitle: >\n  folded\n---\n# H\n", Some("H")),
        ("## below\n\n# Top\n\n# Other\n", Some("Top")),
        ("## below\n\ntext\n", None),
    ] {
        assert_eq!(loaded(text).unwrap().title.as_deref(), expected, "{text:?}");
    }
}
