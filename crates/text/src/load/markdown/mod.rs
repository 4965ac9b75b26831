//! Markdown: kept as it is, markup included, because that is what people and language models read
//! well. The parser only tells where the headings are.

mod labels;
mod lines;
mod pieces;
mod reader;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::ops::Range;

use pulldown_cmark::{BrokenLink, CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use self::labels::Labels;
use self::pieces::{Block, Lengths, Piece, Pieces};
use self::reader::Reader;
use super::{Loaded, Stop, Stopped};

/// Heading attributes are on so that `# Title {#anchor}` is titled "Title".
const OPTIONS: Options =
    Options::ENABLE_TABLES.union(Options::ENABLE_YAML_STYLE_METADATA_BLOCKS).union(Options::ENABLE_HEADING_ATTRIBUTES);

/// The source itself with its headings as sections; `None` when it holds nothing but markup.
pub(super) fn load(text: &str, stop: &Stop) -> Result<Option<Loaded>, Stopped> {
    load_in(text, Lengths::default(), stop)
}

/// As [`load`], in pieces of these lengths.
fn load_in(text: &str, lengths: Lengths, stop: &Stop) -> Result<Option<Loaded>, Stopped> {
    let labels = Labels::of(text);
    let mut reader = Reader::default();
    let mut pieces = Pieces::new(text, lengths);
    while let Some(piece) = pieces.next() {
        stop.check()?;
        let last = read(&piece, &labels, &mut reader);
        pieces.go_on(&piece, last);
    }
    Ok(reader.finish(text))
}

/// Reads a piece, and tells which block at its top level is the last one, and where.
fn read(piece: &Piece, labels: &Labels, reader: &mut Reader) -> Option<(Block, Range<usize>)> {
    let in_heading = Cell::new(false);
    let is_defined = |label: &str| in_heading.get() && labels.hold(label);
    let linked = |link: BrokenLink<'_>| is_defined(&link.reference).then(|| ("".into(), "".into()));
    let (mut last, mut depth) = (None, 0_usize);
    for (event, range) in
        Parser::new_with_broken_link_callback(piece.source(), OPTIONS, Some(linked)).into_offset_iter()
    {
        match &event {
            Event::Start(tag) => {
                if depth == 0 {
                    last = Some((block(tag), range.clone()));
                }
                depth += 1;
                in_heading.set(in_heading.get() || matches!(tag, Tag::Heading { .. }));
            }
            Event::End(tag) => {
                depth -= 1;
                in_heading.set(in_heading.get() && !matches!(tag, TagEnd::Heading(_)));
            }
            _ => {}
        }
        if let Some(range) = piece.in_text(&range) {
            reader.read(event, range);
        }
    }
    last
}

fn block(tag: &Tag<'_>) -> Block {
    match tag {
        Tag::CodeBlock(CodeBlockKind::Fenced(_)) => Block::Fenced,
        Tag::HtmlBlock => Block::Html,
        Tag::List(_) => Block::List,
        _ => Block::Other,
    }
}
