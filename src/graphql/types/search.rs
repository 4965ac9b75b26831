//! What `search` takes and gives.

use std::time::Duration;

use async_graphql::{Enum, ID, InputObject, OneofObject, SimpleObject};
use serde_json::Value as Json;

use super::chunk::Chunk;
use super::vector::Vector;
use crate::error::Result;
use crate::graphql::check;
use crate::id::Kind;
use crate::search::{self, Hit, IndexUsed, Query, SearchAnswer, SearchRequest, Shortfall};

/// What to look for.
#[derive(InputObject)]
pub struct SearchInput {
    /// Where.
    collection_id: ID,
    /// By what.
    query: SearchQueryInput,
    /// Hits wanted, 1-100.
    #[graphql(default = 10)]
    pub first: i32,
    /// Only chunks of documents that fit.
    filter: Option<SearchFilterInput>,
}

/// What to be near to.
#[derive(OneofObject)]
pub enum SearchQueryInput {
    /// A text, embedded by the collection's model; at most 32 KiB (a setting), of which the model reads the beginning:
    /// see `queryCutAtTokens`.
    Text(String),
    /// A vector of the collection's dimensions.
    Vector(Vector),
    /// A chunk of the collection: more like this one, without it.
    ChunkId(ID),
}

/// Which documents count.
#[derive(InputObject)]
pub struct SearchFilterInput {
    /// Only documents whose metadata has all these top-level fields with equal values: `{"language": "en"}`. Lists are
    /// equal item by item and in order, objects field by field, numbers by value; what else the metadata has does not
    /// matter.
    metadata: Option<Json>,
}

impl SearchInput {
    /// The checked input.
    pub fn checked(self, app: &crate::app::App, with_documents: bool) -> Result<SearchRequest> {
        let config = &app.config;
        let metadata = self.filter.and_then(|filter| filter.metadata);
        Ok(SearchRequest {
            collection_id: Kind::Collection.decode("input.collectionId", &self.collection_id)?,
            query: self.query.checked(config.search.query_limit_bytes)?,
            first: check::page_size("input.first", self.first, config.graphql.page_limit)?,
            filter: check::optional_object("input.filter.metadata", metadata, config.ingest.metadata_limit_bytes)?,
            with_documents,
        })
    }
}

impl SearchQueryInput {
    fn checked(self, limit: usize) -> Result<Query> {
        match self {
            Self::Vector(vector) => Ok(Query::Vector(vector.0)),
            Self::ChunkId(id) => Ok(Query::Chunk(Kind::Chunk.decode("input.query.chunkId", &id)?)),
            Self::Text(text) => Query::text("input.query.text", text, limit),
        }
    }
}

/// The answer to a search.
#[derive(SimpleObject)]
pub struct SearchPayload {
    /// The nearest chunks, nearest first.
    hits: Vec<SearchHit>,
    /// How they were found.
    info: SearchInfo,
}

/// A chunk that was found.
#[derive(SimpleObject)]
pub struct SearchHit {
    /// Place among the hits, from 1.
    rank: i32,
    /// How near it is, by the collection's metric: higher is nearer. See `Metric` for the range.
    score: f64,
    /// The chunk.
    chunk: Chunk,
}

/// How hits were found.
#[derive(SimpleObject)]
pub struct SearchInfo {
    /// True: every chunk was compared, and no nearer one exists. False: an index was used, which may miss some.
    exact: bool,
    /// What produced the hits.
    index: SearchIndex,
    /// Hits that came.
    returned: i32,
    /// Hits asked for.
    requested: i32,
    /// Why fewer hits came than asked for; null where none are missing.
    shortfall: Option<SearchShortfall>,
    /// Tokens after which the model stopped reading the query's text, because it was longer than it reads; null where
    /// all of it counts.
    query_cut_at_tokens: Option<i32>,
    /// The whole search in milliseconds.
    took_ms: f64,
    /// Its parts in order.
    stages: Vec<SearchStage>,
}

impl From<SearchAnswer> for SearchPayload {
    fn from(answer: SearchAnswer) -> Self {
        let returned = i32::try_from(answer.hits.len()).unwrap_or(i32::MAX);
        Self { hits: answer.hits.into_iter().map(Into::into).collect(), info: SearchInfo::new(&answer.info, returned) }
    }
}

impl From<Hit> for SearchHit {
    fn from(hit: Hit) -> Self {
        let chunk = Chunk::with_document(hit.chunk, hit.document);
        Self { rank: hit.rank.cast_signed(), score: hit.score, chunk }
    }
}

impl SearchInfo {
    fn new(info: &search::Info, returned: i32) -> Self {
        let stage = |stage: &search::Stage| SearchStage { name: stage.name.to_owned(), ms: ms(stage.took) };
        Self {
            exact: info.is_exact(),
            index: info.index.into(),
            returned,
            requested: info.requested.cast_signed(),
            shortfall: info.shortfall.map(Into::into),
            query_cut_at_tokens: info.query_cut_at.map(u32::cast_signed),
            took_ms: ms(info.took),
            stages: info.stages.iter().map(stage).collect(),
        }
    }
}

fn ms(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e3
}

/// What produced the hits of a search.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "IndexUsed")]
pub enum SearchIndex {
    /// A scan that compares every candidate.
    Exact,
    /// The HNSW index.
    Hnsw,
}

/// Why fewer hits came than asked for.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Shortfall")]
pub enum SearchShortfall {
    /// No more chunks are in the collection, or fit the filter.
    NoMoreMatches,
    /// Documents were replaced or deleted while the search ran.
    ChangedMeanwhile,
}

/// One part of a search.
#[derive(SimpleObject)]
pub struct SearchStage {
    /// `embed` (the query's text), `dense` (the nearest vectors), `fetch` (the chunks).
    name: String,
    /// How long it took, in milliseconds.
    ms: f64,
}
