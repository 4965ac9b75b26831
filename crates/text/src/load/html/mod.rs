//! HTML: the visible text.
//!
//! Works on the stream of tags, without a tree. Building the tree the standard describes takes
//! quadratic time on deeply nested pages, and text needs only the order of tags: where a block, row
//! or heading begins and ends.

mod elements;
mod writer;

use html5gum::emitters::callback::{CallbackEmitter, CallbackEvent};
use html5gum::{Span, State, Tokenizer, naive_next_state};

use self::elements::{ELEMENTS, OpenElements, Role};
use self::writer::TextWriter;
use super::outline::{Outline, tidy_title};
use super::{Loaded, Stop, Stopped};

/// Most bytes collected of a title or heading; far more than is kept of one, so that none can hold
/// the whole page twice.
const MAX_TITLE_BYTES: usize = 4096;

/// Events between two looks at whether to go on.
const EVENTS_PER_LOOK: usize = 1024;

/// The visible text, with headings as sections; `None` when nothing is visible.
pub(super) fn load(html: &str, stop: &Stop) -> Result<Option<Loaded>, Stopped> {
    let mut page = Page::new();
    let mut events = 0_usize;
    let emitter = CallbackEmitter::new(|event: CallbackEvent<'_>, _: Span<()>| {
        events += 1;
        let next_state = page.read(&event).map(Ok);
        if events.is_multiple_of(EVENTS_PER_LOOK) { stop.check().err().map(Err).or(next_state) } else { next_state }
    });
    let mut tokenizer = Tokenizer::new_with_emitter(html, emitter);
    while let Some(Ok(next_state)) = tokenizer.next() {
        tokenizer.set_state(next_state?);
    }
    drop(tokenizer);
    Ok(page.finish())
}

/// A heading whose end has not been seen.
struct OpenHeading {
    level: u8,
    /// Length of the text before it.
    after: usize,
    title: String,
}

/// What is known of the page so far, tag by tag.
struct Page {
    writer: TextWriter,
    outline: Outline,
    open: OpenElements,
    heading: Option<OpenHeading>,
    title: Option<String>,
    in_title: bool,
    /// How many dropped elements are open.
    dropped: usize,
    /// How many preformatted elements are open.
    preformatted: usize,
    /// How many lists are open.
    lists: usize,
    /// The standard has the newline right after `<pre>` ignored.
    ignores_newline: bool,
    /// Name of the start tag being read.
    tag: Vec<u8>,
}

impl Page {
    fn new() -> Self {
        Self {
            writer: TextWriter::default(),
            outline: Outline::default(),
            open: OpenElements::new(),
            heading: None,
            title: None,
            in_title: false,
            dropped: 0,
            preformatted: 0,
            lists: 0,
            ignores_newline: false,
            tag: Vec::new(),
        }
    }

    /// Takes in one event; answers with the state the tokenizer must go on in, where that is not
    /// the usual one.
    fn read(&mut self, event: &CallbackEvent<'_>) -> Option<State> {
        match event {
            CallbackEvent::OpenStartTag { name } => {
                self.tag.clear();
                self.tag.extend_from_slice(name);
            }
            CallbackEvent::CloseStartTag { self_closing } => return self.start_tag(*self_closing),
            CallbackEvent::EndTag { name } => self.end_tag(name),
            CallbackEvent::String { value } => self.text(&String::from_utf8_lossy(value)),
            _ => {}
        }
        None
    }

    /// A self-closing tag opens nothing. That is the rule of XHTML; in HTML such tags are void
    /// elements or slips.
    fn start_tag(&mut self, self_closing: bool) -> Option<State> {
        self.ignores_newline = false;
        if let Some(element) = elements::find(&self.tag) {
            let (_, role) = ELEMENTS[element];
            self.enter(role);
            if role.has_end() {
                self.open.open(element);
                if self_closing {
                    self.close(element);
                }
            }
        }
        if self_closing { None } else { naive_next_state(&self.tag) }
    }

    fn end_tag(&mut self, name: &[u8]) {
        self.ignores_newline = false;
        let Some(element) = elements::find(name) else {
            return;
        };
        let (_, role) = ELEMENTS[element];
        if role.has_end() {
            self.close(element);
        } else {
            self.leave(role);
        }
    }

    /// Closes the innermost `element`, and with it all that is open inside. Does nothing when it is
    /// not open.
    fn close(&mut self, element: usize) {
        if !self.open.is_open(element) {
            return;
        }
        while let Some(closed) = self.open.close_innermost() {
            let (_, role) = ELEMENTS[closed];
            self.leave(role);
            if closed == element {
                return;
            }
        }
    }

