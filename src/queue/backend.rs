//! Our `jobs` table as an apalis backend.
//!
//! `Persisted` polls its heartbeat and its acknowledgements only while its worker asks for more, so neither is used:
//! leases are renewed by [`super::leases`], and a job's end is written by its handler. What is left for apalis is
//! fetching, running and draining.

use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use apalis_core::backend::persistence::{Persisted, Persistence, TaskEvent};
use apalis_core::backend::{Backend, BackendConfig, finalize::Ephemeral};
use apalis_core::task::Task;
use apalis_core::worker::context::WorkerContext;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tower::layer::util::Identity;
use tracing::Instrument;
use uuid::Uuid;

use super::lease::Claim;
use super::leases::Leases;
use super::take::take;
use super::worker::Worker;
use super::{ActiveJob, Kinds, queues};
use crate::causes::warn_of;
use crate::error::{Error, Result};
use crate::lock::lock;
use crate::store::Store;
use crate::store::listen::{JOB_EVENTS_CHANNEL, JOBS_CHANNEL, Signals, Waiter};

/// A taken job with the slot that it occupies until it is dropped.
#[derive(Debug, Clone)]
pub struct TakenJob {
    /// The job.
    pub job: ActiveJob,
    _slot: Arc<OwnedSemaphorePermit>,
}

/// How long a free slot waits for others while some are taken. Short jobs end together, and one statement takes the next
/// ones for all of them; long jobs do not notice.
const GATHER: Duration = Duration::from_millis(1);

/// Takes jobs of one queue, never more than can start at once.
#[derive(Debug, Clone)]
pub struct JobSource {
    queue: &'static str,
    store: Store,
    signals: Signals,
    leases: Leases,
    kinds: Kinds,
    slots: Arc<Semaphore>,
    concurrency: usize,
    poll: Duration,
    /// Tenants take turns; this one was served last.
    last_tenant: Arc<Mutex<Uuid>>,
}

impl JobSource {
    /// A worker's source: its queue, with as many slots as that has.
    pub(super) fn new(worker: &Worker) -> Self {
        let (queue, settler) = (worker.queue, &worker.settler);
        Self {
            queue: queue.name,
            store: settler.store.clone(),
            signals: worker.signals.clone(),
            leases: worker.leases.clone(),
            kinds: settler.kinds.clone(),
            slots: Arc::new(Semaphore::new(queue.concurrency)),
            concurrency: queue.concurrency,
            poll: settler.settings.poll,
            last_tenant: Arc::default(),
        }
    }

