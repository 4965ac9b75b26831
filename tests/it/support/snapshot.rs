//! Whole answers as a reader sees them, kept in `snapshots`: looked at once, and compared ever after. One that is missing
//! or differs fails; `INSTA_UPDATE=always cargo test --workspace --test it` writes them anew, for `git diff` to show.

use regex::Regex;

/// What differs from run to run, as a pattern, and what is kept in its place.
pub type Redaction<'a> = (&'a str, &'a str);

/// In every answer: ids of rows, temporary directories.
const ALWAYS: [Redaction<'static>; 2] =
    [(r"\b[a-z]{3}_[0-9a-f]{32}\b", "[id]"), (r"(/[^\s/]+)*/\.tmp\w{6}", "[directory]")];

/// Compares a text with the one of this name.
pub fn assert_kept(name: &str, text: &str, redactions: &[Redaction<'_>]) {
    let mut settings = insta::Settings::new();
    settings.set_snapshot_path("../snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, redact(text, redactions)));
}

fn redact(text: &str, redactions: &[Redaction<'_>]) -> String {
    redactions.iter().chain(&ALWAYS).fold(text.to_owned(), |text, (pattern, instead)| {
        Regex::new(pattern).expect("a pattern").replace_all(&text, *instead).into_owned()
    })
}
