//! Jobs whose result is not rows are ended many at a time: while one statement is on its way, the next ones gather.
//! A job whose end is lost in a crash runs again, as any job may.

use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;

use super::leases::Leases;
use crate::causes::warn_of;
use crate::error::Result;
use crate::store::entity::job;
use crate::store::{Store, jobs};

/// Takes the jobs that are done.
#[derive(Debug, Clone)]
pub(super) struct Finisher(Sender<job::Model>);

/// Done jobs that wait for their end to be written; then workers wait.
const BACKLOG: usize = 4_096;
/// Ends per statement.
const AT_ONCE: usize = 1_024;
/// Between attempts to write while the database does not answer.
const PAUSE: Duration = Duration::from_millis(500);

impl Finisher {
    /// The finisher, and what it hands to [`keep_finishing`].
    pub fn new() -> (Self, Receiver<job::Model>) {
        let (sender, receiver) = mpsc::channel(BACKLOG);
        (Self(sender), receiver)
    }

    /// Hands a job over. Its lease is kept until its end is written.
    pub(super) async fn finish(&self, job: job::Model) {
        // Without a receiver the process is stopping, and the job is given back.
        let _ = self.0.send(job).await;
    }
}

/// Writes ends until every [`Finisher`] is gone or, after `stop`, the grace is over: a job that hangs keeps its own.
pub(super) async fn keep_finishing(
    mut done: Receiver<job::Model>,
    store: Store,
    leases: Leases,
    stop: CancellationToken,
    grace: Duration,
) -> Result<()> {
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::pin!(overdue);
    let mut batch = Vec::with_capacity(AT_ONCE);
    loop {
        let taken = tokio::select! {
            biased;
            taken = done.recv_many(&mut batch, AT_ONCE) => taken,
            () = &mut overdue => 0,
        };
        if taken == 0 {
            return Ok(());
        }
        let ended: Vec<jobs::Ended> = batch.iter().map(|job| (job.id, job.lease_token, job.queue.clone())).collect();
        while let Err(error) = jobs::succeed_all(&store, &ended).await {
            warn_of!(error);
            if stop.is_cancelled() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        batch.drain(..).for_each(|job| leases.forget(&job));
    }
}
