//! Deleting a collection: hidden at once, removed by a job.

use std::sync::Arc;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use crate::app::App;
use crate::error::Result;
use crate::queue::{self, ActiveJob, Handler, JobKind, MAINTENANCE, StepEnd, steer};
use crate::store::listen::{EVERYONE, JOB_EVENTS_CHANNEL, RUNS_CHANNEL};
use crate::store::{Doing, TenantId, collections, purge, schedules};

/// Kind of the job.
pub const KIND: JobKind = JobKind::new("purge_collection", MAINTENANCE, 1);

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    collection_id: Uuid,
}

/// Hides a collection with all that is under it and enqueues its removal. False where there is no such collection.
pub async fn delete(app: &App, tenant: TenantId, id: Uuid) -> Result<bool> {
    let tx = app.store.begin().await?;
    if !collections::hide(&tx, tenant, id, app.now()).await? {
        return Ok(false);
    }
    // First: one that is just firing is waited for, so that its job is seen.
    schedules::delete_of_collection(&tx, id).await?;
    steer::cancel_of_collection(&tx, id).await?;
    // Who follows one of its runs or jobs comes to the end.
    tx.ring(RUNS_CHANNEL, EVERYONE);
    tx.ring(JOB_EVENTS_CHANNEL, EVERYONE);
    // Not the collection's own: the job that removes a collection's jobs must not be one of them.
    let job = KIND.job(&Payload { collection_id: id }, app.config.queue.max_attempts, app.now());
    queue::enqueue(&tx, tenant, vec![job]).await?;
    tx.commit().await.doing("delete the collection")?;
    Ok(true)
}

/// Runs such jobs.
pub struct PurgeCollection {
    app: Arc<App>,
}

impl PurgeCollection {
    /// A handler.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[async_trait]
impl Handler for PurgeCollection {
    async fn run(&self, job: &ActiveJob, _: &'static str) -> Result<StepEnd> {
        let payload: Payload = KIND.payload(&job.row)?;
        let (store, id) = (&self.app.store, payload.collection_id);
        purge::vectors(store, id).await?;
        let mut removed = 0;
        loop {
            job.check()?;
            let step = purge::some_documents(store, id).await?;
            if step == 0 {
                break;
            }
            removed += u32::try_from(step).unwrap_or(u32::MAX);
            let tx = store.begin().await?;
            queue::set_progress(&tx, &job.row, removed, removed, "documents").await?;
            tx.commit().await.doing("write the job's progress")?;
        }
        purge::jobs(store, id).await?;
        purge::rest(store, id).await?;
        Ok(StepEnd::Done(json!({ "documents": removed })))
    }
}
