//! Dense retrieval: exactly where a collection is small or a filter leaves few candidates, through the HNSW index
//! otherwise; where the index gives fewer hits than there are, the exact scan answers.

use metrics::counter;
use serde_json::Value as Json;

use super::answer::IndexUsed;
use crate::app::App;
use crate::error::Result;
use crate::store::embeddings::{self, Neighbour, Scan};
use crate::store::entity::embedding_space::{IndexState, Model as Space};
use crate::store::{Doing, TenantId};

/// pgvector's own limit; beyond it an iterative scan goes on by itself.
const EF_SEARCH_LIMIT: u32 = 1_000;

/// One retrieval.
pub(super) struct Dense<'a> {
    pub app: &'a App,
    pub tenant: TenantId,
    pub space: &'a Space,
    pub query: Vec<f32>,
    pub filter: Option<&'a Json>,
    pub wanted: u32,
}

/// What it found, nearest first.
pub(super) struct Found {
    pub neighbours: Vec<Neighbour>,
    pub index: IndexUsed,
}

impl Dense<'_> {
    pub(super) async fn find(&self) -> Result<Found> {
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
