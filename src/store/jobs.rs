//! Jobs: rows, leases and ends. Every change of a leased job names its lease (holder and attempt), so that a worker
//! that lost it changes nothing.

use std::collections::HashMap;
use std::time::Duration;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, Statement,
    prelude::DateTimeUtc,
};
use serde_json::Value as Json;
use uuid::Uuid;

use super::entity::job::{ActiveModel, Column, Entity, JobState, Model};
use super::listen::JOBS_CHANNEL;
use super::{Doing, TenantId, execute};
use crate::error::{Error, Result};

/// A job to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// UUIDv7.
    pub id: Uuid,
    /// Queue whose workers take it.
    pub queue: &'static str,
    /// Kind: decides what runs.
    pub kind: &'static str,
    /// Input of the kind.
    pub payload: Json,
    /// Version of the payload's shape.
    pub payload_version: i32,
    /// Attempts before it is `DEAD`.
    pub max_attempts: u32,
    /// At most one unfinished job has this key; a second one is not enqueued.
    pub unique_key: Option<String>,
    /// The collection it works for.
    pub collection_id: Option<Uuid>,
    /// The document it works for.
    pub document_id: Option<Uuid>,
    /// The run it belongs to.
    pub run_id: Option<Uuid>,
    /// Now.
    pub at: DateTimeUtc,
}

/// Inserts jobs in the caller's transaction; at its commit waiting workers are woken, once per queue. Gives the
/// number inserted: a job whose unique key is taken is left out.
pub async fn enqueue(db: &impl ConnectionTrait, tenant: TenantId, jobs: Vec<NewJob>) -> Result<u64> {
    let Some(first) = jobs.first() else { return Ok(0) };
    let queue = first.queue;
    debug_assert!(jobs.iter().all(|job| job.queue == queue), "one signal per call wakes one queue");
    let rows = jobs.into_iter().map(|job| ActiveModel {
        id: Set(job.id),
        tenant_id: Set(tenant),
        queue: Set(job.queue.to_owned()),
        kind: Set(job.kind.to_owned()),
        payload: Set(job.payload),
        payload_version: Set(job.payload_version),
        state: Set(JobState::Pending),
        run_at: Set(job.at),
        max_attempts: Set(job.max_attempts.cast_signed()),
        unique_key: Set(job.unique_key),
        collection_id: Set(job.collection_id),
        document_id: Set(job.document_id),
        run_id: Set(job.run_id),
        created_at: Set(job.at),
        ..Default::default()
    });
    let skip_taken = sea_orm::sea_query::OnConflict::new().do_nothing().to_owned();
    let inserted =
        Entity::insert_many(rows).on_conflict(skip_taken).exec_without_returning(db).await.doing("enqueue jobs")?;
    notify(db, queue).await?;
    Ok(inserted)
}

async fn notify(db: &impl ConnectionTrait, queue: &str) -> Result<()> {
    execute(db, "wake the workers", format!("SELECT pg_notify('{JOBS_CHANNEL}', $1)"), [queue.into()]).await?;
    Ok(())
}

/// Takes up to `limit` due jobs of a queue under a lease, the most urgent first. Counts as an attempt.
pub async fn lease(
    db: &impl ConnectionTrait,
    queue: &str,
    holder: Uuid,
    lease: Duration,
    limit: usize,
) -> Result<Vec<Model>> {
    // Materialized: a plan that ran the inner question once per row of `jobs` would take more than `limit`.
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "WITH due AS MATERIALIZED (
             SELECT id FROM jobs WHERE queue = $1 AND state IN ('SCHEDULED', 'PENDING', 'RETRYING') AND run_at <= now()
             ORDER BY priority DESC, run_at, id LIMIT $4 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET state = 'RUNNING', lease_holder = $2, lease_until = now() + $3 * interval '1 ms',
             attempts = attempts + 1, started_at = coalesce(started_at, now())
         FROM due WHERE jobs.id = due.id RETURNING jobs.*",
        [queue.into(), holder.into(), millis(lease).into(), i64::try_from(limit).unwrap_or(i64::MAX).into()],
    );
    Model::find_by_statement(statement).all(db).await.doing("take jobs")
}

/// Prolongs a process's leases on these jobs in one statement, and tells which of them it still holds. Leases on others
/// run out: nobody works on those.
pub async fn renew(
    db: &impl ConnectionTrait,
    holder: Uuid,
    lease: Duration,
    jobs: Vec<Uuid>,
) -> Result<Vec<(Uuid, i32)>> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "UPDATE jobs SET lease_until = now() + $2 * interval '1 ms'
         WHERE lease_holder = $1 AND state = 'RUNNING' AND id = ANY($3) RETURNING id, attempts",
        [holder.into(), millis(lease).into(), jobs.into()],
    );
    let rows = db.query_all_raw(statement).await.doing("renew leases")?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect::<Result<_, sea_orm::DbErr>>()
        .doing("renew leases")
}

