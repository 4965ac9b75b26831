//! `Collection` and the input that makes and changes it.

use async_graphql::{Context, Description, Enum, ID, InputObject, Object, OneofObject, SimpleObject};
use serde_json::Value as Json;
use text::chunk::{ChunkSettings, Unit};
use uuid::Uuid;

use super::connection::Connection;
use super::document::{Document, DocumentStatus};
use crate::collection::create::{CreateCollection, DIMENSIONS_LIMIT, EmbeddingChoice};
use crate::graphql::check;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::{DocumentCount, DocumentPage, SpaceOf, TotalsOf};
use crate::graphql::name;
use crate::graphql::page::{self, List, Place};
use crate::graphql::types::date_time::DateTime;
use crate::id::Kind;
use crate::store::collections::CollectionChange;
use crate::store::documents::DocumentFilter;
use crate::store::entity::collection::Model;
use crate::store::entity::embedding_space::{IndexState, Metric as StoredMetric, Model as Space};

/// A named set of documents that are searched together, with one embedding model and one metric.
#[derive(Description)]
pub struct Collection(pub Model);

impl From<Model> for Collection {
    fn from(row: Model) -> Self {
        Self(row)
    }
}

#[Object(use_type_description)]
impl Collection {
    /// Global id, `col_…`.
    pub async fn id(&self) -> ID {
        ID(Kind::Collection.encode(self.0.id))
    }

    /// Unique among the collections that are not deleted; 1-255 characters in Unicode's composed form (NFC), without
    /// white space at its ends and without control and invisible characters.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// Free text; empty where none was given.
    async fn description(&self) -> &str {
        &self.0.description
    }

    /// A JSON object of the caller's; `{}` where none was given.
    async fn metadata(&self) -> &Json {
        &self.0.metadata
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When its name, description or metadata last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// How its documents are cut into chunks.
    async fn chunking(&self) -> Result<Chunking> {
        let settings: ChunkSettings = serde_json::from_value(self.0.chunking.clone())
            .map_err(|cause| crate::error::Error::internal("read the collection's chunk settings", cause))
            .or_fault()?;
        let settings = settings.applied(None);
        Ok(Chunking { size: settings.size, overlap: settings.overlap, unit: settings.unit.into() })
    }

    /// Which vectors it holds, and their index.
    async fn embedding(&self, ctx: &Context<'_>) -> Result<Embedding> {
        let space = ctx.loader().load_one(SpaceOf(self.0.id)).await.or_fault()?;
        let missing =
            || crate::error::Error::internal("read the collection's embedding space", anyhow::anyhow!("none"));
        Ok(Embedding::from(space.ok_or_else(missing).or_fault()?))
    }

    /// Documents in any status.
    async fn document_count(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(ctx.loader().load_one(TotalsOf(self.0.id)).await.or_fault()?.unwrap_or_default().documents)
    }

    /// Chunks that searches can find: those of indexed documents.
    async fn chunk_count(&self, ctx: &Context<'_>) -> Result<i64> {
        Ok(ctx.loader().load_one(TotalsOf(self.0.id)).await.or_fault()?.unwrap_or_default().chunks)
    }

    /// Its documents in order of creation.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    #[expect(clippy::too_many_arguments, reason = "each is an argument of the field")]
    async fn documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "page::DEFAULT_FIRST", desc = "Documents on the page, 1-100.")] first: i32,
        #[graphql(desc = "Start after this cursor.")] after: Option<String>,
        #[graphql(desc = "Only those in this status.")] status: Option<DocumentStatus>,
        #[graphql(desc = "Only the one from this source.")] source_uri: Option<String>,
        #[graphql(desc = "Only those from sources that begin so, such as `file:///srv/notes/`.")]
        source_uri_prefix: Option<String>,
        #[graphql(desc = "Only those with this content: `contentHash` of a document.")] content_hash: Option<String>,
    ) -> Result<Connection<Document, DocumentTotal>> {
        let (first, limit) = page::rows_to_read("first", first, ctx.app().config.graphql.page_limit).or_fault()?;
        let source_uri = check::optional_uri("sourceUri", source_uri, 0).or_fault()?;
        let source_prefix = check::optional_uri("sourceUriPrefix", source_uri_prefix, 0).or_fault()?;
        let content_hash = content_hash.map(|hash| check::sha256("contentHash", &hash)).transpose().or_fault()?;
        let filter = DocumentFilter { status: status.map(Into::into), source_uri, source_prefix, content_hash };
        let list = List::new("documents", &(self.0.id, &filter));
        let cursor = list.id_after("after", after.as_deref()).or_fault()?;
        let key = DocumentPage { collection: self.0.id, filter: filter.clone(), after: cursor, limit };
        let rows = ctx.loader().load_one(key).await.or_fault()?.unwrap_or_default();
        let total = DocumentTotal { collection: self.0.id, filter };
        Ok(list.page(rows, first, cursor.is_some(), total, |row| Place::Id(row.id)))
    }
}

