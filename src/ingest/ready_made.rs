//! Chunks that callers cut themselves: how a document keeps them, and how they are read again.

use serde_json::Value as Json;
use text::chunk::Chunk;

use super::vectors;
use crate::error::{Error, Result};
use crate::store::entity::document_content;

/// Content type of such a document: a JSON array of the chunks' texts.
pub(super) const CONTENT_TYPE: &str = "application/vnd.vectorforge.chunks+json";

/// Between two chunks in the document's text.
const SEPARATOR: &str = "\n\n";

/// A chunk cut by the caller.
#[derive(Debug)]
pub struct ReadyChunk {
    /// Its text.
    pub text: String,
    /// Its vector; without one the collection's model makes it.
    pub vector: Option<Vec<f32>>,
}

/// Chunks as they are kept.
pub(super) struct Kept {
    pub original: Vec<u8>,
    /// The document's text.
    pub body: String,
    pub vectors: Option<Vec<u8>>,
}

/// The chunks as they are kept, those vectors that they have being of so many dimensions.
pub(super) fn write(chunks: &[ReadyChunk], dimensions: usize) -> Kept {
    let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
    let vectors = vectors::encode(chunks.iter().map(|chunk| chunk.vector.as_deref()), dimensions);
    Kept { original: Json::from(texts.clone()).to_string().into_bytes(), body: texts.join(SEPARATOR), vectors }
}

/// The document's text, and the chunks at their places in it. `count` gives the tokens of each, by its index, or ends it.
pub(super) fn read(
    content: &document_content::Model,
    mut count: impl FnMut(usize, &str) -> Result<Option<usize>>,
) -> Result<(String, Vec<Chunk>)> {
    let unreadable = |cause: anyhow::Error| Error::internal("read the document's chunks", cause);
    let texts: Vec<String> = serde_json::from_slice(&content.original).map_err(|cause| unreadable(cause.into()))?;
    let body = content.body.clone().ok_or_else(|| unreadable(anyhow::anyhow!("no text")))?;
    let mut start_char = 0;
    let chunk = |(index, text): (usize, String)| {
        let tokens = count(index, &text)?.map(|tokens| u32::try_from(tokens).unwrap_or(u32::MAX));
        let end_char = start_char + text.chars().count();
        let chunk = Chunk { text, start_char, end_char, tokens, heading_path: Vec::new() };
        start_char = end_char + SEPARATOR.len();
        Ok(chunk)
    };
    let chunks = texts.into_iter().enumerate().map(chunk).collect::<Result<_>>()?;
    Ok((body, chunks))
}
