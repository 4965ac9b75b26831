//! The outline of a document: headings in order become sections with the path of headings in force.

use super::Section;

/// Longest title kept of one heading, in characters. Every chunk repeats its heading path, so a
/// page that puts all its text into a heading must not multiply it.
const MAX_HEADING_CHARS: usize = 200;

/// Collects sections while a loader walks a document.
#[derive(Debug, Default)]
pub(super) struct Outline {
    open: Vec<(u8, String)>,
    sections: Vec<Section>,
    first_top_heading: Option<String>,
}

impl Outline {
    /// Adds the heading that spans the bytes `start..body_start` of the text, with `level` 1 (top)
    /// to 6. One without a title changes nothing.
    pub(super) fn add(&mut self, level: u8, title: &str, start: usize, body_start: usize) {
        let Some(title) = tidy_title(title) else {
            return;
        };
        if level == 1 && self.first_top_heading.is_none() {
            self.first_top_heading = Some(title.clone());
        }
        self.open.retain(|(open_level, _)| *open_level < level);
        self.open.push((level, title));
        let heading_path = self.open.iter().map(|(_, title)| title.clone()).collect();
        self.sections.push(Section { start, body_start, heading_path });
    }

    /// The first heading of level 1, if any, and the sections.
    pub(super) fn finish(self) -> (Option<String>, Vec<Section>) {
        (self.first_top_heading, self.sections)
    }
}

/// A title on one line, whitespace collapsed, shortened to [`MAX_HEADING_CHARS`]; `None` when
/// nothing is left.
pub(super) fn tidy_title(title: &str) -> Option<String> {
    let line = title.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(MAX_HEADING_CHARS).collect();
    (!short.is_empty()).then_some(short)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_closes_those_of_its_level_and_below() {
        let mut outline = Outline::default();
        for (level, title) in [(2, "intro"), (1, "one"), (3, "deep"), (2, "two"), (1, "  "), (1, "last")] {
            outline.add(level, title, 0, 0);
        }
        let (title, sections) = outline.finish();
        let paths: Vec<String> = sections.iter().map(|section| section.heading_path.join(" > ")).collect();
        assert_eq!(paths, ["intro", "one", "one > deep", "one > two", "last"]);
        assert_eq!(title.as_deref(), Some("one"));
    }

    #[test]
    fn a_long_title_is_shortened() {
        let title = tidy_title(&"é ".repeat(1000)).unwrap();
        assert_eq!(title.chars().count(), MAX_HEADING_CHARS);
    }
}
