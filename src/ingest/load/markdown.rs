//! Markdown: kept as it is, markup included, because that is what people and language models read
//! well. The parser only tells where the headings are.

use std::ops::Range;

use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

use super::Loaded;
use super::outline::{Outline, tidy_title};

/// The source itself with its headings as sections; `None` when it holds nothing but markup.
pub(super) fn load(text: &str) -> Option<Loaded> {
    // Heading attributes are on so that `# Title {#anchor}` is titled "Title".
    let options =
        Options::ENABLE_TABLES | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS | Options::ENABLE_HEADING_ATTRIBUTES;
    let mut reader = Reader::default();
    for (event, range) in Parser::new_ext(text, options).into_offset_iter() {
        reader.read(event, range);
    }
    if !reader.has_text {
        return None;
    }
    let front_matter_title = front_matter_title(&reader.front_matter);
    let (first_heading, sections) = reader.outline.finish();
    Some(Loaded { text: text.to_owned(), title: front_matter_title.or(first_heading), sections })
}

/// What is known of the document so far, event by event.
#[derive(Default)]
struct Reader {
    outline: Outline,
    /// Title collected of the heading being read.
    heading: Option<String>,
    in_front_matter: bool,
    front_matter: String,
    /// Quotes, lists and footnotes around the event: a heading in one of them does not rule what
    /// comes after it.
    containers: usize,
    has_text: bool,
}

impl Reader {
    fn read(&mut self, event: Event<'_>, range: Range<usize>) {
        match event {
            Event::Start(Tag::Heading { .. }) => self.heading = Some(String::new()),
            Event::End(TagEnd::Heading(level)) => self.end_heading(level as u8, &range),
            Event::Start(Tag::MetadataBlock(_)) => self.in_front_matter = true,
            Event::End(TagEnd::MetadataBlock(_)) => self.in_front_matter = false,
            Event::Start(Tag::BlockQuote(_) | Tag::List(_) | Tag::FootnoteDefinition(_)) => self.containers += 1,
            Event::End(TagEnd::BlockQuote(_) | TagEnd::List(_) | TagEnd::FootnoteDefinition) => self.containers -= 1,
            Event::Text(text) | Event::Code(text) => self.read_text(&text),
            Event::SoftBreak | Event::HardBreak => self.read_text(" "),
            Event::Html(html) | Event::InlineHtml(html) => self.has_text |= holds_more_than_a_comment(&html),
            _ => {}
        }
    }

    fn read_text(&mut self, text: &str) {
        if self.in_front_matter {
            self.front_matter.push_str(text);
            return;
        }
        self.has_text |= !text.trim().is_empty();
        if let Some(title) = &mut self.heading {
            title.push_str(text);
        }
    }

    fn end_heading(&mut self, level: u8, range: &Range<usize>) {
        let title = self.heading.take().unwrap_or_default();
        if self.containers == 0 {
            self.outline.add(level, &title, range.start, range.end);
        }
    }
}

fn holds_more_than_a_comment(html: &str) -> bool {
    let html = html.trim();
    !html.is_empty() && !html.starts_with("<!--")
}

/// The value of a one-line `title:` of YAML front matter, without its quotes. Block scalars,
/// anchors and the like are left alone: the first heading then gives the title.
fn front_matter_title(front_matter: &str) -> Option<String> {
    let value = front_matter.lines().find_map(|line| line.strip_prefix("title:"))?.trim();
    if value.starts_with(['|', '>', '&', '*', '[', '{']) {
        return None;
    }
    let unquoted = ['"', '\''].iter().find_map(|&quote| value.strip_prefix(quote)?.strip_suffix(quote));
    tidy_title(unquoted.unwrap_or(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline_of(text: &str) -> Vec<(&str, String)> {
        let loaded = load(text).unwrap();
        let line_at = |start: usize| text[start..].lines().next().unwrap_or_default();
        loaded.sections.iter().map(|section| (line_at(section.start), section.heading_path.join(" > "))).collect()
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
        let section = &load(text).unwrap().sections[0];
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
            assert_eq!(load(text).unwrap().title.as_deref(), expected, "{text:?}");
        }
    }
}
