//! Why jobs wait, where they stand in their line, and when they may start. A job that waits is starved, held back or
//! early, but never stalled: only a lease can run out.

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use crate::error::Result;
use crate::queue::admit::Rules;
use crate::queue::circuits::{self, Circuit};
use crate::queue::limits::{self, Limit, RunningRow};
use crate::queue::place::{Place, places};
use crate::queue::processes::{self, WorkerRow};
use crate::queue::queues::{self, QueueState};
use crate::store::entity::job::{JobState, Model};
use crate::store::{Store, TenantId};

/// A job that waits.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "columns of `jobs`")]
pub struct Waiting {
    pub id: Uuid,
    pub queue: String,
    pub kind: String,
    pub provider: Option<String>,
    pub state: JobState,
    pub run_at: DateTime<Utc>,
}

impl Waiting {
    /// What is asked of a job; `None` where it does not wait.
    pub fn of(job: &Model) -> Option<Self> {
        let waits = matches!(job.state, JobState::Scheduled | JobState::Pending | JobState::Retrying);
        waits.then(|| Self {
            id: job.id,
            queue: job.queue.clone(),
            kind: job.kind.clone(),
            provider: job.provider.clone(),
            state: job.state,
            run_at: job.run_at,
        })
    }
}

/// Why a job waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WaitReason {
    /// Others come first.
    Queued,
    /// Its time was chosen and has not come.
    Scheduled,
    /// An attempt failed, and the pause before the next is not over.
    Backoff,
    /// Its queue is paused.
    QueuePaused,
    /// A limit on its queue, kind, provider or tenant is used up.
    Limited,
    /// Its provider is left alone for a while.
    CircuitOpen,
    /// No worker process for its queue was seen of late.
    NoWorkers,
}

/// How a job waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Wait {
    /// Why.
    pub reason: WaitReason,
    /// 1 is next; only for those that wait for a worker.
    pub position: Option<u64>,
    /// False where so many are before it that they were not counted to the end.
    pub is_position_exact: bool,
    /// When it may start, where that can be told.
    pub expected_start_at: Option<DateTime<Utc>>,
}

/// What bounds the answer.
#[derive(Debug, Clone, Copy)]
pub struct WaitSettings {
    /// Time within which a worker process must have been seen.
    pub lease: Duration,
    /// Jobs ahead, up to which they are counted.
    pub position_limit: u64,
}

/// How each of the jobs waits, in a number of statements that does not depend on theirs.
pub async fn waits(
    store: &Store,
    tenant: TenantId,
    waiting: &[Waiting],
    settings: WaitSettings,
    now: DateTime<Utc>,
) -> Result<HashMap<Uuid, Wait>> {
    let db = store.db();
    let mut names: Vec<&str> = waiting.iter().map(|job| job.queue.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let pending: Vec<Uuid> = waiting.iter().filter(|job| job.state == JobState::Pending).map(|job| job.id).collect();
    let seen = Seen {
        tenant,
        now,
        settings,
        queues: queues::states(db, &names, false).await?,
        workers: processes::all(db).await?,
        circuits: circuits::all(db).await?,
        limits: limits::all(db).await?,
        running: limits::running(db).await?,
        places: places(db, tenant, &pending, settings.position_limit).await?,
    };
    Ok(waiting.iter().map(|job| (job.id, seen.wait(job))).collect())
}

/// Everything that may hold a job back.
struct Seen {
    tenant: TenantId,
    now: DateTime<Utc>,
    settings: WaitSettings,
    queues: Vec<QueueState>,
    workers: Vec<WorkerRow>,
    circuits: Vec<Circuit>,
    limits: Vec<Limit>,
    running: Vec<RunningRow>,
    places: HashMap<Uuid, Place>,
}

/// Below it, in jobs per second, a rate is what is left of earlier times and tells nothing.
const RATE_FLOOR: f64 = 0.001;

impl Seen {
    fn wait(&self, job: &Waiting) -> Wait {
        let reason = self.reason(job);
        let ahead = self.places.get(&job.id).map(|place| place.ahead.cast_unsigned());
        Wait {
            reason,
            position: ahead.map(|ahead| ahead + 1),
            is_position_exact: ahead.is_none_or(|ahead| ahead < self.settings.position_limit),
            expected_start_at: self.expected_start(job, reason, ahead),
        }
    }

    fn reason(&self, job: &Waiting) -> WaitReason {
        let rules = Rules::new(&job.queue, self.limits.clone(), &self.circuits, &self.running, self.now);
        let is_left_alone = job.provider.as_deref().is_some_and(|provider| rules.is_left_alone(provider));
        match job.state {
            JobState::Scheduled => WaitReason::Scheduled,
            _ if self.is_paused(job) => WaitReason::QueuePaused,
            _ if self.slots(job) == 0 => WaitReason::NoWorkers,
            _ if is_left_alone => WaitReason::CircuitOpen,
            JobState::Retrying => WaitReason::Backoff,
            _ if rules.is_limited(&job.kind, job.provider.as_deref(), self.tenant) => WaitReason::Limited,
            _ => WaitReason::Queued,
        }
    }

    fn expected_start(&self, job: &Waiting, reason: WaitReason, ahead: Option<u64>) -> Option<DateTime<Utc>> {
        if self.is_paused(job) || self.slots(job) == 0 {
            return None;
        }
        let open_until = self.circuit(job).and_then(|circuit| circuit.open_until).filter(|until| *until > self.now);
        match reason {
            WaitReason::Scheduled | WaitReason::Backoff => Some(job.run_at),
            WaitReason::CircuitOpen if job.state == JobState::Retrying => Some(job.run_at).max(open_until),
            WaitReason::CircuitOpen => open_until,
            WaitReason::Queued => self.after(job, ahead?),
            WaitReason::QueuePaused | WaitReason::Limited | WaitReason::NoWorkers => None,
        }
    }

    /// When a job starts that has so many before it: at once while slots are free, otherwise as fast as its queue goes.
    #[expect(clippy::cast_precision_loss, reason = "positions are counted to a million at most")]
    fn after(&self, job: &Waiting, ahead: u64) -> Option<DateTime<Utc>> {
        let queue = self.queue(job)?;
        let free = self.slots(job) - queue.depth(JobState::Running);
        if i64::try_from(ahead).is_ok_and(|ahead| ahead < free) {
            return Some(self.now);
        }
        if queue.rate_per_s < RATE_FLOOR {
            return None;
        }
        let wait = Duration::try_from_secs_f64((ahead + 1) as f64 / queue.rate_per_s).ok()?;
        self.now.checked_add_signed(TimeDelta::from_std(wait).ok()?)
    }

    fn queue(&self, job: &Waiting) -> Option<&QueueState> {
        self.queues.iter().find(|queue| queue.name == job.queue)
    }

    fn is_paused(&self, job: &Waiting) -> bool {
        self.queue(job).is_some_and(|queue| queue.paused_at.is_some())
    }

    fn circuit(&self, job: &Waiting) -> Option<&Circuit> {
        self.circuits.iter().find(|circuit| Some(&circuit.provider) == job.provider.as_ref())
    }

    /// Jobs of the queue that living processes run at once.
    fn slots(&self, job: &Waiting) -> i64 {
        let alive = self.workers.iter().filter(|worker| worker.is_alive(self.settings.lease));
        alive.map(|worker| worker.slots_of(&job.queue)).sum()
    }
}
