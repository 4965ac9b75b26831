//! Chunks that are embedded and committed together.

use models::{Embedder, Purpose};
use tokio::time::Instant;

use super::stage;
use crate::error::{Error, Result};
use crate::ingest::vectors;
use crate::store::entity::{chunk, embedding, embedding_space::Model as Space};
use crate::store::{Transaction, embeddings};

/// Chunks of one version with their vectors.
pub(super) struct Batch {
    pub chunks: Vec<chunk::Model>,
    /// One per chunk.
    vectors: Vec<Vec<f32>>,
    /// What the model read to make them.
    pub tokens: i64,
}

impl Batch {
    /// With the vectors that the caller brought, the rest made by the space's model.
    pub(super) async fn embed(
        chunks: Vec<chunk::Model>,
        brought: Option<&[u8]>,
        space: &Space,
        embedder: Option<&dyn Embedder>,
    ) -> Result<Self> {
        let dimensions = space.dimensions.unsigned_abs() as usize;
        let brought = |row: &chunk::Model| vectors::decode(brought?, dimensions, usize::try_from(row.index).ok()?);
        let mut vectors: Vec<Option<Vec<f32>>> = chunks.iter().map(brought).collect();
        let missing: Vec<usize> = (0..chunks.len()).filter(|&index| vectors[index].is_none()).collect();
        let mut tokens = 0;
        if !missing.is_empty() {
            let embedder = embedder.ok_or_else(|| {
                Error::internal("embed the document", anyhow::anyhow!("no model, and a chunk without a vector"))
            })?;
            let started = Instant::now();
            let texts = missing.iter().map(|&index| chunks[index].text.clone()).collect();
            let embedded = embedder.embed(texts, Purpose::Document).await?;
            let truncated = embedded.iter().filter(|one| one.truncated).count();
            if truncated > 0 {
                let document = chunks[missing[0]].document_id;
                tracing::warn!(%document, chunks = truncated, "chunks are longer than the model reads");
            }
            for (index, one) in missing.into_iter().zip(embedded) {
                tokens += i64::from(one.tokens);
                vectors[index] = Some(one.vector);
            }
            stage("embed", started.elapsed().as_secs_f64());
        }
        Ok(Self { chunks, vectors: vectors.into_iter().flatten().collect(), tokens })
    }

    /// Writes the vectors, to be found at once if they are `live`.
    pub(super) async fn write_vectors(&self, tx: &Transaction, space: &Space, live: bool) -> Result<()> {
        let row = |(chunk, vector): (&chunk::Model, &Vec<f32>)| embedding::Model {
            space_id: space.id,
            chunk_id: chunk.id,
            document_id: chunk.document_id,
            tenant_id: chunk.tenant_id,
            live,
            embedding: vector.clone().into(),
        };
        embeddings::insert(tx, self.chunks.iter().zip(&self.vectors).map(row).collect()).await
    }
}
