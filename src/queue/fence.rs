//! What a worker writes under its lease. Every such change names the lease, so that a worker that lost it changes nothing.
//! Which state may follow which is the database's own rule (migration `m0025_job_rules`).

use sea_orm::{ConnectionTrait, Value};

use crate::error::{Error, Result};
use crate::store::entity::job::Model;
use crate::store::listen::JOB_EVENTS_CHANNEL;
use crate::store::{Transaction, execute};

/// `RUNNING`, told by the holder: asked for by state, a plan could walk all running jobs instead of looking up the few
/// that are named.
pub(super) const IS_LEASED: &str = "lease_holder IS NOT NULL";

/// Changes a job under its lease; `LEASE_LOST` where the lease is not the worker's any more.
pub(super) async fn change(
    db: &impl ConnectionTrait,
    job: &Model,
    doing: &'static str,
    set: &str,
    values: impl IntoIterator<Item = Value>,
) -> Result<()> {
    let sql = format!("UPDATE jobs SET {set} WHERE id = $1 AND lease_token = $2 AND {IS_LEASED}");
    let lease = [job.id.into(), job.lease_token.into()];
    match execute(db, doing, sql, lease.into_iter().chain(values)).await? {
        0 => Err(Error::lease_lost()),
        _ => Ok(()),
    }
}

/// The fence of a transaction that changes nothing else of the job: nothing commits without the lease.
pub async fn confirm(db: &impl ConnectionTrait, job: &Model) -> Result<()> {
    change(db, job, "confirm the lease", "lease_until = lease_until", []).await
}

/// Writes how far the job is. In a transaction it is also the fence: nothing commits without the lease.
pub async fn set_progress(tx: &Transaction, job: &Model, done: u32, total: u32, unit: &str) -> Result<()> {
    let values = [i64::from(done).into(), i64::from(total).into(), unit.into()];
    let set = "progress_done = $3, progress_total = $4, progress_unit = $5";
    change(tx, job, "write the job's progress", set, values).await?;
    tx.ring(JOB_EVENTS_CHANNEL, job.id);
    Ok(())
}

/// What a job under a lease no longer has when that ends.
pub(super) const NO_LEASE: &str = "lease_holder = NULL, lease_until = NULL";

/// Wakes who follows the job or its queue.
pub(super) fn tell(tx: &Transaction, job: &Model) {
    tx.ring(JOB_EVENTS_CHANNEL, job.id);
    tx.ring(JOB_EVENTS_CHANNEL, &*job.queue);
}
