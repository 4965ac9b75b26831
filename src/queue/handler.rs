//! What a kind of job does: the side of the queue that use cases fill in.

use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use super::Kinds;
use crate::error::{Error, Result};
use crate::store::Transaction;
use crate::store::entity::job;

/// One of the steps that a job takes in order. A finished one is never done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// Its name, stable.
    pub name: &'static str,
    /// Longest time of an attempt at it, where that is less than `queue.job_timeout_ms`.
    pub timeout: Option<Duration>,
    /// Attempts at it after which the job is dead; `queue.max_attempts` where not given.
    pub max_attempts: Option<u32>,
}

impl Step {
    /// A step with the queue's own limits.
    pub const fn new(name: &'static str) -> Self {
        Self { name, timeout: None, max_attempts: None }
    }
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq)]
pub enum StepEnd {
    /// Done; this is its result, which the queue stores.
    Done(Json),
    /// Done, and stored by the handler in the transaction of its result ([`super::steps::finish_step`]).
    Stored,
    /// The whole job is done, and the handler has ended it in the transaction of its result.
    JobEnded,
}

/// What a kind of job does. Every method may run twice for the same job after a crash and must not mind.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Its steps in order; one by default. Asked once.
    fn steps(&self) -> Vec<Step> {
        vec![Step::new("run")]
    }

    /// Does a step. Commits its progress under the job's lease and, where its result is rows, ends the step or the job
    /// in the same transaction.
    async fn run(&self, job: &ActiveJob, step: &'static str) -> Result<StepEnd>;

    /// Locks the rows that the job is about. Called before the job's own row is locked, so that everyone locks in the
    /// same order.
    async fn lock(&self, _tx: &Transaction, _job: &job::Model) -> Result<()> {
        Ok(())
    }

    /// Tells the world, in the transaction that puts the job back, that another attempt follows.
    async fn on_retry(&self, _tx: &Transaction, _job: &job::Model, _error: &Error) -> Result<()> {
        Ok(())
    }

    /// Tells the world, in the transaction that ends the job, that it failed for good.
    async fn on_dead(&self, _tx: &Transaction, _job: &job::Model, _error: &Error) -> Result<()> {
        Ok(())
    }

    /// Undoes, in the transaction that cancels the job, what it has done so far.
    async fn on_cancel(&self, _tx: &Transaction, _job: &job::Model) -> Result<()> {
        Ok(())
    }

    /// Prepares, in the transaction that redrives the finished job, that it runs again; or says why it should not.
    async fn on_redrive(&self, _tx: &Transaction, _job: &job::Model) -> Result<Option<String>> {
        Ok(None)
    }
}

/// A job under a lease of this process.
#[derive(Debug, Clone)]
pub struct ActiveJob {
    /// The row as it was when taken; `lease_token` is the fence.
    pub row: job::Model,
    /// Every kind of job: for one that ends others.
    pub kinds: Kinds,
    /// Cancelled when the process stops or the lease is lost: give up at the next step.
    pub stop: CancellationToken,
    /// Cancelled when the lease is lost alone: nothing that is still made can be kept.
    pub lost: CancellationToken,
}

impl ActiveJob {
    /// Between two steps: an error where the work should be given up.
    pub fn check(&self) -> Result<()> {
        if self.stop.is_cancelled() { Err(Error::interrupted()) } else { Ok(()) }
    }

    /// Does work that is dropped at once where the lease is lost, as when the job is cancelled. A process that stops lets
    /// it end within its grace: what a provider is paid for is kept, and not asked for again.
    pub async fn unless_lost<T, E: Into<Error>>(&self, work: impl Future<Output = Result<T, E>>) -> Result<T> {
        let done = self.lost.run_until_cancelled(work).await.ok_or_else(Error::lease_lost)?;
        done.map_err(Into::into)
    }
}