/// Ids of jobs whose lease ran out: their worker is gone or stalled.
pub async fn expired(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Uuid>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT id FROM jobs WHERE state = 'RUNNING' AND lease_until < now() ORDER BY lease_until LIMIT $1",
        [limit.cast_signed().into()],
    );
    let rows = db.query_all_raw(question).await.doing("look for lost workers' jobs")?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>().doing("look for lost workers' jobs")
}

/// Locks one job whose lease ran out, unless someone else is at it or it was renewed.
pub async fn lock_expired(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM jobs WHERE id = $1 AND state = 'RUNNING' AND lease_until < now() FOR UPDATE SKIP LOCKED",
        [id.into()],
    );
    Model::find_by_statement(question).one(db).await.doing("look for lost workers' jobs")
}

/// Changes a job under its lease; `LEASE_LOST` where the lease is not the worker's any more.
async fn change(
    db: &impl ConnectionTrait,
    job: &Model,
    doing: &'static str,
    set: &str,
    values: impl IntoIterator<Item = sea_orm::Value>,
) -> Result<()> {
    let sql =
        format!("UPDATE jobs SET {set} WHERE id = $1 AND lease_holder = $2 AND attempts = $3 AND state = 'RUNNING'");
    let lease = [job.id.into(), job.lease_holder.into(), job.attempts.into()];
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
pub async fn set_progress(db: &impl ConnectionTrait, job: &Model, done: u32, total: u32, unit: &str) -> Result<()> {
    let values = [i64::from(done).into(), i64::from(total).into(), unit.into()];
    let set = "progress_done = $4, progress_total = $5, progress_unit = $6";
    change(db, job, "write the job's progress", set, values).await
}

/// Ends the job as done, in the transaction of its result.
pub async fn succeed(db: &impl ConnectionTrait, job: &Model) -> Result<()> {
    let set = "state = 'SUCCEEDED', lease_holder = NULL, lease_until = NULL, finished_at = now(),
        error_code = NULL, error_message = NULL, progress_done = coalesce(progress_total, progress_done)";
    change(db, job, "end the job", set, []).await
}

/// Puts the job back for another attempt after a wait.
pub async fn retry(db: &impl ConnectionTrait, job: &Model, wait: Duration, code: &str, message: &str) -> Result<()> {
    let set = "state = 'RETRYING', lease_holder = NULL, lease_until = NULL, run_at = now() + $4 * interval '1 ms',
        error_code = $5, error_message = $6";
    change(db, job, "put the job back", set, [millis(wait).into(), code.into(), message.into()]).await
}

/// Ends the job as failed for good.
pub async fn bury(db: &impl ConnectionTrait, job: &Model, code: &str, message: &str) -> Result<()> {
    let set = "state = 'DEAD', lease_holder = NULL, lease_until = NULL, finished_at = now(),
        error_code = $4, error_message = $5";
    change(db, job, "end the job", set, [code.into(), message.into()]).await
}

/// Gives back every lease of a process that stops. Not counted as attempts: nobody failed.
pub async fn give_back(db: &impl ConnectionTrait, holder: Uuid) -> Result<u64> {
    let statement = "WITH given AS (
            UPDATE jobs SET state = 'PENDING', lease_holder = NULL, lease_until = NULL, attempts = attempts - 1
            WHERE lease_holder = $1 AND state = 'RUNNING' RETURNING queue
        ), woken AS (SELECT pg_notify($2, queue) FROM (SELECT DISTINCT queue FROM given) AS queues)
        SELECT (SELECT count(*) FROM given), (SELECT count(*) FROM woken)";
    let statement =
        Statement::from_sql_and_values(DbBackend::Postgres, statement, [holder.into(), JOBS_CHANNEL.into()]);
    let row = db.query_one_raw(statement).await.doing("give leases back")?;
    let given = row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).doing("give leases back")?;
    Ok(given.cast_unsigned())
}

/// Those of `ids` that are there.
pub async fn by_ids(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Model>> {
    let question = Entity::find().filter(Column::Id.is_in(ids.iter().copied())).filter(Column::TenantId.eq(tenant));
    let rows = question.all(db).await.doing("read jobs")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The newest job of each document.
pub async fn newest_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    documents: &[Uuid],
) -> Result<HashMap<Uuid, Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT DISTINCT ON (document_id) * FROM jobs WHERE document_id = ANY($2) AND tenant_id = $1
         ORDER BY document_id, id DESC",
        [tenant.into(), documents.to_vec().into()],
    );
    let rows = Model::find_by_statement(question).all(db).await.doing("read documents' jobs")?;
    Ok(rows.into_iter().filter_map(|row| Some((row.document_id?, row))).collect())
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
