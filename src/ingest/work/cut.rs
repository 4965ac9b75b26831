//! A document's content as text and chunks. Blocks, and knows no database.

use tokio::time::Instant;

use crate::embed::Tokenize;
use crate::error::{Error, Result};
use crate::ingest::chunk::{self, Chunk, ChunkSettings, CountTokens};
use crate::ingest::load::{self, Loaded, Section};
use crate::ingest::submit::{self, CHUNKS_CONTENT_TYPE};
use crate::store::entity::document_content;

/// Loads and chunks; tells how long loading took.
pub(super) fn cut(
    content: &document_content::Model,
    content_type: &str,
    settings: &ChunkSettings,
    tokenizer: Option<&dyn Tokenize>,
) -> Result<(Loaded, Vec<Chunk>, std::time::Duration)> {
    let started = Instant::now();
    if content_type == CHUNKS_CONTENT_TYPE {
        let (loaded, chunks) = ready_made(content, tokenizer)?;
        return Ok((loaded, chunks, started.elapsed()));
    }
    let refused = |cause: load::LoadError| Error::input("document", cause, "a document with text");
    let loaded = load::load(content_type.parse().map_err(refused)?, &content.original).map_err(refused)?;
    let loading = started.elapsed();
    let counter = Counter(tokenizer);
    let chunks = chunk::chunk(&loaded, settings, &counter)
        .map_err(|cause| Error::input("collection.chunking", cause, "chunk settings that hold together"))?;
    Ok((loaded, chunks, loading))
}

/// The chunks that the caller cut, at their places in the document's text.
fn ready_made(content: &document_content::Model, tokenizer: Option<&dyn Tokenize>) -> Result<(Loaded, Vec<Chunk>)> {
    let unreadable = |cause: anyhow::Error| Error::internal("read the document's chunks", cause);
    let texts: Vec<String> = serde_json::from_slice(&content.original).map_err(|cause| unreadable(cause.into()))?;
    let body = content.body.clone().ok_or_else(|| unreadable(anyhow::anyhow!("no text")))?;
    let separator = submit::CHUNK_SEPARATOR.chars().count();
    let mut start_char = 0;
    let chunks = texts.into_iter().map(|text| {
        let end_char = start_char + text.chars().count();
        let tokens = tokenizer.map(|tokenizer| u32::try_from(tokenizer.offsets(&text).len()).unwrap_or(u32::MAX));
        let chunk = Chunk { text, start_char, end_char, tokens, heading_path: Vec::new() };
        start_char = end_char + separator;
        chunk
    });
    let chunks = chunks.collect();
    Ok((Loaded { text: body, title: None, sections: Vec::<Section>::new() }, chunks))
}

/// The model's tokenizer as the chunker wants it; without a model nothing is counted.
struct Counter<'a>(Option<&'a dyn Tokenize>);

impl CountTokens for Counter<'_> {
    fn token_offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.0.map(|tokenizer| tokenizer.offsets(text)).unwrap_or_default()
    }
}
