//! How a failed attempt ends: put back with backoff, or dead; either way in one transaction with what its handler
//! tells the world.

use super::Handlers;
use super::backoff::Backoff;
use crate::error::{Error, Result};
use crate::store::entity::job;
use crate::store::{Doing, Transaction, jobs};

/// Settles a failed attempt. The error decides: a transient one is tried again until `max_attempts`.
pub async fn failed(
    tx: Transaction,
    handlers: &Handlers,
    backoff: Backoff,
    job: &job::Model,
    error: &Error,
) -> Result<()> {
    let handler = handlers.get(&job.kind);
    let (code, message) = (error.code.as_str(), error.message.as_str());
    if error.code.is_transient() && job.attempts < job.max_attempts {
        let wait = backoff.wait(job.attempts.cast_unsigned(), rand::random());
        jobs::retry(&tx, job, wait, code, message).await?;
        if let Some(handler) = handler {
            handler.on_retry(&tx, job, error).await?;
        }
    } else {
        jobs::bury(&tx, job, code, message).await?;
        if let Some(handler) = handler {
            handler.on_dead(&tx, job, error).await?;
        }
    }
    tx.commit().await.doing("settle the job")
}
