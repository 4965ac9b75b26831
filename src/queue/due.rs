//! Jobs that wait for their time: each process looks when the next one is due, and lets it wait for a worker.

#![expect(clippy::disallowed_methods, reason = "a job is due by the clock of its process")]

use std::time::Duration;

use chrono::Utc;

use crate::causes::warn_of;
use crate::error::Result;
use crate::store::listen::{DUE, JOBS_CHANNEL, Signals};
use crate::store::{Store, jobs};

/// Promotes for ever. A database that does not answer is waited for.
pub async fn promote(store: Store, signals: Signals, poll: Duration) -> Result<()> {
    loop {
        let mut waiter = signals.join(JOBS_CHANNEL, DUE);
        let wait = match until_next(&store).await {
            Ok(wait) => wait.map_or(poll, |wait| wait.min(poll)),
            Err(error) => {
                warn_of!(error);
                poll
            }
        };
        let _ = tokio::time::timeout(wait, waiter.signal()).await;
    }
}

/// Promotes what is due; gives how long until more is.
async fn until_next(store: &Store) -> Result<Option<Duration>> {
    while jobs::promote_due(store).await? > 0 {}
    let next = jobs::next_due(store.db()).await?;
    Ok(next.map(|at| (at - Utc::now()).to_std().unwrap_or_default() + CLOCK_STEP))
}

/// A look that comes a moment early would find nothing and look again at once.
const CLOCK_STEP: Duration = Duration::from_millis(1);
