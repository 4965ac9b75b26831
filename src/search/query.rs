//! What to be near to, as a vector.

use std::sync::Arc;

use models::{Embedded, Purpose};
use tokio::time::Instant;
use uuid::Uuid;

use super::answer::Stages;
use super::{SearchRequest, vector};
use crate::app::App;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::store::entity::embedding_space::Model as Space;
use crate::store::{TenantId, chunks, embeddings};

/// What to be near to.
#[derive(Debug, Clone)]
pub enum Query {
    /// A text, embedded by the collection's model.
    Text(String),
    /// A vector of the collection's dimensions.
    Vector(Vec<f32>),
    /// A chunk of the collection, which is not among its own hits.
    Chunk(Uuid),
}

impl Query {
    /// A text that can be looked for; `field` is its path.
    pub fn text(field: &str, text: String, limit_bytes: usize) -> Result<Self> {
        if text.trim().is_empty() {
            return Err(Error::input(field, format!("\"{text}\""), "a text that is not blank"));
        }
        if text.contains('\0') {
            return Err(Error::input(field, "a text with a NUL byte", "a text without NUL"));
        }
        if text.len() > limit_bytes {
            let (got, expected) = (format!("{} bytes", text.len()), format!("at most {limit_bytes} bytes"));
            return Err(Error::refused(Code::PayloadTooLarge, field, got, expected));
        }
        Ok(Self::Text(text))
    }
}

/// A query as a vector of its space.
pub(super) struct QueryVector {
    pub vector: Vec<f32>,
    /// Tokens after which the model stopped reading the text.
    pub cut_at: Option<u32>,
}

impl From<Vec<f32>> for QueryVector {
    fn from(vector: Vec<f32>) -> Self {
        Self { vector, cut_at: None }
    }
}

/// Makes it, or finds it.
pub(super) async fn query_vector(
    app: &App,
    tenant: TenantId,
    space: &Space,
    request: &SearchRequest,
    clock: &mut Stages,
) -> Result<QueryVector> {
    match &request.query {
        Query::Vector(vector) => {
            vector::check("input.query.vector", vector, space)?;
            Ok(vector.clone().into())
        }
        Query::Text(text) => {
            let Some(model) = &space.model else {
                let expected = "`vector` or `chunkId`: this collection has no embedding model";
                return Err(Error::input("input.query", "`text`", expected));
            };
            let embedder = Arc::clone(app.embedders.get(model)?);
            let timer = Instant::now();
            let embedded = embedder.embed(vec![text.clone()], Purpose::Query).await?;
            clock.note("embed", timer.elapsed());
            let missing = || Error::internal("embed the query", anyhow::anyhow!("no vector"));
            let Embedded { vector, tokens, truncated } = embedded.into_iter().next().ok_or_else(missing)?;
            Ok(QueryVector { vector, cut_at: truncated.then_some(tokens) })
        }
        Query::Chunk(id) => {
            let missing = || Error::not_found("input.query.chunkId", "chunk", Kind::Chunk.encode(*id));
            let visible = chunks::by_ids(app.store.db(), tenant, &[*id]).await?;
            visible.get(id).filter(|chunk| chunk.collection_id == request.collection_id).ok_or_else(missing)?;
            let vector = embeddings::of_chunks(app.store.db(), space, &[*id]).await?.remove(id).ok_or_else(missing)?;
            Ok(vector.into())
        }
    }
}
