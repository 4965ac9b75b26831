//! Writes visible text with the whitespace a page asks for.

/// What separates the text written so far from the next. A wider gap takes the place of a narrower
/// one.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    #[default]
    None,
    Space,
    Line,
    Paragraph,
}

/// Text in the making. Gaps and marks wait until text follows, so empty elements leave no trace.
#[derive(Debug, Default)]
pub(super) struct TextWriter {
    text: String,
    /// Length of `text` without whitespace and marks at its end: no later gap moves text before it.
    settled: usize,
    gap: Gap,
    item_mark_due: bool,
    row: Row,
}

/// The table row being written.
#[derive(Debug, Default)]
struct Row {
    has_cell: bool,
    has_text: bool,
    /// Cell borders passed since the last text of the row.
    borders_due: usize,
}

impl TextWriter {
    /// What follows begins a new line.
    pub(super) fn line(&mut self) {
        self.gap = self.gap.max(Gap::Line);
    }

    /// What follows begins a new paragraph, after a blank line; but blocks at the edges of cells
    /// leave rows together.
    pub(super) fn paragraph(&mut self) {
        let begins_row = self.row.has_cell && !self.row.has_text;
        self.gap = self.gap.max(if begins_row { Gap::Line } else { Gap::Paragraph });
    }

    /// A `br`; the second of two makes a paragraph, as pages without `p` use it.
    pub(super) fn line_break(&mut self) {
        self.gap = if self.gap == Gap::Line { Gap::Paragraph } else { self.gap.max(Gap::Line) };
    }

    /// What follows is a list item.
    pub(super) fn item(&mut self) {
        self.line();
        self.item_mark_due = true;
    }

    /// What follows is a new row of a table, or comes after its last.
    pub(super) fn row(&mut self) {
        let ended = std::mem::take(&mut self.row);
        self.gap = if ended.has_text { Gap::Line } else { self.gap.max(Gap::Line) };
    }

    /// What follows is a cell, apart from the one before it by ` | `.
    pub(super) fn cell(&mut self) {
        if self.row.has_cell {
            self.row.borders_due += 1;
        }
        self.row.has_cell = true;
    }

    /// Appends text with every run of whitespace as one space.
    pub(super) fn write(&mut self, text: &str) {
        if text.starts_with(char::is_whitespace) {
            self.gap = self.gap.max(Gap::Space);
        }
        for word in text.split_whitespace() {
            self.fill_gap();
            self.text.push_str(word);
            self.settled = self.text.len();
            self.gap = Gap::Space;
        }
        if !text.ends_with(char::is_whitespace) && self.gap == Gap::Space {
            self.gap = Gap::None;
        }
    }

    /// Appends text with its whitespace as it is.
    pub(super) fn write_preformatted(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.fill_gap();
        let shown = text.trim_end();
        if !shown.is_empty() {
            self.settled = self.text.len() + shown.len();
        }
        self.text.push_str(text);
    }

    /// Length in bytes of what is written, without whitespace at its end.
    pub(super) fn settled_len(&self) -> usize {
        self.settled
    }

    /// Byte offset of the first text after `offset`, once some has been written.
    pub(super) fn text_after(&self, offset: usize) -> usize {
        let rest = &self.text[offset..];
        self.text.len() - rest.trim_start().len()
    }

    /// The text, without whitespace at its end.
    pub(super) fn finish(mut self) -> String {
        self.text.truncate(self.settled);
        self.text
    }

    fn fill_gap(&mut self) {
        let gap = std::mem::take(&mut self.gap);
        let borders = std::mem::take(&mut self.row.borders_due);
        if borders > 0 && self.row.has_text {
            self.text.push_str(&" | ".repeat(borders));
        } else {
            self.write_gap(gap);
            self.text.push_str(&"| ".repeat(borders));
        }
        self.row.has_text |= self.row.has_cell;
        if std::mem::take(&mut self.item_mark_due) {
            self.text.push_str("- ");
        }
    }

    fn write_gap(&mut self, gap: Gap) {
        if gap >= Gap::Line {
            self.text.truncate(self.settled);
        }
        if self.text.is_empty() {
            return;
        }
        self.text.push_str(match gap {
            Gap::None => "",
            Gap::Space => " ",
            Gap::Line => "\n",
            Gap::Paragraph => "\n\n",
        });
    }
}
