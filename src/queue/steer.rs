//! Steering jobs from outside: cancel, redrive, prefer. Each job in a transaction of its own, so that a thousand jobs
//! hold no lock for long, and what was done before a fault stays done; doing it again is safe.

use futures_util::{StreamExt, TryStreamExt, stream};
use sea_orm::{DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

use super::fence::{NO_LEASE, tell};
use super::jobs::{self, JobFilter};
use super::turn::last_turn;
use super::{Kinds, steps};
use crate::error::Result;
use crate::store::entity::job::{JobState, Model};
use crate::store::listen::{JOBS_CHANNEL, LOST};
use crate::store::{Doing, Store, TenantId, Transaction, execute};

pub use super::selection::{Left, LeftReason, Selection, Steered, Steering};

/// Jobs steered at once: as many commits share a write to the disk.
const AT_ONCE: usize = 4;

/// Steers the selected jobs of a tenant, at most `limit` of those that a filter finds.
pub async fn steer(
    store: &Store,
    kinds: &Kinds,
    tenant: TenantId,
    selection: Selection,
    steering: Steering,
    limit: u64,
) -> Result<Steered> {
    let mut ids = match selection {
        Selection::Ids(ids) => ids,
        Selection::Filter(filter) => {
            let filter = narrowed(*filter, steering);
            jobs::select(store.db(), tenant, &filter, limit + 1).await?
        }
    };
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = ids.len() > limit;
    ids.truncate(limit);
    let work = ids.into_iter().map(|id| steer_one(store, kinds, tenant, id, steering));
    let outcomes: Vec<_> = stream::iter(work).buffered(AT_ONCE).try_collect().await?;
    let mut steered = Steered { has_more, ..Steered::default() };
    for outcome in outcomes {
        match outcome {
            Ok(job) => steered.changed.push(job),
            Err(left) => steered.left.push(left),
        }
    }
    Ok(steered)
}

/// A filter without states means the jobs that can be steered so; with states it is taken at its word, and what cannot
/// be steered is told.
fn narrowed(filter: JobFilter, steering: Steering) -> JobFilter {
    let states = filter.states.unwrap_or_else(|| match steering {
        Steering::Cancel | Steering::SetPriority(_) => JobState::UNFINISHED.to_vec(),
        Steering::Retry { .. } => vec![JobState::Dead, JobState::Cancelled, JobState::Retrying],
    });
    JobFilter { states: Some(states), ..filter }
}

async fn steer_one(
    store: &Store,
    kinds: &Kinds,
    tenant: TenantId,
    id: Uuid,
    steering: Steering,
) -> Result<Result<Model, Left>> {
    let left = |job: Option<Model>, reason, detail| Ok(Err(Left { id, job, reason, detail }));
    let tx = store.begin().await?;
    let Some(job) = lock_all(&tx, kinds, tenant, id).await? else { return left(None, LeftReason::NotFound, None) };
    let refusal = match steering {
        Steering::Cancel => cancel(&tx, kinds, &job).await?,
        Steering::Retry { attempts } => retry(&tx, kinds, &job, attempts).await?,
        Steering::SetPriority(priority) => set_priority(&tx, &job, priority).await?,
    };
    match refusal {
        Some((reason, detail)) => {
            // At once, not when the connection is used next: workers step over a locked job.
            tx.rollback().await.doing("leave the job")?;
            left(Some(job), reason, detail)
        }
        None => {
            let changed = jobs::by_ids(&tx, tenant, &[id]).await?.remove(&id).unwrap_or(job);
            tx.commit().await.doing("steer the job")?;
            Ok(Ok(changed))
        }
    }
}

/// Locks what the job is about, then the job.
async fn lock_all(tx: &Transaction, kinds: &Kinds, tenant: TenantId, id: Uuid) -> Result<Option<Model>> {
    let Some(job) = jobs::by_ids(tx, tenant, &[id]).await?.remove(&id) else { return Ok(None) };
    if let Some(handler) = kinds.handler(&job.kind) {
        handler.lock(tx, &job).await?;
    }
    lock(tx, tenant, id).await
}

type Refusal = Option<(LeftReason, Option<String>)>;

async fn cancel(tx: &Transaction, kinds: &Kinds, job: &Model) -> Result<Refusal> {
    if job.state.is_terminal() {
        return Ok(Some((LeftReason::Finished, None)));
    }
    end_cancelled(tx, job).await?;
    if let Some(handler) = kinds.handler(&job.kind) {
        handler.on_cancel(tx, job).await?;
    }
    Ok(None)
}

async fn retry(tx: &Transaction, kinds: &Kinds, job: &Model, attempts: u32) -> Result<Refusal> {
    match job.state {
        JobState::Running => return Ok(Some((LeftReason::Running, None))),
        JobState::Pending => return Ok(Some((LeftReason::Waiting, None))),
        JobState::Scheduled => return Ok(Some((LeftReason::Scheduled, None))),
        JobState::Retrying => {
            bring_forward(tx, job).await?;
            return Ok(None);
        }
        JobState::Succeeded | JobState::Cancelled | JobState::Dead => {}
    }
    if let Some(handler) = kinds.handler(&job.kind)
        && let Some(reason) = handler.on_redrive(tx, job).await?
    {
        return Ok(Some((LeftReason::Superseded, Some(reason))));
    }
    redrive(tx, job, attempts).await?;
    Ok(None)
}

async fn set_priority(tx: &Transaction, job: &Model, priority: i16) -> Result<Refusal> {
    if job.state.is_terminal() {
        return Ok(Some((LeftReason::Finished, None)));
    }
    if job.priority == priority {
        return Ok(Some((LeftReason::Unchanged, None)));
    }
    write_priority(tx, job, priority).await?;
    Ok(None)
}

/// Cancels every unfinished job of a document whose row the caller has locked, in the caller's transaction.
pub async fn cancel_of_document(tx: &Transaction, kinds: &Kinds, tenant: TenantId, document: Uuid) -> Result<()> {
    for id in jobs::unfinished_of(tx, tenant, document).await? {
        if let Some(job) = lock(tx, tenant, id).await? {
            cancel(tx, kinds, &job).await?;
        }
    }
    Ok(())
}

/// The row, locked until the transaction ends. `None` where it is gone.
async fn lock(tx: &Transaction, tenant: TenantId, id: Uuid) -> Result<Option<Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM jobs WHERE id = $1 AND tenant_id = $2 FOR UPDATE",
        [id.into(), tenant.into()],
    );
    Model::find_by_statement(question).one(tx).await.doing("lock the job")
}

