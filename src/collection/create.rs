//! Making a collection with its embedding space, in one transaction.

use serde_json::Value as Json;
use text::chunk::{ChunkSettings, Unit};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::collections::{self, NewCollection};
use crate::store::entity::collection::Model;
use crate::store::entity::embedding_space::Metric;
use crate::store::spaces::{self, NewSpace};
use crate::store::{Doing, TenantId};

/// Most dimensions of pgvector's `vector`.
pub const DIMENSIONS_LIMIT: u32 = 16_000;

/// A collection as asked for; its texts are checked.
#[derive(Debug)]
pub struct CreateCollection {
    /// 1-255 characters.
    pub name: String,
    /// Free text.
    pub description: String,
    /// A JSON object.
    pub metadata: Json,
    /// Which vectors it holds.
    pub embedding: EmbeddingChoice,
    /// How nearness is measured.
    pub metric: Metric,
    /// How its documents are cut; by default as the settings say.
    pub chunking: Option<ChunkSettings>,
}

/// Which vectors a collection holds.
#[derive(Debug)]
pub enum EmbeddingChoice {
    /// Those of the default model.
    Default,
    /// Those of a model by name.
    Model(String),
    /// The callers' own, of this many dimensions.
    Own(u32),
}

/// Makes it.
pub async fn create(app: &App, tenant: TenantId, asked: CreateCollection) -> Result<Model> {
    let (model, dimensions) = resolve(app, &asked.embedding)?;
    let longest = model.as_ref().and_then(|model| app.embedders.find(model)?.longest_chunk());
    let chunking = match asked.chunking {
        Some(chunking) => chunking,
        None => default_chunking(app).applied(longest),
    };
    if let Err(faults) = chunking.check() {
        let fault = &faults[0];
        let field = format!("input.chunking.{}", fault.field);
        return Err(Error::input(field, &fault.got, &*fault.expected));
    }
    if let Some(longest) = longest
        && chunking.unit == Unit::Tokens
        && chunking.size > longest
    {
        let expected = format!("at most {longest} tokens: the model would leave out the rest of a longer chunk");
        return Err(Error::input("input.chunking.size", chunking.size, expected));
    }
    let (id, at) = (Uuid::now_v7(), app.now());
    let collection = NewCollection {
        id,
        name: asked.name,
        description: asked.description,
        metadata: asked.metadata,
        chunking: serde_json::to_value(chunking).map_err(|cause| Error::internal("write chunk settings", cause))?,
        at,
    };
    let tx = app.store.begin().await?;
    let collection = collections::insert(&tx, tenant, collection).await?;
    let space = NewSpace { id: Uuid::now_v7(), collection_id: id, model, dimensions, metric: asked.metric, at };
    spaces::create(&tx, tenant, space).await?;
    tx.commit().await.doing("create the collection")?;
    Ok(collection)
}

fn resolve(app: &App, choice: &EmbeddingChoice) -> Result<(Option<String>, u32)> {
    let offered = || app.embedders.offered().map(|embedder| embedder.model()).collect::<Vec<_>>().join(", ");
    match choice {
        EmbeddingChoice::Own(dimensions) if (1..=DIMENSIONS_LIMIT).contains(dimensions) => Ok((None, *dimensions)),
        EmbeddingChoice::Own(dimensions) => {
            Err(Error::input("input.embedding.dimensions", dimensions, format!("1 to {DIMENSIONS_LIMIT}")))
        }
        EmbeddingChoice::Model(model) => {
            let expected = || format!("one of the models of this server: {}", offered());
            let embedder = app.embedders.find(model).filter(|embedder| embedder.is_offered());
            let embedder = embedder.ok_or_else(|| Error::input("input.embedding.model", model, expected()))?;
            Ok((Some(model.clone()), embedder.dimensions()))
        }
        EmbeddingChoice::Default => {
            let expected = "`dimensions` for vectors of your own: this server has no embedding model";
            let embedder = app.embedders.default_embedder();
            let embedder = embedder.ok_or_else(|| Error::input("input.embedding", "none", expected))?;
            Ok((Some(embedder.model().to_owned()), embedder.dimensions()))
        }
    }
}

/// Chunk settings where a collection does not say otherwise.
pub fn default_chunking(app: &App) -> ChunkSettings {
    let config = &app.config.chunking;
    let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    ChunkSettings { size: number(config.size), overlap: number(config.overlap), ..ChunkSettings::default() }
}
