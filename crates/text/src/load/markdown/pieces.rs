//! Markdown in pieces that a parser can be given one after the other.
//!
//! A parser keeps up to 144 bytes for each byte of its text, looks at all open blocks in every line, and cannot be
//! stopped. In pieces of bounded length and nesting a text takes time in proportion to its length and a constant part
//! of memory, whatever is in it. A piece ends where every block does, or else, once it is long, at a line that probably
//! begins one; what is open there is opened again before the next piece.

use std::ops::Range;

use super::lines;

/// How long pieces are, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lengths {
    /// From here on a piece ends at the first line before which every block has ended.
    pub(super) usual: usize,
    /// No piece is longer. A text up to this length is one.
    pub(super) most: usize,
    /// How far back from there a word's end is looked for, to cut a line that is longer still.
    pub(super) word: usize,
}

/// A parser's 144 bytes for each byte of a piece are 9 MiB at most.
impl Default for Lengths {
    fn default() -> Self {
        Self { usual: 16 * 1024, most: 64 * 1024, word: 256 }
    }
}

/// What follows a piece that is not the last: a block that swallows it goes on.
const PROBE: &str = "x\n";

/// The pieces of a text.
pub(super) struct Pieces<'a> {
    text: &'a str,
    lengths: Lengths,
    at: usize,
    /// Opens, before the next piece, what was open at the end of the last one.
    opening: String,
}

/// A part of a text as the parser gets it.
pub(super) struct Piece {
    /// What was open, the part, and the probe.
    source: String,
    /// The part within `source`.
    part: Range<usize>,
    /// Where it begins in the text.
    start: usize,
    end: End,
}

/// Where a piece ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// With the text.
    Text,
    /// Before a line with which only code and HTML go on.
    Block,
    /// Before any line.
    Line,
    /// Within a line.
    Word,
}

/// What a block at the top level of a piece takes in besides its own lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// All lines up to a fence.
    Fenced,
    /// All lines up to a blank one, or one with a mark that its beginning asks for.
    Html,
    /// Lines that are indented.
    List,
    /// Nothing that matters to headings.
    Other,
}

impl<'a> Pieces<'a> {
    pub(super) fn new(text: &'a str, lengths: Lengths) -> Self {
        Self { text, lengths, at: 0, opening: String::new() }
    }

    /// The next piece; `None` after the last.
    pub(super) fn next(&mut self) -> Option<Piece> {
        let start = self.at;
        if start == self.text.len() {
            return None;
        }
        let (length, end) = self.lengths.measure(&self.text[start..]);
        self.at = start + length;
        let mut source = std::mem::take(&mut self.opening);
        let opened = source.len();
        lines::flatten(&self.text[start..self.at], &mut source);
        let part = opened..source.len();
        match end {
            End::Text => {}
            End::Block | End::Line => source.push_str(PROBE),
            End::Word => source.extend(["\n", PROBE]),
        }
        Some(Piece { source, part, start, end })
    }

    /// Goes on after a piece whose last block at the top level is `last`.
    pub(super) fn go_on(&mut self, piece: &Piece, last: Option<(Block, Range<usize>)>) {
        self.opening = last.and_then(|(block, range)| piece.reopening(block, &range)).unwrap_or_default();
        if piece.end == End::Word && !self.opening.starts_with('<') {
            // The rest of the line is text and begins no block.
            self.opening.push('x');
        }
    }
}

impl Piece {
    /// What the parser is to read.
    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The bytes of the whole text that a range of the source stands for; `None` for what is not in the text.
    pub(super) fn in_text(&self, range: &Range<usize>) -> Option<Range<usize>> {
        let within = range.start.max(self.part.start)..range.end.min(self.part.end);
        let offset = |at: usize| self.start + at - self.part.start;
        (!within.is_empty()).then(|| offset(within.start)..offset(within.end))
    }

    /// What opens the block found at `range` once more, if it is open at the end of the piece.
    fn reopening(&self, block: Block, range: &Range<usize>) -> Option<String> {
        let first_line = self.source[range.clone()].trim_start_matches(' ');
        let goes_on = self.end != End::Text && range.end > self.source.len() - PROBE.len();
        match block {
            Block::Fenced if goes_on => Some(format!("{}\n", lines::fence(first_line))),
            Block::Html if goes_on => Some(format!("{}\n", lines::html_start(first_line))),
            // An item keeps what is indented, whatever came before it.
            Block::List if self.end != End::Block && range.end >= self.source[..self.part.end].trim_end().len() => {
                Some("- x\n".to_owned())
            }
            _ => None,
        }
    }
}

impl Lengths {
    /// How long the piece at the beginning of a text is, and where it ends.
    fn measure(self, text: &str) -> (usize, End) {
        if text.len() <= self.most {
            return (text.len(), End::Text);
        }
        let bytes = &text.as_bytes()[..self.most];
        let (mut any, mut flush, mut after_blank) = (None, None, false);
        for line in lines::of(bytes) {
            let is_blank = bytes[line.clone()].trim_ascii().is_empty();
            if line.start > 0 {
                let first = bytes[line.start];
                if after_blank && line.start >= self.usual && !lines::may_go_on_with(first) {
                    return (line.start, End::Block);
                }
                any = Some(line.start);
                flush = if first.is_ascii_whitespace() { flush } else { any };
            }
            after_blank = is_blank;
        }
        match flush.or(any) {
            Some(start) => (start, End::Line),
            None => (self.end_of_word(text), End::Word),
        }
    }

    /// Where a line that is too long for a piece is cut.
    fn end_of_word(self, text: &str) -> usize {
        let most = text.floor_char_boundary(self.most);
        let near = &text.as_bytes()[most - self.word..most];
        near.iter().rposition(u8::is_ascii_whitespace).map_or(most, |at| most - self.word + at + 1)
    }
}
