//! What a worker writes under its lease: progress, and how the attempt ended.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, Statement, prelude::DateTimeUtc};
use uuid::Uuid;

use super::millis;
use crate::error::{Error, Result};
use crate::store::entity::job::Model;
use crate::store::listen::{DUE, JOB_EVENTS_CHANNEL, JOBS_CHANNEL};
use crate::store::{Doing, Store, Transaction, execute};

/// `RUNNING`, told by the holder: asked for by state, a plan could walk all running jobs instead of looking up the few
/// that are named.
const IS_LEASED: &str = "lease_holder IS NOT NULL";

/// Changes a job under its lease; `LEASE_LOST` where the lease is not the worker's any more.
pub(super) async fn change(
    db: &impl ConnectionTrait,
    job: &Model,
    doing: &'static str,
    set: &str,
    values: impl IntoIterator<Item = sea_orm::Value>,
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

/// What a job that ends well gets.
const SET_SUCCEEDED: &str = "state = 'SUCCEEDED', lease_holder = NULL, lease_until = NULL, finished_at = now(),
    error_code = NULL, error_message = NULL, progress_done = coalesce(progress_total, progress_done)";

/// Ends the job as done, in the transaction of its result.
pub async fn succeed(tx: &Transaction, job: &Model) -> Result<()> {
    change(tx, job, "end the job", SET_SUCCEEDED, []).await?;
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
        "UPDATE jobs SET {SET_SUCCEEDED} FROM unnest($1::uuid[], $2::uuid[]) AS ended (id, lease)
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

/// Wakes who follows the job or its queue.
pub(super) fn tell(tx: &Transaction, job: &Model) {
    tx.ring(JOB_EVENTS_CHANNEL, job.id);
    tx.ring(JOB_EVENTS_CHANNEL, &*job.queue);
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

impl Failed<'_> {
    fn values(self) -> [sea_orm::Value; 3] {
        [self.code.into(), self.message.into(), self.stage.map(str::to_owned).into()]
    }
}

/// Puts the job back for another attempt after a wait.
pub async fn retry(tx: &Transaction, job: &Model, wait: Duration, failed: Failed<'_>) -> Result<()> {
    let set = "state = 'RETRYING', lease_holder = NULL, lease_until = NULL, error_code = $3, error_message = $4,
        stage = coalesce($5, stage), run_at = now() + $6 * interval '1 ms'";
    change(tx, job, "put the job back", set, failed.values().into_iter().chain([millis(wait).into()])).await?;
    tx.ring(JOBS_CHANNEL, DUE);
    tell(tx, job);
    Ok(())
}

/// Lets the job wait until what it stands on is there again: its provider, or room on the disk. Not counted as an attempt:
/// it is not the job that fails.
pub async fn postpone(tx: &Transaction, job: &Model, until: DateTimeUtc, failed: Failed<'_>) -> Result<()> {
    let set = "state = 'RETRYING', lease_holder = NULL, lease_until = NULL, error_code = $3, error_message = $4,
        stage = coalesce($5, stage), run_at = $6, attempts = attempts - 1";
    change(tx, job, "put the job back", set, failed.values().into_iter().chain([until.into()])).await?;
    tx.ring(JOBS_CHANNEL, DUE);
    tell(tx, job);
    Ok(())
}

/// Ends the job as failed for good.
pub async fn bury(tx: &Transaction, job: &Model, failed: Failed<'_>) -> Result<()> {
    let set = "state = 'DEAD', lease_holder = NULL, lease_until = NULL, finished_at = now(), error_code = $3,
        error_message = $4, stage = coalesce($5, stage)";
    change(tx, job, "end the job", set, failed.values()).await?;
    tell(tx, job);
    Ok(())
}

/// Gives back every lease of a process that stops, to be taken first. Not counted as attempts: nobody failed.
pub async fn give_back(db: &impl ConnectionTrait, holder: Uuid) -> Result<u64> {
    let statement = "WITH given AS (
            UPDATE jobs SET state = 'PENDING', lease_holder = NULL, lease_until = NULL, attempts = attempts - 1,
                turn = coalesce((SELECT o.turn - 1 FROM jobs o WHERE o.queue = jobs.queue AND o.state = 'PENDING'
                    AND o.priority = jobs.priority AND o.tenant_id = jobs.tenant_id ORDER BY o.turn, o.id LIMIT 1), 0)
            WHERE lease_holder = $1 AND state = 'RUNNING' RETURNING id, queue
        ), woken AS (
            SELECT pg_notify($2, queue), pg_notify($3, queue) FROM (SELECT DISTINCT queue FROM given) AS queues
        ), told AS (SELECT pg_notify($3, id::text) FROM given)
        SELECT (SELECT count(*) FROM given), (SELECT count(*) FROM woken), (SELECT count(*) FROM told)";
    let values = [holder.into(), JOBS_CHANNEL.into(), JOB_EVENTS_CHANNEL.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, statement, values);
    let row = db.query_one_raw(statement).await.doing("give leases back")?;
    let given = row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).doing("give leases back")?;
    Ok(given.cast_unsigned())
}