    fn enter(&mut self, role: Role) {
        if role == Role::Dropped {
            self.dropped += 1;
        }
        if self.dropped > 0 {
            return;
        }
        match role {
            Role::Block | Role::Paragraph => self.block(),
            Role::Heading(level) => self.start_heading(level),
            Role::List => {
                self.list_edge();
                self.lists += 1;
            }
            Role::Item => self.writer.item(),
            Role::Line => self.writer.line(),
            Role::Table => self.table_edge(),
            Role::Row => self.writer.row(),
            Role::Cell => self.writer.cell(),
            Role::Break => self.line_break(),
            Role::Preformatted => {
                self.block();
                self.preformatted += 1;
                self.ignores_newline = true;
            }
            Role::Title => self.in_title = self.title.is_none(),
            Role::Dropped => {}
        }
    }

    fn leave(&mut self, role: Role) {
        if self.dropped > 0 {
            self.dropped -= usize::from(role == Role::Dropped);
            return;
        }
        match role {
            Role::Block | Role::Paragraph => self.block(),
            Role::Heading(_) => self.end_heading(),
            Role::List => {
                self.lists -= 1;
                self.list_edge();
            }
            Role::Item | Role::Line => self.writer.line(),
            Role::Table => self.table_edge(),
            Role::Row => self.writer.row(),
            Role::Preformatted => {
                self.preformatted -= 1;
                self.block();
            }
            Role::Title => self.end_title(),
            Role::Cell | Role::Break | Role::Dropped => {}
        }
    }

    fn text(&mut self, text: &str) {
        if self.dropped > 0 {
            return;
        }
        if self.in_title {
            append_title(self.title.get_or_insert_default(), text);
            return;
        }
        if let Some(heading) = &mut self.heading {
            append_title(&mut heading.title, text);
        }
        if self.preformatted == 0 {
            self.writer.write(text);
            return;
        }
        let lines = text.replace("\r\n", "\n");
        let shown = if self.ignores_newline { lines.strip_prefix('\n').unwrap_or(&lines) } else { &lines };
        self.ignores_newline = false;
        self.writer.write_preformatted(shown);
    }

    /// A block inside `pre` is a line of it, as code listings use them.
    fn block(&mut self) {
        self.part_heading();
        if self.preformatted > 0 {
            self.writer.line();
        } else {
            self.writer.paragraph();
        }
    }

    fn line_break(&mut self) {
        self.part_heading();
        if self.preformatted > 0 {
            self.writer.write_preformatted("\n");
        } else {
            self.writer.line_break();
        }
    }

    /// Keeps the words of a heading apart where its lines are.
    fn part_heading(&mut self) {
        if let Some(heading) = &mut self.heading {
            append_title(&mut heading.title, " ");
        }
    }

    /// A list within a list stays close to the item it belongs to.
    fn list_edge(&mut self) {
        if self.lists > 0 {
            self.writer.line();
        } else {
            self.block();
        }
    }

    fn table_edge(&mut self) {
        self.writer.row();
        self.block();
    }

    fn start_heading(&mut self, level: u8) {
        self.end_heading();
        self.heading = Some(OpenHeading { level, after: self.writer.settled_len(), title: String::new() });
    }

    /// Ends the paragraph, and the heading if one is open.
    fn end_heading(&mut self) {
        self.block();
        let Some(heading) = self.heading.take() else {
            return;
        };
        if heading.title.trim().is_empty() {
            return;
        }
        let start = self.writer.text_after(heading.after);
        self.outline.add(heading.level, &heading.title, start, self.writer.settled_len());
    }

    fn end_title(&mut self) {
        self.in_title = false;
        self.title = self.title.take().and_then(|title| tidy_title(&title));
    }

    fn finish(mut self) -> Option<Loaded> {
        self.end_heading();
        self.end_title();
        let text = self.writer.finish();
        if text.is_empty() {
            return None;
        }
        let (first_heading, sections) = self.outline.finish();
        Some(Loaded { text, title: self.title.or(first_heading), sections })
    }
}

/// Appends to a title that is no use beyond [`MAX_TITLE_BYTES`].
fn append_title(title: &mut String, text: &str) {
    let room = MAX_TITLE_BYTES.saturating_sub(title.len());
    title.push_str(&text[..text.floor_char_boundary(room)]);
}

#[cfg(test)]
mod tests;
