//! Chunkers: the text of a document becomes the pieces that are embedded and found.
//!
//! One file per chunker, [`chunk`] is the registry. What every chunker shares is here: no chunk
//! crosses a heading, each is a trimmed slice of the text, and offsets count Unicode characters.
//! Pure: tokens are counted by what the caller brings. Time and memory are in proportion to the text, and every few
//! kilobytes a chunker asks whether to go on.

mod chars;
mod graphemes;
mod merge;
mod recursive;
mod ruler;
mod sections;
mod separator;
mod settings;

#[cfg(test)]
mod tests;

use std::ops::Range;

use self::recursive::Chunker;
use self::ruler::Ruler;
use crate::load::Loaded;
use crate::{Stop, Stopped};

pub use self::settings::{
    ChunkSettings, Fault, MAX_SEPARATOR_BYTES, MAX_SEPARATORS, MAX_SIZE_CHARACTERS, MAX_SIZE_TOKENS, Strategy, Unit,
};

/// Most chunks of a document: what remains of a 10 MB document cut at the smallest sensible size. A document of nothing
/// but headings would otherwise make a million.
pub const MAX_CHUNKS: usize = 100_000;

/// A piece of a document: `text` equals the characters `start_char..end_char` of [`Loaded::text`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The piece, without whitespace at either end; never empty.
    pub text: String,
    /// Offset of its first character, in Unicode scalar values.
    pub start_char: usize,
    /// Offset after its last character, in Unicode scalar values.
    pub end_char: usize,
    /// How many tokens the counter makes of `text` alone, without special tokens. `None` when the
    /// unit is characters and nothing else needs them counted.
    pub tokens: Option<u32>,
    /// Titles of the headings above the piece, outermost first.
    pub heading_path: Vec<String>,
}

/// The tokenizer of the embedding model, as far as chunking needs it.
///
/// The text of a document is given once, in windows that end at whitespace where there is any, so that chunking takes
/// linear time and can be stopped. Counts of its parts are then read off the offsets. That is right if whitespace parts
/// tokens, as it does for `WordPiece` (BERT pre-tokenizers split at whitespace before anything else); a part cut
/// anywhere else is counted again by itself.
pub trait CountTokens {
    /// Byte ranges of the tokens of `text` in order, without special tokens and without truncation.
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)>;

    /// Most tokens of a chunk that the model reads whole; `None` where that is not known. No chunk has
    /// more, whatever the settings say.
    fn longest(&self) -> Option<u32> {
        None
    }
}

/// Why a text could not be chunked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// The settings do not pass [`ChunkSettings::check`].
    #[error("invalid chunk settings: {}", settings::list(.0))]
    InvalidSettings(Vec<Fault>),
    /// The settings and the text make too many.
    #[error("got more than {MAX_CHUNKS} chunks, expected at most {MAX_CHUNKS} in a document")]
    TooMany,
    /// Nobody waits for it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl ChunkError {
    /// The stable code of this error, for clients, logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::InvalidSettings(_) => "INVALID_CHUNK_SETTINGS",
            Self::TooMany => "PAYLOAD_TOO_LARGE",
            Self::Stopped(_) => "INTERRUPTED",
        }
    }
}

/// What a chunker makes: bytes of the text, and how many tokens they are where tokens are the unit.
struct Piece {
    range: Range<usize>,
    tokens: Option<usize>,
}

/// Cuts a document into chunks, in order of their start. Every character that is not whitespace is
/// in at least one. One that the model would not read whole is cut smaller.
///
/// `counter` is not asked for tokens when the unit is characters and it knows no longest chunk.
///
/// # Errors
/// When the settings are at fault, when there are more than [`MAX_CHUNKS`], and when it was stopped.
pub fn chunk(
    loaded: &Loaded,
    settings: &ChunkSettings,
    counter: &dyn CountTokens,
    stop: &Stop,
) -> Result<Vec<Chunk>, ChunkError> {
    let settings = &settings.clone().applied(counter.longest());
    settings.check().map_err(ChunkError::InvalidSettings)?;
    let ruler = Ruler::new(&loaded.text, settings, counter, stop)?;
    let chunker = match settings.strategy {
        Strategy::Recursive => Chunker::new(&ruler, settings, stop),
    };
    let mut chunks = Vec::new();
    for section in sections::of(loaded) {
        chunker.chunk(section.range, &mut |piece| {
            stop.check()?;
            if chunks.len() == MAX_CHUNKS {
                return Err(ChunkError::TooMany);
            }
            chunks.push(Chunk {
                text: loaded.text[piece.range.clone()].to_owned(),
                start_char: ruler.chars().at_byte(piece.range.start),
                end_char: ruler.chars().at_byte(piece.range.end),
                tokens: piece.tokens.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX)),
                heading_path: section.heading_path.iter().map(|&title| title.to_owned()).collect(),
            });
            Ok(())
        })?;
    }
    Ok(chunks)
}
