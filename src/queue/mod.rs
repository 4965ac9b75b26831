//! The queue: apalis workers over our own `jobs` table. The only room that names apalis.
//!
//! A job is enqueued in the transaction of the rows it is about ([`crate::store::jobs::enqueue`]). Here it is taken
//! under a lease, run, and settled: done, put back with backoff, or dead. What a kind of job does is its handler's
//! business; handlers are given by [`crate::app`].

mod backend;
mod backoff;
mod leases;
mod settle;
pub mod worker;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};
use crate::store::Transaction;
use crate::store::entity::job;

pub use leases::{Leases, sweep};
pub use worker::{Queue, WorkerSettings};

/// What a kind of job does. Every method may run twice for the same job after a crash and must not mind.
#[async_trait]
pub trait Handler: Send + Sync + 'static {
    /// Does the work. Commits its progress step by step and, where its result is rows, ends the job in the same
    /// transaction ([`crate::store::jobs::succeed`]).
    async fn run(&self, job: &ActiveJob) -> Result<()>;

    /// Tells the world, in the transaction that puts the job back, that another attempt follows.
    async fn on_retry(&self, _tx: &Transaction, _job: &job::Model, _error: &Error) -> Result<()> {
        Ok(())
    }

    /// Tells the world, in the transaction that ends the job, that it failed for good.
    async fn on_dead(&self, _tx: &Transaction, _job: &job::Model, _error: &Error) -> Result<()> {
        Ok(())
    }
}

/// A job under a lease of this process.
#[derive(Debug, Clone)]
pub struct ActiveJob {
    /// The row as it was when taken; holder and attempt are the lease.
    pub row: job::Model,
    /// Cancelled when the process stops or the lease is lost: give up at the next step.
    pub stop: CancellationToken,
}

impl ActiveJob {
    /// Between two steps: an error where the work should be given up.
    pub fn check(&self) -> Result<()> {
        if self.stop.is_cancelled() { Err(Error::interrupted()) } else { Ok(()) }
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

    fn get(&self, kind: &str) -> Option<&Arc<dyn Handler>> {
        self.0.get(kind)
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
