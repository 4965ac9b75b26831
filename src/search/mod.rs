//! Use case: the chunks nearest to a query, and the truth about how they were found.
//!
//! Exact where a collection is small or a filter leaves few candidates, through the HNSW index otherwise; where the
//! index gives fewer hits than there are, the exact scan answers. The rest of the house sees only [`search`].

pub mod build;
pub mod vector;

use std::sync::Arc;
use std::time::Duration;

use metrics::{counter, histogram};
use serde_json::Value as Json;
use tokio::time::Instant;
use uuid::Uuid;

use crate::app::App;
use crate::embed::{Embedded, Purpose};
use crate::error::{Error, Result};
use crate::store::embeddings::{self, Neighbour, Scan};
use crate::store::entity::embedding_space::{IndexState, Metric, Model as Space};
use crate::store::{Doing, TenantId, chunks, spaces};

/// What is looked for.
#[derive(Debug, Clone)]
pub struct SearchRequest {
    /// Where.
    pub collection_id: Uuid,
    /// By what.
    pub query: Query,
    /// Hits wanted, 1-100.
    pub first: u32,
    /// Only documents whose metadata contains this object.
    pub filter: Option<Json>,
}

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

/// The answer.
#[derive(Debug, Clone)]
pub struct SearchAnswer {
    /// Nearest first.
    pub hits: Vec<Hit>,
    /// How they were found.
    pub info: Info,
}

/// One chunk that was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// The chunk.
    pub chunk_id: Uuid,
    /// Higher is nearer; see [`score`].
    pub score: f64,
}

/// How hits were found.
#[derive(Debug, Clone)]
pub struct Info {
    /// Whether every candidate was compared: no nearer chunk exists.
    pub exact: bool,
    /// Which index ran.
    pub index: IndexUsed,
    /// Hits asked for.
    pub requested: u32,
    /// Whether fewer hits came than asked because no more chunks match.
    pub exhausted: bool,
    /// Tokens after which the model stopped reading the query; `None` where it read it whole.
    pub query_cut_at: Option<u32>,
    /// The whole search.
    pub took: Duration,
    /// Its parts in order.
    pub stages: Vec<Stage>,
}

/// What produced the hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexUsed {
    /// A scan over all candidates.
    Exact,
    /// The HNSW index.
    Hnsw,
}

/// One part of a search.
#[derive(Debug, Clone, Copy)]
pub struct Stage {
    /// `embed` or `dense`.
    pub name: &'static str,
    /// How long it took.
    pub took: Duration,
}

/// Searches within `search.timeout_ms`.
pub async fn search(app: &App, tenant: TenantId, request: SearchRequest) -> Result<SearchAnswer> {
    let limit = app.config.search.timeout;
    let outcome = match tokio::time::timeout(limit, run(app, tenant, request)).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Error::timeout("the search", limit)),
    };
    let label = outcome.as_ref().map_or_else(|error| error.code.as_str(), |_| "OK");
    counter!("vectorforge_search_requests_total", "outcome" => label).increment(1);
    outcome
}

async fn run(app: &App, tenant: TenantId, request: SearchRequest) -> Result<SearchAnswer> {
    let started = Instant::now();
    let mut clock = Stages::default();
    let space = spaces::active(app.store.db(), tenant, "input.collectionId", request.collection_id).await?;
    let QueryVector { vector, cut_at } = query_vector(app, tenant, &space, &request, &mut clock).await?;
    // A chunk is nearest to itself, and not what its asker wants to see.
    let itself = match request.query {
        Query::Chunk(id) => Some(id),
        _ => None,
    };
    let wanted = request.first + u32::from(itself.is_some());
    let dense = Dense { app, tenant, space: &space, query: vector, filter: request.filter.as_ref(), wanted };
    let timer = Instant::now();
    let found = dense.find().await?;
    clock.note("dense", timer.elapsed());
    let hits: Vec<Hit> = found
        .neighbours
        .into_iter()
        .filter(|neighbour| Some(neighbour.chunk_id) != itself)
        .take(request.first as usize)
        .map(|neighbour| Hit { chunk_id: neighbour.chunk_id, score: score(space.metric, neighbour.distance) })
        .collect();
    let info = Info {
        exact: found.index == IndexUsed::Exact,
        index: found.index,
        requested: request.first,
        exhausted: hits.len() < request.first as usize,
        query_cut_at: cut_at,
        took: started.elapsed(),
        stages: clock.0,
    };
    histogram!("vectorforge_search_duration_seconds").record(info.took.as_secs_f64());
    Ok(SearchAnswer { hits, info })
}

