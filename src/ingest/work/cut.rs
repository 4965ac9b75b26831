//! A document's content as text and chunks. Blocks until it is stopped, and knows no database.

use models::Tokenize;
use text::Stop;
use text::chunk::{self, Chunk, ChunkError, ChunkSettings, CountTokens, MAX_CHUNKS};
use text::load::{self, LoadError, Loaded};
use tokio::time::Instant;

use crate::error::{Code, Error, Result};
use crate::ingest::{ready_made, room, vectors};
use crate::store::entity::document_content;

/// Loads and chunks; tells how long loading took.
pub(super) fn cut(
    content: &document_content::Model,
    content_type: &str,
    settings: &ChunkSettings,
    reader: Reader<'_>,
    stop: &Stop,
) -> Result<(Loaded, Vec<Chunk>, std::time::Duration)> {
    let started = Instant::now();
    if content_type == ready_made::CONTENT_TYPE {
        let (loaded, chunks) = ready_made(content, reader, stop)?;
        return Ok((loaded, chunks, started.elapsed()));
    }
    let content_type = content_type.parse().map_err(not_loaded)?;
    let loaded = load::load(content_type, &content.original, stop).map_err(not_loaded)?;
    let loading = started.elapsed();
    let chunks = chunk::chunk(&loaded, settings, &reader, stop).map_err(not_cut)?;
    Ok((loaded, chunks, loading))
}

fn not_loaded(cause: LoadError) -> Error {
    match cause {
        LoadError::Stopped(stopped) => stopped.into(),
        refused => Error::fault("document", refused),
    }
}

fn not_cut(cause: ChunkError) -> Error {
    match cause {
        ChunkError::Stopped(stopped) => stopped.into(),
        ChunkError::TooMany => {
            let (got, expected) =
                (format!("more than {MAX_CHUNKS} chunks"), format!("at most {MAX_CHUNKS} chunks in a document"));
            Error::refused(Code::PayloadTooLarge, "document", got, expected)
        }
        refused @ ChunkError::InvalidSettings(_) => Error::fault("collection.chunking", refused),
    }
}

/// The chunks that the caller cut.
fn ready_made(content: &document_content::Model, reader: Reader<'_>, stop: &Stop) -> Result<(Loaded, Vec<Chunk>)> {
    let count = |index: usize, text: &str| {
        stop.check()?;
        let tokens = reader.tokenizer.map(|tokenizer| tokenizer.offsets(text).len());
        // Checked at submission too, unless that process did not know the model.
        if let Some((tokens, longest)) = tokens.zip(reader.longest)
            && !has_vector(content, reader.dimensions, index)
        {
            room::check(&format!("document.chunks.{index}"), tokens, longest)?;
        }
        Ok(tokens)
    };
    let (text, chunks) = ready_made::read(content, count)?;
    if chunks.len() > MAX_CHUNKS {
        return Err(not_cut(ChunkError::TooMany));
    }
    Ok((Loaded { text, title: None, sections: Vec::new() }, chunks))
}

fn has_vector(content: &document_content::Model, dimensions: usize, index: usize) -> bool {
    content.vectors.as_ref().is_some_and(|vectors| vectors::decode(vectors, dimensions, index).is_some())
}

/// How the model reads, as the chunker wants it; without a model nothing is counted.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    pub tokenizer: Option<&'a dyn Tokenize>,
    /// Most tokens of a chunk.
    pub longest: Option<u32>,
    /// Of the vectors that callers bring.
    pub dimensions: usize,
}

impl CountTokens for Reader<'_> {
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.tokenizer.map(|tokenizer| tokenizer.offsets(text)).unwrap_or_default()
    }

    fn longest(&self) -> Option<u32> {
        self.longest
    }
}
