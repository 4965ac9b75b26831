//! Leases of this process: renewed by one task in one statement, whatever the workers do; and the leases of lost
//! processes, taken up again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{Handlers, settle};
use crate::error::{Code, Error, Result};
use crate::store::entity::job;
use crate::store::{Store, jobs};

/// The leases that this process holds.
#[derive(Debug, Clone)]
pub struct Leases {
    /// This process, anew at every start.
    pub holder: Uuid,
    /// How long a lease lasts without renewal.
    pub duration: Duration,
    stop: CancellationToken,
    held: Arc<Mutex<HashMap<(Uuid, i32), CancellationToken>>>,
}

impl Leases {
    /// No lease yet. `stop` cancelled cancels all jobs.
    pub fn new(duration: Duration, stop: CancellationToken) -> Self {
        Self { holder: Uuid::now_v7(), duration, stop, held: Arc::default() }
    }

    /// Notes a job taken; the token is cancelled when the lease is lost or the process stops.
    pub(super) fn watch(&self, job: &job::Model) -> CancellationToken {
        let token = self.stop.child_token();
        self.lock().insert((job.id, job.attempts), token.clone());
        token
    }

    /// Notes a job settled.
    pub(super) fn forget(&self, job: &job::Model) {
        self.lock().remove(&(job.id, job.attempts));
    }

    /// How many jobs this process runs.
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Renews for ever. A database that does not answer is tried again; when it stays away longer than the lease,
    /// the jobs end by their fences.
    pub async fn keep(self, store: Store, interval: Duration) -> Result<()> {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let asked: Vec<_> = self.lock().keys().copied().collect();
            if asked.is_empty() {
                continue;
            }
            let jobs = asked.iter().map(|(id, _)| *id).collect();
            match jobs::renew(store.db(), self.holder, self.duration, jobs).await {
                Ok(kept) => self.drop_lost(&asked, &kept),
                Err(error) => tracing::warn!(cause = ?error.cause, "{error}"),
            }
        }
    }

    fn drop_lost(&self, asked: &[(Uuid, i32)], kept: &[(Uuid, i32)]) {
        let mut held = self.lock();
        for lease in asked.iter().filter(|lease| !kept.contains(lease)) {
            if let Some(token) = held.remove(lease) {
                token.cancel();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Uuid, i32), CancellationToken>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Jobs looked at per sweep: after a crash of many workers the rest is done by the next one.
const SWEEP_LIMIT: u64 = 1000;

/// Puts back, or ends as dead, the jobs whose worker is gone. Any number of processes may sweep at once.
/// Gives how many it found.
pub async fn sweep(store: &Store, handlers: &Handlers, backoff: super::backoff::Backoff) -> Result<usize> {
    let mut found = 0;
    for id in jobs::expired(store.db(), SWEEP_LIMIT).await? {
        let tx = store.begin().await?;
        let Some(job) = jobs::lock_expired(&tx, id).await? else { continue };
        tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempts, "a worker was lost; its job is taken up again");
        let lost = Error { code: Code::Unavailable, ..Error::lease_lost() };
        settle::failed(tx, handlers, backoff, &job, &lost).await?;
        found += 1;
    }
    Ok(found)
}
