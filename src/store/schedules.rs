//! Schedules. Whoever fires one holds its row's lock from the look at its time to the new time: none fires twice.

use std::collections::HashMap;

use sea_orm::{
    ActiveEnum, ConnectionTrait, DbBackend, DeriveActiveEnum, EnumIter, FromQueryResult, Statement,
    prelude::DateTimeUtc,
};
use serde_json::Value as Json;
use uuid::Uuid;

use super::{Doing, TenantId, Transaction, execute, is_unique_violation};
use crate::error::Result;

/// What to do about firings that were due while nobody could fire them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum MissedRuns {
    /// Nothing.
    Skip,
    /// One for all.
    RunOnce,
    /// Each.
    RunAll,
}

/// A schedule.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "columns of `schedules`, told in the API's type")]
pub struct Schedule {
    pub id: Uuid,
    pub tenant_id: Option<Uuid>,
    pub collection_id: Option<Uuid>,
    pub name: String,
    pub kind: String,
    pub payload: Json,
    pub cron: String,
    pub time_zone: String,
    pub missed: MissedRuns,
    pub enabled: bool,
    pub next_run_at: Option<DateTimeUtc>,
    pub last_run_at: Option<DateTimeUtc>,
    pub last_job_id: Option<Uuid>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
}

/// Inserts a schedule; `None` where the tenant has one of that name.
pub async fn insert(db: &impl ConnectionTrait, row: &Schedule) -> Result<Option<()>> {
    let sql = "INSERT INTO schedules (id, tenant_id, collection_id, name, kind, payload, cron, time_zone, missed,
            enabled, next_run_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT DO NOTHING";
    let values = [
        row.id.into(),
        row.tenant_id.into(),
        row.collection_id.into(),
        row.name.clone().into(),
        row.kind.clone().into(),
        row.payload.clone().into(),
        row.cron.clone().into(),
        row.time_zone.clone().into(),
        row.missed.to_value().into(),
        row.enabled.into(),
        row.next_run_at.into(),
    ];
    Ok((execute(db, "make the schedule", sql, values).await? > 0).then_some(()))
}

/// Makes a built-in schedule; where it is there, gives it its time if that is another one.
pub async fn keep_built_in(db: &impl ConnectionTrait, row: &Schedule) -> Result<()> {
    if insert(db, row).await?.is_some() {
        return Ok(());
    }
    let sql = "UPDATE schedules SET cron = $2, next_run_at = $3 WHERE tenant_id IS NULL AND name = $1
        AND (cron <> $2 OR next_run_at IS NULL)";
    let values = [row.name.clone().into(), row.cron.clone().into(), row.next_run_at.into()];
    execute(db, "keep the built-in schedule", sql, values).await?;
    Ok(())
}

/// Overwrites what callers may change, and forgets the last error. False where its new name is taken; then the
/// transaction is lost.
pub async fn update(tx: &Transaction, row: &Schedule) -> Result<bool> {
    let sql = "UPDATE schedules SET name = $2, payload = $3, cron = $4, time_zone = $5, missed = $6, enabled = $7,
            next_run_at = $8, collection_id = $9, updated_at = $10, error_code = NULL, error_message = NULL
        WHERE id = $1";
    let values = [
        row.id.into(),
        row.name.clone().into(),
        row.payload.clone().into(),
        row.cron.clone().into(),
        row.time_zone.clone().into(),
        row.missed.to_value().into(),
        row.enabled.into(),
        row.next_run_at.into(),
        row.collection_id.into(),
        row.updated_at.into(),
    ];
    match tx.execute_raw(Statement::from_sql_and_values(DbBackend::Postgres, sql, values)).await {
        Err(error) if is_unique_violation(&error) => Ok(false),
        changed => changed.doing("change the schedule").map(|_| true),
    }
}

/// Removes one of a tenant's schedules; built-in ones stay. False where there is none.
pub async fn delete(db: &impl ConnectionTrait, tenant: TenantId, id: Uuid) -> Result<bool> {
    let sql = "DELETE FROM schedules WHERE id = $1 AND tenant_id = $2";
    Ok(execute(db, "remove the schedule", sql, [id.into(), tenant.into()]).await? > 0)
}

/// Removes the schedules of a collection that is being deleted.
pub async fn delete_of_collection(tx: &Transaction, collection: Uuid) -> Result<u64> {
    let sql = "DELETE FROM schedules WHERE collection_id = $1";
    execute(tx, "remove the collection's schedules", sql, [collection.into()]).await
}

