//! How a failed attempt ends: put back with backoff, left to wait for its provider or for room on the disk, or dead; in
//! one transaction with what its handler tells the world.

#![expect(clippy::disallowed_methods, reason = "a job is due by the clock of its process")]

use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::Value;

use super::fence::{NO_LEASE, change, tell};
use super::{Kinds, WorkerSettings, circuits, leases, steps};
use crate::error::{Code, Error, Result};
use crate::store::entity::job;
use crate::store::listen::{DUE, JOBS_CHANNEL};
use crate::store::{Doing, Store, Transaction, millis};

/// What settling needs.
#[derive(Clone)]
pub struct Settler {
    /// The database.
    pub store: Store,
    /// Who tells the world.
    pub kinds: Kinds,
    /// Waits and circuits.
    pub settings: WorkerSettings,
}

impl Settler {
    /// Settles a failed attempt. The error decides: a transient one is tried again while attempts are left, at the
    /// job and at its step; while a provider's circuit is open, or the disk is full, jobs wait and lose no attempt.
    pub async fn failed(&self, job: &job::Model, stage: &str, error: &Error) -> Result<()> {
        let tx = self.begin(job).await?;
        self.settle(tx, job, stage, error).await
    }

    /// Settles an attempt whose worker is gone; `LEASE_LOST` where it came back or somebody else was faster.
    pub async fn lost(&self, job: &job::Model) -> Result<()> {
        let tx = self.begin(job).await?;
        leases::confirm_expired(&tx, job).await?;
        let first = || self.kinds.steps(&job.kind).first().map(|step| step.name);
        let stage = job.stage.as_deref().or_else(first).unwrap_or_default();
        self.settle(tx, job, stage, &Error::worker_lost()).await
    }

    async fn begin(&self, job: &job::Model) -> Result<Transaction> {
        let tx = self.store.begin().await?;
        if let Some(handler) = self.kinds.handler(&job.kind) {
            handler.lock(&tx, job).await?;
        }
        Ok(tx)
    }

    async fn settle(&self, tx: Transaction, job: &job::Model, stage: &str, error: &Error) -> Result<()> {
        let handler = self.kinds.handler(&job.kind);
        let failed = Failed { code: error.code.as_str(), message: &error.message, stage: Some(stage) };
        let goes_on = if let Some(until) = self.not_before(&tx, job, error).await? {
            postpone(&tx, job, until, failed).await?;
            true
        } else if error.code.is_transient() && self.has_attempts(&tx, job, stage, error).await? {
            let wait = self.settings.backoff.wait(job.attempts.cast_unsigned(), rand::random());
            retry(&tx, job, wait.max(error.retry_after.unwrap_or_default()), failed).await?;
            true
        } else {
            bury(&tx, job, failed).await?;
            false
        };
        match handler {
            Some(handler) if goes_on => handler.on_retry(&tx, job, error).await?,
            Some(handler) => handler.on_dead(&tx, job, error).await?,
            None => {}
        }
        tx.commit().await.doing("settle the job")
    }

    /// Until when the job should wait where it is not the job that fails. Counts the failure where a provider is at fault.
    async fn not_before(&self, tx: &Transaction, job: &job::Model, error: &Error) -> Result<Option<DateTime<Utc>>> {
        if error.code == Code::StorageFull {
            return Ok(Some(Utc::now() + self.settings.backoff.base));
        }
        let Some(provider) = job.provider.as_deref().filter(|_| error.code.is_providers()) else { return Ok(None) };
        let told = (error.code.as_str(), error.message.as_str());
        let until = circuits::note_failure(tx, provider, self.settings.circuits, error.retry_after, told).await?;
        Ok(until.filter(|until| *until > Utc::now()))
    }

    async fn has_attempts(&self, tx: &Transaction, job: &job::Model, stage: &str, error: &Error) -> Result<bool> {
        let known = self.kinds.steps(&job.kind);
        let step = known.iter().find(|step| step.name == stage).filter(|_| known.len() > 1);
        let of_step = match step {
            Some(step) => {
                let failures = steps::note_failure(tx, job.id, step.name, error.code.as_str(), &error.message).await?;
                step.max_attempts.is_none_or(|most| failures.unsigned_abs() < most)
            }
            None => true,
        };
        Ok(of_step && job.attempts < job.max_attempts)
    }
}

/// Why an attempt failed, and where.
#[derive(Debug, Clone, Copy)]
pub struct Failed<'a> {
    /// Stable code.
    pub code: &'a str,
    /// One sentence.
    pub message: &'a str,
    /// The step at which it failed.
    pub stage: Option<&'a str>,
}

/// What [`Failed::values`] are written to.
const FAILED: &str = "error_code = $3, error_message = $4, stage = coalesce($5, stage)";

impl Failed<'_> {
    fn values(self) -> [Value; 3] {
        [self.code.into(), self.message.into(), self.stage.map(str::to_owned).into()]
    }
}

/// Puts the job back for another attempt after a wait.
pub async fn retry(tx: &Transaction, job: &job::Model, wait: Duration, failed: Failed<'_>) -> Result<()> {
    let set = format!("state = 'RETRYING', {NO_LEASE}, {FAILED}, run_at = now() + $6 * interval '1 ms'");
    change(tx, job, "put the job back", &set, failed.values().into_iter().chain([millis(wait).into()])).await?;
    tx.ring(JOBS_CHANNEL, DUE);
    tell(tx, job);
    Ok(())
}

/// Lets the job wait until what it stands on is there again: its provider, or room on the disk. Not counted as an attempt:
/// it is not the job that fails.
pub async fn postpone(tx: &Transaction, job: &job::Model, until: DateTime<Utc>, failed: Failed<'_>) -> Result<()> {
    let set = format!("state = 'RETRYING', {NO_LEASE}, {FAILED}, run_at = $6, attempts = attempts - 1");
    change(tx, job, "put the job back", &set, failed.values().into_iter().chain([until.into()])).await?;
    tx.ring(JOBS_CHANNEL, DUE);
    tell(tx, job);
    Ok(())
}

/// Ends the job as failed for good.
pub async fn bury(tx: &Transaction, job: &job::Model, failed: Failed<'_>) -> Result<()> {
    let set = format!("state = 'DEAD', {NO_LEASE}, {FAILED}, finished_at = now()");
    change(tx, job, "end the job", &set, failed.values()).await?;
    tell(tx, job);
    Ok(())
}