struct QueryVector {
    vector: Vec<f32>,
    cut_at: Option<u32>,
}

impl From<Vec<f32>> for QueryVector {
    fn from(vector: Vec<f32>) -> Self {
        Self { vector, cut_at: None }
    }
}

async fn query_vector(
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
            let missing = || Error::not_found("input.query.chunkId", "chunk", crate::id::Kind::Chunk.encode(*id));
            let visible = chunks::by_ids(app.store.db(), tenant, &[*id]).await?;
            visible.get(id).filter(|chunk| chunk.collection_id == request.collection_id).ok_or_else(missing)?;
            let vector = embeddings::of_chunks(app.store.db(), space, &[*id]).await?.remove(id).ok_or_else(missing)?;
            Ok(vector.into())
        }
    }
}

/// pgvector's own limit; beyond it an iterative scan goes on by itself.
const EF_SEARCH_LIMIT: u32 = 1_000;

/// One dense retrieval.
struct Dense<'a> {
    app: &'a App,
    tenant: TenantId,
    space: &'a Space,
    query: Vec<f32>,
    filter: Option<&'a Json>,
    wanted: u32,
}

struct Found {
    neighbours: Vec<Neighbour>,
    index: IndexUsed,
}

impl Dense<'_> {
    async fn find(&self) -> Result<Found> {
        let threshold = self.app.config.search.exact_threshold as u64;
        if self.space.index_state != IndexState::Ready {
            return self.exact().await;
        }
        // A filter that leaves few candidates is answered exactly at once: the index would walk past most of its graph.
        if self.filter.is_some() && self.matching().await? <= threshold {
            return self.exact().await;
        }
        let ef_search = u32::from(self.app.config.search.ef_search).max(self.wanted).min(EF_SEARCH_LIMIT);
        let neighbours = self.scan(Scan::Hnsw { ef_search }).await?;
        let is_short = neighbours.len() < self.wanted as usize;
        if is_short && (neighbours.len() as u64) < self.matching().await? {
            counter!("vectorforge_search_exact_fallbacks_total").increment(1);
            return self.exact().await;
        }
        Ok(Found { neighbours, index: IndexUsed::Hnsw })
    }

    async fn exact(&self) -> Result<Found> {
        Ok(Found { neighbours: self.scan(Scan::Exact).await?, index: IndexUsed::Exact })
    }

    async fn matching(&self) -> Result<u64> {
        let db = self.app.store.db();
        embeddings::matching(db, self.tenant, self.space.collection_id, self.filter).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<Neighbour>> {
        let tx = self.app.store.begin().await?;
        let timeout = self.app.config.search.timeout;
        let query = self.query.clone().into();
        let found = embeddings::nearest(&tx, self.space, query, self.filter, self.wanted, scan, timeout).await?;
        tx.commit().await.doing("end the search")?;
        Ok(found)
    }
}

/// The score of a distance: cosine similarity (-1 to 1), the inner product, or for `L2` `1 / (1 + distance)` (0 to 1).
pub fn score(metric: Metric, distance: f64) -> f64 {
    match metric {
        Metric::Cosine => 1.0 - distance,
        Metric::InnerProduct => -distance,
        Metric::L2 => 1.0 / (1.0 + distance),
    }
}

#[derive(Default)]
struct Stages(Vec<Stage>);

impl Stages {
    fn note(&mut self, name: &'static str, took: Duration) {
        histogram!("vectorforge_search_stage_duration_seconds", "stage" => name).record(took.as_secs_f64());
        self.0.push(Stage { name, took });
    }
}
