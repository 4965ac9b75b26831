//! The queue: apalis workers over our own `jobs` table. The only room that names apalis.
//!
//! A job is enqueued in the transaction of the rows it is about ([`crate::store::jobs::enqueue`]). Here it is taken
//! under a lease, run step by step, and settled: done, put back with backoff, left to wait for its provider, or dead.
//! Others may cancel, redrive or prefer it ([`steer`]). What a kind of job does is its handler's business; handlers are
//! given by [`crate::app`].

mod admit;
mod backend;
mod backoff;
mod due;
mod finish;
mod leases;
mod settle;
pub mod steer;
mod take;
pub mod wait;
pub mod worker;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::store::Transaction;
use crate::store::entity::job;

pub use admit::full as full_bucket;
pub use backoff::Backoff;
pub use due::promote;
pub use finish::{Finisher, keep_finishing};
pub use leases::{Leases, sweep};
pub use settle::Settler;
pub use take::take;
pub use worker::{Queue, WorkerSettings};

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
    /// Done, and stored by the handler in the transaction of its result ([`crate::store::jobs::finish_step`]).
    Stored,
    /// The whole job is done, and the handler has ended it in the transaction of its result.
    JobEnded,
}

/// What a kind of job does. Every method may run twice for the same job after a crash and must not mind.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Its steps in order; one by default.
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

/// The handlers by kind.
#[derive(Clone, Default)]
pub struct Handlers(HashMap<&'static str, Arc<dyn Handler>>);

impl Handlers {
    /// With one more.
    #[must_use]
    pub fn with(mut self, kind: &'static str, handler: impl Handler) -> Self {
        self.0.insert(kind, Arc::new(handler));
        self
    }

    /// The handler of a kind.
    pub fn get(&self, kind: &str) -> Option<&Arc<dyn Handler>> {
        self.0.get(kind)
    }

    /// Every kind, in order.
    pub fn kinds(&self) -> Vec<&'static str> {
        let mut kinds: Vec<_> = self.0.keys().copied().collect();
        kinds.sort_unstable();
        kinds
    }
}

/// Decodes a job's payload, or says which kind and version cannot be read.
pub fn payload<T: serde::de::DeserializeOwned>(job: &job::Model, version: i32) -> Result<T> {
    let unreadable = |cause: anyhow::Error| {
        let cause = cause.context(format!("payload of `{}` version {}", job.kind, job.payload_version));
        Error::input("job.payload", format!("{cause:#}"), format!("version {version}"))
    };
    if job.payload_version != version {
        return Err(unreadable(anyhow::anyhow!("unknown version")));
    }
    serde_json::from_value(job.payload.clone()).map_err(|cause| unreadable(cause.into()))
}