/// What a job that is cancelled gets.
const CANCELLED: &str = "state = 'CANCELLED', finished_at = now()";

/// Ends a locked, unfinished job. A worker that is at it can write no more from the commit on.
async fn end_cancelled(tx: &Transaction, job: &Model) -> Result<()> {
    let sql = format!("UPDATE jobs SET {CANCELLED}, {NO_LEASE} WHERE id = $1");
    execute(tx, "cancel the job", sql, [job.id.into()]).await?;
    tx.ring(JOBS_CHANNEL, LOST);
    tell(tx, job);
    Ok(())
}

/// Ends every unfinished job of a collection that is being deleted.
pub async fn cancel_of_collection(tx: &Transaction, collection: Uuid) -> Result<u64> {
    let sql = format!(
        "UPDATE jobs SET {CANCELLED}, {NO_LEASE}
         WHERE collection_id = $1 AND state IN ('SCHEDULED', 'PENDING', 'RUNNING', 'RETRYING')"
    );
    tx.ring(JOBS_CHANNEL, LOST);
    execute(tx, "cancel the collection's jobs", sql, [collection.into()]).await
}

/// Lets a locked, finished job run again with all its attempts. Its finished steps stay finished.
async fn redrive(tx: &Transaction, job: &Model, attempts: u32) -> Result<()> {
    let turn = last_turn(tx, &job.queue, job.tenant_id, job.flow, job.priority).await? + 1;
    let sql = "UPDATE jobs SET state = 'PENDING', run_at = now(), finished_at = NULL, error_code = NULL,
            error_message = NULL, redrives = redrives + 1, max_attempts = attempts + $2, turn = $3
        WHERE id = $1";
    execute(tx, "redrive the job", sql, [job.id.into(), attempts.cast_signed().into(), turn.into()]).await?;
    steps::forget_failures(tx, job.id).await?;
    tx.ring(JOBS_CHANNEL, &*job.queue);
    tell(tx, job);
    Ok(())
}

/// Ends the wait of a locked `RETRYING` or `SCHEDULED` job.
async fn bring_forward(tx: &Transaction, job: &Model) -> Result<()> {
    let sql = "UPDATE jobs SET state = 'PENDING', run_at = now() WHERE id = $1";
    execute(tx, "bring the job forward", sql, [job.id.into()]).await?;
    tx.ring(JOBS_CHANNEL, &*job.queue);
    tell(tx, job);
    Ok(())
}

/// Moves a locked, unfinished job before or behind those of other priorities.
async fn write_priority(tx: &Transaction, job: &Model, priority: i16) -> Result<()> {
    let sql = "UPDATE jobs SET priority = $2 WHERE id = $1";
    execute(tx, "set the job's priority", sql, [job.id.into(), priority.into()]).await?;
    tell(tx, job);
    Ok(())
}
