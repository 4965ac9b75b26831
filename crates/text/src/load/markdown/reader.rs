//! What the events of a Markdown parser tell of a document.

use std::ops::Range;

use pulldown_cmark::{Event, Tag, TagEnd};

use super::super::outline::{Outline, tidy_title};
use super::Loaded;

/// What is known of the document so far, event by event.
#[derive(Default)]
pub(super) struct Reader {
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
    /// Takes in one event, with the bytes of the text that it is about.
    pub(super) fn read(&mut self, event: Event<'_>, range: Range<usize>) {
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

    /// The document; `None` when it holds nothing but markup.
    pub(super) fn finish(self, text: &str) -> Option<Loaded> {
        if !self.has_text {
            return None;
        }
        let front_matter_title = front_matter_title(&self.front_matter);
        let (first_heading, sections) = self.outline.finish();
        Some(Loaded { text: text.to_owned(), title: front_matter_title.or(first_heading), sections })
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
