//! Rows asked one by one and read in lists: a page costs a constant number of statements. Made anew for each request,
//! and once for all subscriptions of a tenant.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use uuid::Uuid;

use super::gather::{Found, Gather, Load};
use crate::app::App;
use crate::error::Result;
use crate::queue::history::{self, AttemptRow, EventRow};
use crate::queue::jobs;
use crate::queue::processes::{self, WorkerRow};
use crate::queue::steps::{self, StepRow};
use crate::queue::wait::{self, Wait, WaitSettings, Waiting};
use crate::store::collections::Totals;
use crate::store::documents::DocumentFilter;
use crate::store::entity::{chunk, collection, document, embedding_space, ingestion_run, job};
use crate::store::{TenantId, chunks, collections, documents, embeddings, runs, spaces};

/// Reads a tenant's rows.
pub struct RowLoader {
    app: Arc<App>,
    tenant: TenantId,
}

/// What resolvers ask.
pub type Rows = Arc<Gather<RowLoader>>;

/// The loader of one request.
pub fn for_request(app: Arc<App>, tenant: TenantId) -> Rows {
    Arc::new(Gather::new(RowLoader { app, tenant }, None))
}

/// The loader of all subscriptions: it reads in their share of the connections.
pub fn for_subscriptions(app: Arc<App>, tenant: TenantId) -> Rows {
    let share = app.store.subscriptions().clone();
    Arc::new(Gather::new(RowLoader { app, tenant }, Some(share)))
}

/// A key that one statement answers for many.
macro_rules! loads {
    ($(#[$doc:meta])* $key:ident => $value:ty, |$loader:ident, $ids:ident| $read:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $key(pub Uuid);

        impl Load<$key> for RowLoader {
            type Value = $value;

            async fn load(&self, keys: &[$key]) -> Found<$key, $value> {
                let $loader = self;
                let $ids: Vec<Uuid> = keys.iter().map(|key| key.0).collect();
                let found: HashMap<Uuid, $value> = $read.await.map_err(Arc::new)?;
                Ok(found.into_iter().map(|(id, value)| ($key(id), value)).collect())
            }
        }
    };
}

loads!(
    /// A collection by id.
    CollectionById => collection::Model, |l, ids| collections::by_ids(l.app.store.db(), l.tenant, &ids)
);
loads!(
    /// What a collection holds, by its id.
    TotalsOf => Totals, |l, ids| collections::totals(l.app.store.db(), l.tenant, &ids)
);
loads!(
    /// A collection's active space, by the collection's id.
    SpaceOf => embedding_space::Model, |l, ids| spaces::active_of(l.app.store.db(), l.tenant, &ids)
);
loads!(
    /// A document by id.
    DocumentById => document::Model, |l, ids| documents::by_ids(l.app.store.db(), l.tenant, &ids)
);
loads!(
    /// A document's stored text, by its id.
    TextOf => String, |l, ids| documents::texts(l.app.store.db(), l.tenant, &ids)
);
loads!(
    /// A document's newest job, by the document's id.
    NewestJobOf => job::Model, |l, ids| jobs::newest_of(l.app.store.db(), l.tenant, &ids)
);
loads!(
    /// A run by id.
    RunById => ingestion_run::Model, |l, ids| runs::by_ids(l.app.store.db(), l.tenant, &ids)
);

loads!(
    /// A job by id.
    JobById => job::Model, |l, ids| jobs::by_ids(l.app.store.db(), l.tenant, &ids)
);
loads!(
    /// A job's attempts, by its id; only of jobs of the caller's.
    AttemptsOf => Vec<AttemptRow>, |l, ids| history::attempts_of(l.app.store.db(), &ids, l.page_limit())
);
loads!(
    /// What is stored of a job's steps, by its id; only of jobs of the caller's.
    StepsOf => Vec<StepRow>, |l, ids| steps::steps_of(l.app.store.db(), &ids)
);
loads!(
    /// A worker process by id.
    WorkerById => WorkerRow, |l, _ids| l.workers()
);

impl RowLoader {
    fn page_limit(&self) -> u64 {
        self.app.config.graphql.page_limit as u64
    }

    /// All of them: they are few.
    async fn workers(&self) -> Result<HashMap<Uuid, WorkerRow>> {
        Ok(processes::all(self.app.store.db()).await?.into_iter().map(|row| (row.id, row)).collect())
    }
}

/// How a job waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct WaitOf(pub Waiting);

impl Load<WaitOf> for RowLoader {
    type Value = Wait;

    async fn load(&self, keys: &[WaitOf]) -> Found<WaitOf, Wait> {
        let (store, config) = (&self.app.store, &self.app.config.queue);
        let settings = WaitSettings { lease: config.lease, position_limit: config.position_limit };
        let waiting: Vec<Waiting> = keys.iter().map(|key| key.0.clone()).collect();
        let mut waits = wait::waits(store, self.tenant, &waiting, settings, self.app.now()).await.map_err(Arc::new)?;
        Ok(waiting
            .into_iter()
            .filter_map(|job| Some((waits.remove(&job.id)?, job)))
            .map(|(w, job)| (WaitOf(job), w))
            .collect())
    }
}

/// A page of a job's events.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EventPage {
    /// Whose.
    pub job: Uuid,
    /// After this number.
    pub after: i64,
    /// At most so many.
    pub limit: u64,
}