/// Those of `ids` that are there: the tenant's and the built-in ones.
pub async fn by_ids(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Schedule>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM schedules WHERE id = ANY($1) AND (tenant_id = $2 OR tenant_id IS NULL)",
        [ids.to_vec().into(), tenant.into()],
    );
    let rows = Schedule::find_by_statement(question).all(db).await.doing("read schedules")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// A page in order of creation: the tenant's and the built-in ones, up to `limit` after the given id.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Schedule>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM schedules WHERE (tenant_id = $1 OR tenant_id IS NULL) AND id > $2 ORDER BY id LIMIT $3",
        [tenant.into(), after.unwrap_or(Uuid::nil()).into(), limit.cast_signed().into()],
    );
    Schedule::find_by_statement(question).all(db).await.doing("list schedules")
}

/// How many the tenant sees: its own and the built-in ones.
pub async fn count(db: &impl ConnectionTrait, tenant: TenantId) -> Result<u64> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT count(*) FROM schedules WHERE tenant_id = $1 OR tenant_id IS NULL",
        [tenant.into()],
    );
    let row = db.query_one_raw(question).await.doing("count schedules")?;
    let count = row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).doing("count schedules")?;
    Ok(count.cast_unsigned())
}

/// The row, locked until the transaction ends: the tenant's or a built-in one.
pub async fn lock(tx: &Transaction, tenant: TenantId, id: Uuid) -> Result<Option<Schedule>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM schedules WHERE id = $1 AND (tenant_id = $2 OR tenant_id IS NULL) FOR UPDATE",
        [id.into(), tenant.into()],
    );
    Schedule::find_by_statement(question).one(tx).await.doing("lock the schedule")
}

/// Locks one schedule that is due, the one that has been longest, unless someone else is at it or it is in `but`.
pub async fn lock_due(tx: &Transaction, at: DateTimeUtc, but: &[Uuid]) -> Result<Option<Schedule>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM schedules WHERE enabled AND next_run_at <= $1 AND id <> ALL($2) ORDER BY next_run_at LIMIT 1
         FOR UPDATE SKIP LOCKED",
        [at.into(), but.to_vec().into()],
    );
    Schedule::find_by_statement(question).one(tx).await.doing("look for due schedules")
}

/// What a firing led to.
#[derive(Debug, Clone, Default)]
pub struct Fired {
    /// When it fires next.
    pub next: Option<DateTimeUtc>,
    /// When it fired last, if it did.
    pub last: Option<DateTimeUtc>,
    /// The job that it made last.
    pub job: Option<Uuid>,
}

/// Writes what a firing led to.
pub async fn set_fired(tx: &Transaction, id: Uuid, fired: &Fired) -> Result<()> {
    let sql = "UPDATE schedules SET next_run_at = $2, last_run_at = coalesce($3, last_run_at),
        last_job_id = coalesce($4, last_job_id) WHERE id = $1";
    let values = [id.into(), fired.next.into(), fired.last.into(), fired.job.into()];
    execute(tx, "write the schedule's next run", sql, values).await?;
    Ok(())
}

/// Writes how the schedule's last job went: code and message of what it could not do, none where it did all. A job that
/// another one has followed tells nothing any more.
pub async fn tell_end(tx: &Transaction, id: Uuid, job: Uuid, error: Option<(&str, &str)>) -> Result<()> {
    let sql = "UPDATE schedules SET error_code = $3, error_message = $4 WHERE id = $1 AND last_job_id = $2";
    let (code, message) = error.map(|(code, message)| (code.to_owned(), message.to_owned())).unzip();
    execute(tx, "write how the schedule went", sql, [id.into(), job.into(), code.into(), message.into()]).await?;
    Ok(())
}

/// Writes why the last firing failed: code and message; none where it did not. False where that was known.
pub async fn set_error(db: &impl ConnectionTrait, id: Uuid, error: Option<(&str, &str)>) -> Result<bool> {
    let sql = "UPDATE schedules SET error_code = $2, error_message = $3
        WHERE id = $1 AND (error_code, error_message) IS DISTINCT FROM ($2, $3)";
    let (code, message) = error.map(|(code, message)| (code.to_owned(), message.to_owned())).unzip();
    let changed = execute(db, "write how the schedule went", sql, [id.into(), code.into(), message.into()]).await?;
    Ok(changed > 0)
}
