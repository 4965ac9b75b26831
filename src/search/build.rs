//! The job that builds a space's HNSW index, and finding the spaces that need one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::queue::{self, ActiveJob, Enqueued, Handler, JobKind, MAINTENANCE, NewJob, StepEnd, Uniqueness};
use crate::store::entity::{embedding_space::IndexState, job};
use crate::store::index::{self, BuildSettings};
use crate::store::{Doing, Transaction, spaces};

/// Kind of the job.
pub const KIND: JobKind = JobKind::new("build_index", MAINTENANCE, 1);
/// How often a build's progress is written.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    space_id: Uuid,
}

/// Enqueues a build for every space that has grown past `search.exact_threshold` and has no index.
pub async fn enqueue_due(app: &App) -> Result<()> {
    let threshold = app.config.search.exact_threshold as u64;
    for space in spaces::due_for_index(app.store.db(), threshold, KIND.name).await? {
        let job = NewJob {
            unique_key: Some(format!("{}:{}", KIND.name, space.id)),
            collection_id: Some(space.collection_id),
            ..KIND.job(&Payload { space_id: space.id }, app.config.queue.max_attempts, app.now())
        };
        let tx = app.store.begin().await?;
        let enqueued = queue::enqueue_unique(&tx, space.tenant_id, job, &Uniqueness::while_unfinished()).await?;
        tx.commit().await.doing("enqueue an index build")?;
        if matches!(enqueued, Enqueued::New(_)) {
            tracing::info!(space = %space.id, "the collection has grown: its index will be built");
        }
    }
    Ok(())
}

/// Runs such jobs.
pub struct BuildIndex {
    app: Arc<App>,
}

impl BuildIndex {
    /// A handler.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[async_trait]
impl Handler for BuildIndex {
    async fn run(&self, job: &ActiveJob, _: &'static str) -> Result<StepEnd> {
        let payload: Payload = KIND.payload(&job.row)?;
        let (store, config) = (&self.app.store, &self.app.config.index);
        let Some(space) = spaces::by_id(store.db(), payload.space_id).await? else {
            return Ok(StepEnd::Done(Json::Null));
        };
        spaces::set_index_state(store.db(), space.id, IndexState::Building).await?;
        let settings = BuildSettings {
            m: config.hnsw_m.into(),
            ef_construction: config.hnsw_ef_construction.into(),
            memory_bytes: config.maintenance_memory_bytes,
        };
        tokio::select! {
            built = index::build(store, &space, settings) => built?,
            error = tell_progress(&self.app, job, space.id) => return Err(error),
            () = job.stop.cancelled() => return Err(Error::interrupted()),
        }
        spaces::set_index_state(store.db(), space.id, IndexState::Ready).await?;
        Ok(StepEnd::Done(Json::Null))
    }

    async fn on_cancel(&self, tx: &Transaction, job: &job::Model) -> Result<()> {
        let payload: Payload = KIND.payload(job)?;
        spaces::set_index_state(tx, payload.space_id, IndexState::None).await
    }

    async fn on_dead(&self, tx: &Transaction, job: &job::Model, _: &Error) -> Result<()> {
        let payload: Payload = KIND.payload(job)?;
        spaces::set_index_state(tx, payload.space_id, IndexState::None).await
    }
}

/// Writes the build's progress until it is dropped; ends only when the lease is lost.
async fn tell_progress(app: &App, job: &ActiveJob, space: Uuid) -> Error {
    loop {
        tokio::time::sleep(PROGRESS_INTERVAL).await;
        let Ok(Some((done, total))) = index::progress(app.store.db(), space).await else { continue };
        let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        match write_progress(app, job, count(done), count(total)).await {
            Err(error) if error.code == crate::error::Code::LeaseLost => return error,
            _ => {}
        }
    }
}

async fn write_progress(app: &App, job: &ActiveJob, done: u32, total: u32) -> Result<()> {
    let tx = app.store.begin().await?;
    queue::set_progress(&tx, &job.row, done, total, "vectors").await?;
    tx.commit().await.doing("write the job's progress")
}
