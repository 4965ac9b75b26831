//! A document's content as text and chunks. Blocks until it is stopped, and knows no database.

use tokio::time::Instant;

use crate::embed::Tokenize;
use crate::error::{Code, Error, Result};
use crate::ingest::chunk::{self, Chunk, ChunkError, ChunkSettings, CountTokens, MAX_CHUNKS};
use crate::ingest::load::{self, LoadError, Loaded};
use crate::ingest::stop::Stop;
use crate::ingest::submit::{self, CHUNKS_CONTENT_TYPE};
use crate::ingest::{room, vectors};
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
    if content_type == CHUNKS_CONTENT_TYPE {
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

/// The chunks that the caller cut, at their places in the document's text.
fn ready_made(content: &document_content::Model, reader: Reader<'_>, stop: &Stop) -> Result<(Loaded, Vec<Chunk>)> {
    let unreadable = |cause: anyhow::Error| Error::internal("read the document's chunks", cause);
    let texts: Vec<String> = serde_json::from_slice(&content.original).map_err(|cause| unreadable(cause.into()))?;
    let body = content.body.clone().ok_or_else(|| unreadable(anyhow::anyhow!("no text")))?;
    let separator = submit::CHUNK_SEPARATOR.chars().count();
    let mut start_char = 0;
    let chunks = texts.into_iter().enumerate().map(|(index, text)| {
        stop.check()?;
        let end_char = start_char + text.chars().count();
        let tokens = reader.tokenizer.map(|tokenizer| tokenizer.offsets(&text).len());
        // Checked at submission too, unless that process did not know the model.
        if let Some((tokens, longest)) = tokens.zip(reader.longest)
            && !has_vector(content, reader.dimensions, index)
        {
            room::check(&format!("document.chunks.{index}"), tokens, longest)?;
        }
        let tokens = tokens.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX));
        let chunk = Chunk { text, start_char, end_char, tokens, heading_path: Vec::new() };
        start_char = end_char + separator;
        Ok(chunk)
    });
    let chunks: Vec<_> = chunks.collect::<Result<_>>()?;
    if chunks.len() > MAX_CHUNKS {
        return Err(not_cut(ChunkError::TooMany));
    }
    Ok((Loaded { text: body, title: None, sections: Vec::new() }, chunks))
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