/// Highest cost that is told apart: above every `graphql.complexity_limit`, and far from overflow when costs are added.
const COST_CAP: usize = u32::MAX as usize;

/// What a page costs: each row what its fields cost.
pub(in crate::graphql) fn page_cost(first: i32, child_complexity: usize) -> usize {
    let rows = usize::try_from(first).unwrap_or(0);
    rows.saturating_mul(child_complexity).saturating_add(1).min(COST_CAP)
}

/// The whole list behind a page of documents.
pub struct DocumentTotal {
    collection: Uuid,
    filter: DocumentFilter,
}

#[Object]
impl DocumentTotal {
    /// Documents in the whole list, not only on this page.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<u64> {
        let key = DocumentCount { collection: self.collection, filter: self.filter.clone() };
        Ok(ctx.loader().load_one(key).await.or_fault()?.unwrap_or(0))
    }
}

/// The whole list behind a page of collections.
pub struct CollectionTotal;

#[Object]
impl CollectionTotal {
    /// Collections in the whole list, not only on this page.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<u64> {
        crate::store::collections::count(ctx.app().store.db(), ctx.tenant()).await.or_fault()
    }
}

/// How documents are cut into chunks.
#[derive(SimpleObject)]
pub struct Chunking {
    /// Longest chunk, in units. In tokens it is at most as many as the collection's model reads (`longestChunk` of
    /// `embeddingModels`); in characters, a chunk of more tokens than that is cut smaller.
    size: u32,
    /// Most units that a chunk repeats from the end of the one before it: as many as there are from the first joint of
    /// the text (paragraph, line, sentence, clause, word) within them; fewer where the next piece needs the room.
    overlap: u32,
    /// What is counted.
    unit: ChunkUnit,
}

/// What chunk sizes are counted in.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Unit")]
pub enum ChunkUnit {
    /// Tokens of the embedding model.
    Tokens,
    /// Unicode characters.
    Characters,
}

/// Which vectors a collection holds.
#[derive(SimpleObject)]
pub struct Embedding {
    /// The model that makes them; null where callers bring their own.
    model: Option<String>,
    /// Length of each vector.
    dimensions: i32,
    /// How nearness is measured.
    metric: Metric,
    /// Where its index stands.
    index_status: IndexStatus,
}

impl From<Space> for Embedding {
    fn from(space: Space) -> Self {
        Self {
            model: space.model,
            dimensions: space.dimensions,
            metric: space.metric.into(),
            index_status: space.index_state.into(),
        }
    }
}

/// How nearness is measured.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "StoredMetric")]
pub enum Metric {
    /// Cosine similarity; scores from -1 to 1.
    Cosine,
    /// Euclidean distance; scores are 1 / (1 + distance), from 0 to 1.
    L2,
    /// Inner product; scores are the product.
    InnerProduct,
}

/// Where a collection's vector index stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "IndexState")]
pub enum IndexStatus {
    /// No index: searches compare every vector, which is exact. One is built when the collection has grown.
    None,
    /// A job builds it; searches are exact meanwhile.
    Building,
    /// Searches use it, and are approximate.
    Ready,
}

