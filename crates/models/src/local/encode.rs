//! What a pool's threads run: texts to embeddings, many at a time.

use std::sync::Arc;

use encoder::{Model, Purpose};

/// Bytes of text per token, for the estimate only. English has four to five; other scripts and code have fewer.
pub(crate) const BYTES_PER_TOKEN: usize = 4;

/// One text's vector and what became of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The direction of the text: `hidden_size` numbers, of length one.
    pub vector: Vec<f32>,
    /// Tokens the model saw, special tokens included.
    pub tokens: u32,
    /// Whether the end of the text was left out because the model sees no more.
    pub truncated: bool,
}

/// Embeds texts on the calling thread. It never changes, so threads share it, and a panic leaves nothing half-done in it.
pub(crate) trait Encode: Send + Sync + 'static {
    /// Tokens of a text, estimated without looking at it: at least one.
    fn estimate(&self, text: &str) -> usize;

    /// One embedding per text, in order.
    fn encode(&self, texts: &[String]) -> Vec<Embedding>;
}

/// A model that reads texts for one purpose.
pub(super) struct Reading {
    pub model: Arc<Model>,
    pub purpose: Purpose,
}

impl Encode for Reading {
    fn estimate(&self, text: &str) -> usize {
        (text.len() / BYTES_PER_TOKEN + 1).min(self.model.config().max_tokens)
    }

    fn encode(&self, texts: &[String]) -> Vec<Embedding> {
        let tokens: Vec<_> = texts.iter().map(|text| self.model.encode(self.purpose, text)).collect();
        let vectors = self.model.embed(&tokens);
        let pairs = vectors.into_iter().zip(tokens);
        pairs
            .map(|(vector, tokens)| Embedding {
                vector,
                // At most `max_tokens`, which is far below.
                tokens: u32::try_from(tokens.ids().len()).unwrap_or(u32::MAX),
                truncated: tokens.truncated(),
            })
            .collect()
    }
}
