//! The labels of a text's link definitions, wherever these stand: a parser that reads piece by piece meets
//! `## [1.2.0]` long before `[1.2.0]: https://…`.

use std::collections::HashSet;

use super::lines;

/// Most definitions that are looked for; a heading whose link is defined by a later one is titled with its brackets.
const MOST_LABELS: usize = 100_000;

/// Longest label, as `CommonMark` has it.
const LABEL_BYTES: usize = 999;

/// Labels in the form in which they are compared.
pub(super) struct Labels(HashSet<String>);

impl Labels {
    /// Those of a text.
    pub(super) fn of(text: &str) -> Self {
        let labels = lines::of(text.as_bytes()).filter_map(|line| label(&text[line])).map(comparable);
        Self(labels.take(MOST_LABELS).collect())
    }

    /// Whether one of them is `label`.
    pub(super) fn hold(&self, label: &str) -> bool {
        self.0.contains(&comparable(label))
    }
}

/// The label that a line may define, in whatever quotes and lists it stands.
fn label(line: &str) -> Option<&str> {
    let is_mark = |c: char| c.is_ascii_whitespace() || c.is_ascii_digit() || ">-+*.)".contains(c);
    let rest = line.trim_start_matches(is_mark).strip_prefix('[')?;
    let (label, _) = rest[..rest.floor_char_boundary(LABEL_BYTES + 2)].split_once("]:")?;
    Some(label)
}

/// Case and the width of whitespace do not count.
fn comparable(label: &str) -> String {
    label.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}
