//! `EmbeddingModel`

use std::sync::Arc;

use async_graphql::SimpleObject;

use models::Embedder;

/// A model of this server that makes vectors.
#[derive(SimpleObject)]
pub struct EmbeddingModel {
    /// What `embedding.model` of a new collection takes. After a colon stands how it is rounded: `local/…:bf16` makes
    /// vectors at a cosine above 0.9999 to those of `local/…`, in about half of the time, and is only there where the
    /// server's processor gains from it. A collection keeps the one it was made with.
    name: String,
    /// Length of its vectors.
    dimensions: u32,
    /// Most tokens of a chunk that it reads; the server does not know it of every model.
    longest_chunk: Option<u32>,
    /// Whether collections have it that name none.
    pub(crate) is_default: bool,
}

impl EmbeddingModel {
    pub(crate) fn new(embedder: &Arc<dyn Embedder>, default: Option<&str>) -> Self {
        Self {
            name: embedder.model().to_owned(),
            dimensions: embedder.dimensions(),
            longest_chunk: embedder.longest_chunk(),
            is_default: default == Some(embedder.model()),
        }
    }
}
