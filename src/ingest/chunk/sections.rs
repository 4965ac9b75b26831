//! The parts of a document that no chunk crosses.

use std::ops::Range;

use super::Loaded;

/// Text under one heading, with the heading.
pub(super) struct Part<'a> {
    /// Bytes of the text.
    pub(super) range: Range<usize>,
    pub(super) heading_path: &'a [String],
}

/// Divides a document before each heading. A heading with nothing below it goes with the section
/// after it: alone it would be a chunk that says nothing.
pub(super) fn of(loaded: &Loaded) -> Vec<Part<'_>> {
    let text = loaded.text.as_str();
    let mut parts = Vec::with_capacity(loaded.sections.len() + 1);
    let mut start = 0;
    let mut body_start = 0;
    let mut heading_path: &[String] = &[];
    for section in &loaded.sections {
        let end = text.floor_char_boundary(section.start).max(start);
        let has_body = !text[body_start.min(end)..end].trim().is_empty();
        if has_body {
            parts.push(Part { range: start..end, heading_path });
            start = end;
        }
        body_start = text.floor_char_boundary(section.body_start);
        heading_path = &section.heading_path;
    }
    parts.push(Part { range: start..text.len(), heading_path });
    parts
}

#[cfg(test)]
mod tests {
    use super::super::super::load::{ContentType, load};
    use super::*;

    #[test]
    fn parts_begin_at_headings_and_lone_headings_join_what_follows() {
        let text = "before\n# A\n## B\nbody\n## C\n\n# D\n# E\n";
        let loaded = load(ContentType::Markdown, text.as_bytes()).unwrap();
        let parts: Vec<_> =
            of(&loaded).into_iter().map(|part| (&text[part.range], part.heading_path.join(" > "))).collect();
        let expected = [("before\n", ""), ("# A\n## B\nbody\n", "A > B"), ("## C\n\n# D\n# E\n", "E")];
        assert_eq!(parts, expected.map(|(text, path)| (text, path.to_owned())));
    }
}