    /// Waits until there is a job and a slot for it. A database that does not answer is waited for.
    async fn take(&self) -> Vec<TakenJob> {
        // Under limits and circuits also the end of another job makes room.
        let mut ends: Option<Waiter> = None;
        loop {
            let slots = self.free_slots().await;
            let mut waiter = self.signals.join(JOBS_CHANNEL, self.queue);
            match self.lease(slots).await {
                Ok(taken) if !taken.is_empty() => return taken,
                Ok(_) => {}
                Err(error) => warn_of!(error, queue = self.queue),
            }
            if ends.is_none() && self.is_under_rules().await {
                // Looks again: a job may have ended before this listened.
                ends = Some(self.signals.join(JOB_EVENTS_CHANNEL, self.queue));
                continue;
            }
            let end = async {
                match &mut ends {
                    Some(ends) => ends.signal().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = waiter.signal() => {}
                () = end => {}
                () = tokio::time::sleep(self.poll) => {}
            }
        }
    }

    async fn is_under_rules(&self) -> bool {
        let obstacles = queues::obstacles(self.store.db(), self.queue).await;
        obstacles.is_ok_and(|obstacles| obstacles.has_rules && !obstacles.is_paused)
    }

    /// At least one slot, and as many more as are free within a moment.
    async fn free_slots(&self) -> Vec<OwnedSemaphorePermit> {
        let acquire = || self.slots.clone().acquire_owned();
        let mut slots = vec![acquire().await.expect("the semaphore is never closed")];
        let others = u32::try_from(self.concurrency - 1).unwrap_or(u32::MAX);
        let _ = tokio::time::timeout(GATHER, self.slots.acquire_many(others)).await;
        slots.extend(std::iter::from_fn(|| self.slots.clone().try_acquire_owned().ok()));
        slots
    }

    async fn lease(&self, slots: Vec<OwnedSemaphorePermit>) -> Result<Vec<TakenJob>> {
        let after_tenant = *lock(&self.last_tenant);
        let Leases { holder, duration: lease, .. } = self.leases;
        let claim = Claim { queue: self.queue, holder, lease, limit: slots.len(), after_tenant };
        let (store, taking) = (self.store.clone(), self.leases.taking().await);
        // In a task of its own: a statement that has been sent takes jobs also where nobody waits for it any more, and they
        // would be given back too early.
        let take = async move {
            let _taking = taking;
            take(&store, claim).await
        };
        let taken = tokio::spawn(take.in_current_span()).await;
        let rows = taken.map_err(|panic| Error::internal("take jobs", panic))??;
        if let Some(last) = rows.last() {
            *lock(&self.last_tenant) = last.tenant_id;
        }
        let watched = rows.into_iter().map(|row| self.leases.watch(row, self.kinds.clone()));
        Ok(watched.zip(slots).map(|(job, slot)| TakenJob { job, _slot: Arc::new(slot) }).collect())
    }
}

/// Never made: every fault is waited out in [`JobSource::take`].
#[derive(Debug, thiserror::Error)]
pub enum Never {}

impl Persistence for JobSource {
    type Compact = TakenJob;
    type Response = ();
    type Error = Never;

    async fn register(&mut self, _: &WorkerContext) -> Result<(), Never> {
        Ok(())
    }

    async fn heartbeat(&mut self, _: &WorkerContext) -> Result<(), Never> {
        Ok(())
    }

    async fn fetch_next(&mut self, _: &WorkerContext) -> Result<Vec<Task<TakenJob>>, Never> {
        Ok(self.take().await.into_iter().map(Task::new).collect())
    }

    /// Nothing: the leases of all jobs that were not settled are given back when the process stops.
    async fn reenqueue_abandoned(&mut self, tasks: Vec<Task<TakenJob>>, _: &WorkerContext) -> Result<u64, Never> {
        Ok(tasks.len() as u64)
    }

    async fn handle_events(&mut self, _: Vec<TaskEvent<()>>, _: &WorkerContext) -> Result<(), Never> {
        Ok(())
    }

    /// Nothing is pushed through apalis: jobs are enqueued in the transaction of their rows.
    async fn push_tasks(&mut self, _: Vec<Task<TakenJob>>) -> Result<(), Never> {
        Ok(())
    }
}

/// apalis's `Persisted` over a [`JobSource`], as a backend.
pub struct JobBackend(Persisted<JobSource>);

/// `Persisted` wants an interval for the heartbeat that we do not use.
const UNUSED_HEARTBEAT: Duration = Duration::from_secs(3600);

impl JobBackend {
    /// A backend over a source.
    pub fn new(source: JobSource) -> Self {
        Self(Persisted::new(source))
    }
}

impl Backend for JobBackend {
    type Task = Task<TakenJob>;
    type Error = Never;

    fn poll_ready(&mut self, cx: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Never>> {
        self.0.poll_ready(cx, worker, UNUSED_HEARTBEAT)
    }

    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
        worker: &WorkerContext,
    ) -> Poll<Option<Result<Task<TakenJob>, Never>>> {
        self.0.poll_next(cx, worker)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>, worker: &WorkerContext) -> Poll<Result<(), Never>> {
        self.0.poll_close(cx, worker)
    }
}

impl BackendConfig for JobBackend {
    type Args = TakenJob;
    type Id = uuid::Uuid;
    // Not what it says: only that tasks come as they are run, without a codec of apalis's own.
    type Kind = Ephemeral;
    type Config = ();
    type Layer = Identity;

    fn config(&self) -> &() {
        &()
    }

    fn middleware(&mut self, _: &mut WorkerContext) -> Identity {
        Identity::new()
    }
}
