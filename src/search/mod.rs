//! Use case: the chunks nearest to a query, and the truth about how they were found.
//!
//! The rest of the house sees only [`search`]: whatever shows its answer, GraphQL or another face, has nothing to add.

mod answer;
pub mod build;
mod dense;
mod query;
pub mod vector;

use std::collections::HashMap;

use metrics::{counter, histogram};
use serde_json::Value as Json;
use tokio::time::Instant;
use uuid::Uuid;

use self::answer::Stages;
use self::dense::Dense;
use self::query::{QueryVector, query_vector};
use crate::app::App;
use crate::error::{Error, Result};
use crate::store::embeddings::Neighbour;
use crate::store::entity::embedding_space::Metric;
use crate::store::entity::{chunk, document};
use crate::store::{TenantId, chunks, documents, spaces};

pub use answer::{Hit, IndexUsed, Info, SearchAnswer, Shortfall, Stage, score};
pub use query::Query;

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
    /// Whether the hits come with their documents.
    pub with_documents: bool,
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
    let mut found = dense.find().await?;
    clock.note("dense", timer.elapsed());
    found.neighbours.retain(|neighbour| Some(neighbour.chunk_id) != itself);
    found.neighbours.truncate(request.first as usize);
    let timer = Instant::now();
    let hits = fetch(app, tenant, space.metric, &found.neighbours, request.with_documents).await?;
    clock.note("fetch", timer.elapsed());
    let info = Info {
        index: found.index,
        requested: request.first,
        shortfall: Shortfall::of(request.first, found.neighbours.len(), hits.len()),
        query_cut_at: cut_at,
        took: started.elapsed(),
        stages: clock.0,
    };
    histogram!("vectorforge_search_duration_seconds").record(info.took.as_secs_f64());
    Ok(SearchAnswer { hits, info })
}

/// The chunks in one statement and, where they are asked for, their documents in another. A chunk that was deleted
/// meanwhile is left out.
async fn fetch(
    app: &App,
    tenant: TenantId,
    metric: Metric,
    found: &[Neighbour],
    with_documents: bool,
) -> Result<Vec<Hit>> {
    let ids: Vec<Uuid> = found.iter().map(|neighbour| neighbour.chunk_id).collect();
    let mut chunks = chunks::by_ids(app.store.db(), tenant, &ids).await?;
    let of_chunks = || chunks.values().map(|chunk| chunk.document_id).collect();
    let documents = if with_documents { documents_of(app, tenant, of_chunks()).await? } else { HashMap::new() };
    let there = found.iter().filter_map(|neighbour| Some((neighbour, chunks.remove(&neighbour.chunk_id)?)));
    let hit = |((neighbour, chunk), rank): ((&Neighbour, chunk::Model), u32)| {
        let document = documents.get(&chunk.document_id).cloned();
        Hit { rank, score: score(metric, neighbour.distance), chunk, document }
    };
    Ok(there.zip(1..).map(hit).collect())
}

async fn documents_of(app: &App, tenant: TenantId, mut ids: Vec<Uuid>) -> Result<HashMap<Uuid, document::Model>> {
    ids.sort_unstable();
    ids.dedup();
    documents::by_ids(app.store.db(), tenant, &ids).await
}
