//! How a job ends well: in the transaction of its result, or, where that is not rows, many at a time: while one statement
//! is on its way, the next ones gather. A job whose end is lost in a crash runs again, as any job may.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::fence::{IS_LEASED, NO_LEASE, change, tell};
use super::leases::Leases;
use crate::causes::warn_of;
use crate::error::Result;
use crate::store::entity::job;
use crate::store::{Store, Transaction, execute};

/// What a job that ends well gets.
const SUCCEEDED: &str = "state = 'SUCCEEDED', finished_at = now(), error_code = NULL, error_message = NULL,
    progress_done = coalesce(progress_total, progress_done)";

/// Ends the job as done, in the transaction of its result.
pub async fn succeed(tx: &Transaction, job: &job::Model) -> Result<()> {
    change(tx, job, "end the job", &format!("{SUCCEEDED}, {NO_LEASE}"), []).await?;
    tell(tx, job);
    Ok(())
}

/// Jobs that ended well without a transaction of their own: id, lease and queue.
pub type Ended = (Uuid, Option<Uuid>, String);

/// Ends many jobs as done in one statement. Those whose lease was lost, or that their handler ended, are left alone.
pub async fn succeed_all(store: &Store, ended: &[Ended]) -> Result<()> {
    let (ids, leases): (Vec<Uuid>, Vec<Uuid>) =
        ended.iter().filter_map(|(id, lease, _)| Some((*id, (*lease)?))).unzip();
    let sql = format!(
        "UPDATE jobs SET {SUCCEEDED}, {NO_LEASE} FROM unnest($1::uuid[], $2::uuid[]) AS ended (id, lease)
         WHERE jobs.id = ended.id AND jobs.lease_token = ended.lease AND {IS_LEASED}"
    );
    execute(store.db(), "end jobs", sql, [ids.into(), leases.into()]).await?;
    let mut by_queue: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for (id, _, queue) in ended {
        by_queue.entry(queue).or_default().push(*id);
    }
    for (queue, jobs) in by_queue {
        store.bell().ring_jobs(queue, jobs.into_iter());
    }
    Ok(())
}

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
        let ended: Vec<Ended> = batch.iter().map(|job| (job.id, job.lease_token, job.queue.clone())).collect();
        while let Err(error) = succeed_all(&store, &ended).await {
            warn_of!(error);
            if stop.is_cancelled() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        batch.drain(..).for_each(|job| leases.forget(&job));
    }
}