/// A collection to be made.
#[derive(InputObject)]
pub struct CreateCollectionInput {
    /// 1-255 characters, unique. White space at its ends goes, letters and their accents are composed (NFC); control and
    /// invisible characters are refused.
    name: String,
    /// At most 10,000 characters.
    #[graphql(default)]
    description: String,
    /// A JSON object of at most 64 KiB (a setting).
    metadata: Option<Json>,
    /// Which vectors it holds. By default those of the server's model.
    embedding: Option<EmbeddingInput>,
    /// How nearness is measured.
    #[graphql(default_with = "Metric::Cosine")]
    metric: Metric,
    /// How documents are cut. By default 240 tokens, 32 of them shared (settings).
    chunking: Option<ChunkingInput>,
}

/// Which vectors a collection holds: those of a model, or the caller's own.
#[derive(OneofObject)]
pub enum EmbeddingInput {
    /// Those of this model of the server, such as `local/all-MiniLM-L6-v2`: one of `embeddingModels`.
    Model(String),
    /// Vectors of your own, of so many dimensions (1-16,000).
    Dimensions(i32),
}

/// How documents are cut into chunks.
#[derive(InputObject)]
pub struct ChunkingInput {
    /// Longest chunk, in units: 1-8,192 tokens, and at most as many as the model reads; or 1-32,768 characters, of which
    /// a chunk has fewer where the model would not read it whole.
    size: i32,
    /// Most units that a chunk repeats from the end of the one before it; at most half of `size`.
    #[graphql(default)]
    overlap: i32,
    /// What is counted.
    #[graphql(default_with = "ChunkUnit::Tokens")]
    unit: ChunkUnit,
}

impl CreateCollectionInput {
    /// The checked input.
    pub fn checked(self, metadata_limit: usize) -> crate::error::Result<CreateCollection> {
        Ok(CreateCollection {
            name: name::name("input.name", &self.name)?,
            description: check::text("input.description", self.description, 0, check::DESCRIPTION_LIMIT)?,
            metadata: check::optional_object("input.metadata", self.metadata, metadata_limit)?
                .unwrap_or_else(|| Json::Object(serde_json::Map::new())),
            embedding: match self.embedding {
                None => EmbeddingChoice::Default,
                Some(EmbeddingInput::Model(model)) => EmbeddingChoice::Model(model),
                Some(EmbeddingInput::Dimensions(dimensions)) => {
                    let range = 1..=DIMENSIONS_LIMIT;
                    EmbeddingChoice::Own(check::whole("input.embedding.dimensions", dimensions, range)?)
                }
            },
            metric: self.metric.into(),
            chunking: self.chunking.map(ChunkingInput::checked).transpose()?,
        })
    }
}

impl ChunkingInput {
    fn checked(self) -> crate::error::Result<ChunkSettings> {
        let unit = Unit::from(self.unit);
        let size = check::whole("input.chunking.size", self.size, 1..=unit.longest_chunk())?;
        let overlap = check::whole("input.chunking.overlap", self.overlap, 0..=size / 2)?;
        Ok(ChunkSettings { size, overlap, unit, ..ChunkSettings::default() })
    }
}

/// A change to a collection; what is left out stays.
#[derive(InputObject)]
pub struct UpdateCollectionInput {
    /// Which.
    pub id: ID,
    /// New name, as in `CreateCollectionInput`.
    name: Option<String>,
    /// New description.
    description: Option<String>,
    /// New metadata, replacing the old.
    metadata: Option<Json>,
}

impl UpdateCollectionInput {
    /// The checked change.
    pub fn checked(self, metadata_limit: usize) -> crate::error::Result<CollectionChange> {
        Ok(CollectionChange {
            name: name::optional_name("input.name", self.name.as_deref())?,
            description: check::optional_text("input.description", self.description, 0, check::DESCRIPTION_LIMIT)?,
            metadata: check::optional_object("input.metadata", self.metadata, metadata_limit)?,
        })
    }
}
