//! The parts of a document that no chunk crosses.

use std::ops::Range;

use super::Loaded;
use crate::load::HeadingPath;

/// Text under one heading, with the heading.
pub(super) struct Part<'a> {
    /// Bytes of the text.
    pub(super) range: Range<usize>,
    /// Titles of the headings above it, outermost first.
    pub(super) heading_path: Vec<&'a str>,
}

/// Divides a document before each heading. A heading with nothing below it goes with the section
/// after it: alone it would be a chunk that says nothing.
pub(super) fn of(loaded: &Loaded) -> Vec<Part<'_>> {
    let text = loaded.text.as_str();
    let mut parts = Vec::with_capacity(loaded.sections.len() + 1);
    let mut start = 0;
    let mut body_start = 0;
    let mut path = HeadingPath::default();
    for section in &loaded.sections {
        let end = text.floor_char_boundary(section.start).max(start);
        let has_body = !text[body_start.min(end)..end].trim().is_empty();
        if has_body {
            parts.push(Part { range: start..end, heading_path: path.titles() });
            start = end;
        }
        body_start = text.floor_char_boundary(section.body_start);
        path.enter(section);
    }
    parts.push(Part { range: start..text.len(), heading_path: path.titles() });
    parts
}

#[cfg(test)]
mod tests {
    use super::super::Stop;
    use super::*;
    use crate::load::{ContentType, load};

    #[test]
    fn parts_begin_at_headings_and_lone_headings_join_what_follows() {
        let text = "before\n# A\n## B\nbody\n## C\n\n# D\n# E\n";
        let loaded = load(ContentType::Markdown, text.as_bytes(), &Stop::default()).unwrap();
        let parts: Vec<_> =
            of(&loaded).into_iter().map(|part| (&text[part.range], part.heading_path.join(" > "))).collect();
        let expected = [("before\n", ""), ("# A\n## B\nbody\n", "A > B"), ("## C\n\n# D\n# E\n", "E")];
        assert_eq!(parts, expected.map(|(text, path)| (text, path.to_owned())));
    }
}
