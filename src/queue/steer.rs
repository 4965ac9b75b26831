//! Steering jobs from outside: cancel, redrive, prefer. Each job in a transaction of its own, so that a thousand jobs
//! hold no lock for long, and what was done before a fault stays done; doing it again is safe.

use futures_util::{StreamExt, TryStreamExt, stream};
use uuid::Uuid;

use super::Kinds;
use crate::error::Result;
use crate::store::entity::job::{JobState, Model};
use crate::store::jobs::{self, JobFilter};
use crate::store::{Doing, Store, TenantId, Transaction, queues};

/// What shall happen to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// End them, and undo what they did so far.
    Cancel,
    /// Let them run again, or now.
    Retry {
        /// Attempts that they get.
        attempts: u32,
    },
    /// Move them before or behind others.
    SetPriority(i16),
}

/// Which jobs.
#[derive(Debug, Clone)]
pub enum Selection {
    /// These.
    Ids(Vec<Uuid>),
    /// Those that a filter finds.
    Filter(Box<JobFilter>),
}

/// Why a job was left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftReason {
    /// There is no such job.
    NotFound,
    /// It is in a terminal state.
    Finished,
    /// A worker is at it.
    Running,
    /// It waits for a worker already.
    Waiting,
    /// It waits for its time, which was chosen.
    Scheduled,
    /// What it was about is gone or has changed.
    Superseded,
    /// It is so already.
    Unchanged,
}

/// A job that was left as it was.
#[derive(Debug, Clone)]
pub struct Left {
    /// Which.
    pub id: Uuid,
    /// As it is, where it is there.
    pub job: Option<Model>,
    /// Why.
    pub reason: LeftReason,
    /// More about why.
    pub detail: Option<String>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Steered {
    /// Jobs that were changed, as they are now.
    pub changed: Vec<Model>,
    /// Jobs that were left.
    pub left: Vec<Left>,
    /// The filter finds more than were looked at.
    pub has_more: bool,
}

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
    let Some(job) = lock(&tx, kinds, tenant, id).await? else { return left(None, LeftReason::NotFound, None) };
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
async fn lock(tx: &Transaction, kinds: &Kinds, tenant: TenantId, id: Uuid) -> Result<Option<Model>> {
    let Some(job) = jobs::by_ids(tx, tenant, &[id]).await?.remove(&id) else { return Ok(None) };
    if let Some(handler) = kinds.handler(&job.kind) {
        handler.lock(tx, &job).await?;
    }
    jobs::lock(tx, tenant, id).await
}

type Refusal = Option<(LeftReason, Option<String>)>;

async fn cancel(tx: &Transaction, kinds: &Kinds, job: &Model) -> Result<Refusal> {
    if job.state.is_terminal() {
        return Ok(Some((LeftReason::Finished, None)));
    }
    jobs::cancel(tx, job).await?;
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
            jobs::bring_forward(tx, job).await?;
            return Ok(None);
        }
        JobState::Succeeded | JobState::Cancelled | JobState::Dead => {}
    }
    if let Some(handler) = kinds.handler(&job.kind)
        && let Some(reason) = handler.on_redrive(tx, job).await?
    {
        return Ok(Some((LeftReason::Superseded, Some(reason))));
    }
    jobs::redrive(tx, job, attempts).await?;
    Ok(None)
}

async fn set_priority(tx: &Transaction, job: &Model, priority: i16) -> Result<Refusal> {
    if job.state.is_terminal() {
        return Ok(Some((LeftReason::Finished, None)));
    }
    if job.priority == priority {
        return Ok(Some((LeftReason::Unchanged, None)));
    }
    jobs::set_priority(tx, job, priority).await?;
    Ok(None)
}

/// Stops a queue from starting jobs, or lets it go on; running jobs run on. False where it was so already.
pub async fn set_paused(store: &Store, queue: &str, is_paused: bool) -> Result<bool> {
    let tx = store.begin().await?;
    let changed = queues::set_paused(&tx, queue, is_paused).await?;
    tx.commit().await.doing("pause or resume the queue")?;
    Ok(changed)
}

/// Cancels every unfinished job of a document whose row the caller has locked, in the caller's transaction.
pub async fn cancel_of_document(tx: &Transaction, kinds: &Kinds, tenant: TenantId, document: Uuid) -> Result<()> {
    for id in jobs::unfinished_of(tx, tenant, document).await? {
        if let Some(job) = jobs::lock(tx, tenant, id).await? {
            cancel(tx, kinds, &job).await?;
        }
    }
    Ok(())
}
