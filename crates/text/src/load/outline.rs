//! The outline of a document: its headings in order become sections, and the path of those in force at a place.

use super::{MAX_SECTIONS, Section};

/// Longest title kept of one heading, in characters. Every chunk repeats its heading path, so a
/// page that puts all its text into a heading must not multiply it.
const MAX_HEADING_CHARS: usize = 200;

/// Longest heading path, in bytes: of deeper ones the outermost titles are left out.
const MAX_PATH_BYTES: usize = 1024;

/// Collects sections while a loader walks a document.
#[derive(Debug, Default)]
pub(super) struct Outline {
    sections: Vec<Section>,
    first_top_heading: Option<String>,
}

impl Outline {
    /// Adds the heading that spans the bytes `start..body_start` of the text, with `level` 1 (top)
    /// to 6. One without a title changes nothing.
    pub(super) fn add(&mut self, level: u8, title: &str, start: usize, body_start: usize) {
        if self.sections.len() == MAX_SECTIONS {
            return;
        }
        let Some(title) = tidy_title(title) else {
            return;
        };
        if level == 1 && self.first_top_heading.is_none() {
            self.first_top_heading = Some(title.clone());
        }
        self.sections.push(Section { start, body_start, level, title });
    }

    /// The first heading of level 1, if any, and the sections.
    pub(super) fn finish(self) -> (Option<String>, Vec<Section>) {
        (self.first_top_heading, self.sections)
    }
}

/// The headings in force at a place of a document, outermost first.
#[derive(Debug, Default)]
pub struct HeadingPath<'a>(Vec<&'a Section>);

impl<'a> HeadingPath<'a> {
    /// Goes on to the next section, whose heading closes those of its level and below.
    pub fn enter(&mut self, section: &'a Section) {
        self.0.retain(|open| open.level < section.level);
        self.0.push(section);
    }

    /// What the headings say, the outermost ones left out if all together are too long.
    #[must_use]
    pub fn titles(&self) -> Vec<&'a str> {
        let mut room = MAX_PATH_BYTES;
        let titles = self.0.iter().rev().map(|section| section.title.as_str());
        let mut titles: Vec<_> = titles
            .take_while(|title| {
                let fits = title.len() <= room;
                room = room.saturating_sub(title.len());
                fits
            })
            .collect();
        titles.reverse();
        titles
    }
}

/// A title on one line, whitespace collapsed, shortened to [`MAX_HEADING_CHARS`]; `None` when
/// nothing is left.
pub(super) fn tidy_title(title: &str) -> Option<String> {
    let mut line = String::new();
    for word in title.split_whitespace().take(MAX_HEADING_CHARS) {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    let short = line.char_indices().nth(MAX_HEADING_CHARS).map_or(line.len(), |(end, _)| end);
    line.truncate(short);
    (!line.is_empty()).then_some(line)
}

/// The heading path of each section, for tests.
#[cfg(test)]
pub(super) fn paths(sections: &[Section]) -> Vec<String> {
    let mut path = HeadingPath::default();
    let enter = |section| {
        path.enter(section);
        path.titles().join(" > ")
    };
    sections.iter().map(enter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sections_of(headings: impl IntoIterator<Item = (u8, String)>) -> Vec<Section> {
        let mut outline = Outline::default();
        for (level, title) in headings {
            outline.add(level, &title, 0, 0);
        }
        outline.finish().1
    }

    #[test]
    fn a_heading_closes_those_of_its_level_and_below() {
        let mut outline = Outline::default();
        for (level, title) in [(2, "intro"), (1, "one"), (3, "deep"), (2, "two"), (1, "  "), (1, "last")] {
            outline.add(level, title, 0, 0);
        }
        let (title, sections) = outline.finish();
        assert_eq!(paths(&sections), ["intro", "one", "one > deep", "one > two", "last"]);
        assert_eq!(title.as_deref(), Some("one"));
    }

    #[test]
    fn a_long_title_is_shortened() {
        let title = tidy_title(&"é ".repeat(1000)).unwrap();
        assert_eq!(title.chars().count(), MAX_HEADING_CHARS);
    }

    #[test]
    fn a_path_that_is_too_long_keeps_its_innermost_titles() {
        let sections = sections_of((1..=6).map(|level| (level, level.to_string().repeat(MAX_HEADING_CHARS))));
        let mut path = HeadingPath::default();
        sections.iter().for_each(|section| path.enter(section));
        let first_chars: Vec<_> = path.titles().iter().map(|title| &title[..1]).collect();
        assert_eq!(first_chars, ["2", "3", "4", "5", "6"]);
    }

    #[test]
    fn headings_beyond_the_limit_open_no_sections() {
        let headings = std::iter::repeat_n((2, "same".to_owned()), MAX_SECTIONS + 1);
        assert_eq!(sections_of(headings).len(), MAX_SECTIONS);
    }
}