impl Load<EventPage> for RowLoader {
    type Value = Vec<EventRow>;

    async fn load(&self, keys: &[EventPage]) -> Found<EventPage, Self::Value> {
        let mut found = HashMap::new();
        for ((after, limit), ids) in grouped(keys, |key| ((key.after, key.limit), key.job)) {
            let pages =
                history::events_of(self.app.store.db(), self.tenant, &ids, after, limit).await.map_err(Arc::new)?;
            found.extend(pages.into_iter().map(|(job, page)| (EventPage { job, after, limit }, page)));
        }
        Ok(found)
    }
}

/// A page of a document's chunks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ChunkPage {
    /// Whose.
    pub document: Uuid,
    /// After this index.
    pub after: Option<i32>,
    /// At most so many.
    pub limit: u64,
}

impl Load<ChunkPage> for RowLoader {
    type Value = Vec<chunk::Model>;

    async fn load(&self, keys: &[ChunkPage]) -> Found<ChunkPage, Self::Value> {
        let mut found = HashMap::new();
        for ((after, limit), documents) in grouped(keys, |key| ((key.after, key.limit), key.document)) {
            let pages =
                chunks::pages(self.app.store.db(), self.tenant, &documents, after, limit).await.map_err(Arc::new)?;
            found.extend(pages.into_iter().map(|(document, page)| (ChunkPage { document, after, limit }, page)));
        }
        Ok(found)
    }
}

/// A page of a collection's documents.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentPage {
    /// Whose.
    pub collection: Uuid,
    /// Which.
    pub filter: DocumentFilter,
    /// After this id.
    pub after: Option<Uuid>,
    /// At most so many.
    pub limit: u64,
}

impl Load<DocumentPage> for RowLoader {
    type Value = Vec<document::Model>;

    async fn load(&self, keys: &[DocumentPage]) -> Found<DocumentPage, Self::Value> {
        let mut found = HashMap::new();
        for (key, collections) in grouped(keys, |key| ((key.filter.clone(), key.after, key.limit), key.collection)) {
            let (filter, after, limit) = key;
            let pages =
                documents::pages(self.app.store.db(), &collections, &filter, after, limit).await.map_err(Arc::new)?;
            found.extend(
                pages.into_iter().map(|(collection, page)| {
                    (DocumentPage { collection, filter: filter.clone(), after, limit }, page)
                }),
            );
        }
        Ok(found)
    }
}

/// A chunk's vector in its collection's active space.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct VectorOf {
    /// The chunk's collection.
    pub collection: Uuid,
    /// The chunk.
    pub chunk: Uuid,
}

impl Load<VectorOf> for RowLoader {
    type Value = Vec<f32>;

    async fn load(&self, keys: &[VectorOf]) -> Found<VectorOf, Vec<f32>> {
        let db = self.app.store.db();
        let groups = grouped(keys, |key| (key.collection, key.chunk));
        let collections: Vec<Uuid> = groups.iter().map(|(collection, _)| *collection).collect();
        let spaces = spaces::active_of(db, self.tenant, &collections).await.map_err(Arc::new)?;
        let mut found = HashMap::new();
        for (collection, chunks) in groups {
            let Some(space) = spaces.get(&collection) else { continue };
            let vectors = embeddings::of_chunks(db, space, &chunks).await.map_err(Arc::new)?;
            found.extend(vectors.into_iter().map(|(chunk, vector)| (VectorOf { collection, chunk }, vector)));
        }
        Ok(found)
    }
}

/// How many documents of a collection a filter shows.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DocumentCount {
    /// Whose.
    pub collection: Uuid,
    /// Which.
    pub filter: DocumentFilter,
}

impl Load<DocumentCount> for RowLoader {
    type Value = u64;

    async fn load(&self, keys: &[DocumentCount]) -> Found<DocumentCount, u64> {
        let mut found = HashMap::new();
        for (filter, collections) in grouped(keys, |key| (key.filter.clone(), key.collection)) {
            let counts = documents::counts(self.app.store.db(), &collections, &filter).await.map_err(Arc::new)?;
            let counted = |(collection, count)| (DocumentCount { collection, filter: filter.clone() }, count);
            found.extend(counts.into_iter().map(counted));
        }
        Ok(found)
    }
}

/// Keys that one statement answers together, with whose they are.
fn grouped<K, G: Eq + Hash>(keys: &[K], split: impl Fn(&K) -> (G, Uuid)) -> Vec<(G, Vec<Uuid>)> {
    let mut groups: HashMap<G, Vec<Uuid>> = HashMap::new();
    for (group, owner) in keys.iter().map(split) {
        groups.entry(group).or_default().push(owner);
    }
    groups.into_iter().collect()
}
