//! The job that builds a space's HNSW index, and finding the spaces that need one.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::queue::{ActiveJob, Handler, payload};
use crate::store::entity::{embedding_space::IndexState, job};
use crate::store::index::{self, BuildSettings};
use crate::store::{Transaction, jobs, spaces};

/// Kind of the job.
pub const KIND: &str = "build_index";
/// Queue of jobs that look after indexes and deleted collections: apart, so that a long build holds up no ingest.
pub const QUEUE: &str = "maintenance";
/// Version of its payload.
const VERSION: i32 = 1;
/// How often a build's progress is written.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    space_id: Uuid,
}

/// Enqueues a build for every space that has grown past `search.exact_threshold` and has no index.
pub async fn enqueue_due(app: &App) -> Result<()> {
    let threshold = app.config.search.exact_threshold as u64;
    for space in spaces::due_for_index(app.store.db(), threshold, KIND).await? {
        let payload = Payload { space_id: space.id };
        let job = jobs::NewJob {
            id: Uuid::now_v7(),
            queue: QUEUE,
            kind: KIND,
            payload: serde_json::to_value(payload).expect("a payload of ids is JSON"),
            payload_version: VERSION,
            max_attempts: app.config.queue.max_attempts,
            unique_key: Some(format!("{KIND}:{}", space.id)),
            collection_id: Some(space.collection_id),
            document_id: None,
            run_id: None,
            at: app.now(),
        };
        let tx = app.store.begin().await?;
        let enqueued = jobs::enqueue(&tx, space.tenant_id, vec![job]).await?;
        crate::store::Doing::doing(tx.commit().await, "enqueue an index build")?;
        if enqueued > 0 {
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
    async fn run(&self, job: &ActiveJob) -> Result<()> {
        let payload: Payload = payload(&job.row, VERSION)?;
        let (store, config) = (&self.app.store, &self.app.config.index);
        let Some(space) = spaces::by_id(store.db(), payload.space_id).await? else { return Ok(()) };
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
        spaces::set_index_state(store.db(), space.id, IndexState::Ready).await
    }

    async fn on_dead(&self, tx: &Transaction, job: &job::Model, _: &Error) -> Result<()> {
        let payload: Payload = payload(job, VERSION)?;
        spaces::set_index_state(tx, payload.space_id, IndexState::None).await
    }
}

/// Writes the build's progress until it is dropped; ends only when the lease is lost.
async fn tell_progress(app: &App, job: &ActiveJob, space: Uuid) -> Error {
    loop {
        tokio::time::sleep(PROGRESS_INTERVAL).await;
        let Ok(Some((done, total))) = index::progress(app.store.db(), space).await else { continue };
        let count = |n: i64| u32::try_from(n).unwrap_or(u32::MAX);
        match jobs::set_progress(app.store.db(), &job.row, count(done), count(total), "vectors").await {
            Err(error) if error.code == crate::error::Code::LeaseLost => return error,
            _ => {}
        }
    }
}
