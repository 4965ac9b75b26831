//! Limits on what runs at once and how often, over all processes.

use sea_orm::{
    ActiveEnum, ConnectionTrait, DbBackend, DeriveActiveEnum, EnumIter, FromQueryResult, Statement,
    prelude::DateTimeUtc,
};
use uuid::Uuid;

use super::NAMES;
use super::admit;
use crate::error::Result;
use crate::store::listen::JOBS_CHANNEL;
use crate::store::{Doing, Store, TenantId, Transaction, execute};

/// What a limit is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum LimitScope {
    /// Jobs of one queue.
    Queue,
    /// Jobs of one kind.
    Kind,
    /// Jobs that depend on one provider.
    Provider,
    /// Jobs of one tenant.
    Tenant,
}

/// A limit.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
pub struct Limit {
    /// What it is on.
    pub scope: LimitScope,
    /// Which queue, kind, provider or tenant.
    pub key: String,
    /// Jobs at once.
    pub concurrency: Option<i32>,
    /// Starts per minute.
    pub per_minute: Option<f64>,
    /// Starts left in the bucket at `refilled_at`.
    pub tokens: f64,
    /// When `tokens` was counted.
    pub refilled_at: DateTimeUtc,
}

impl Limit {
    /// A limit with a full bucket.
    pub fn new(
        scope: LimitScope,
        key: String,
        concurrency: Option<i32>,
        per_minute: Option<f64>,
        at: DateTimeUtc,
    ) -> Self {
        Self { scope, key, concurrency, per_minute, tokens: admit::full(per_minute), refilled_at: at }
    }
}

/// Every limit, by scope and key.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Limit>> {
    let question = Statement::from_string(DbBackend::Postgres, "SELECT * FROM job_limits ORDER BY scope, key");
    Limit::find_by_statement(question).all(db).await.doing("read the limits")
}

/// Whether there is such a tenant.
pub async fn has_tenant(db: &impl ConnectionTrait, tenant: TenantId) -> Result<bool> {
    let question =
        Statement::from_sql_and_values(DbBackend::Postgres, "SELECT FROM tenants WHERE id = $1", [tenant.into()]);
    Ok(db.query_one_raw(question).await.doing("look for the tenant")?.is_some())
}

/// Who takes jobs under rules waits for each other, until the transaction ends: otherwise two would each start the last
/// job that a limit allows.
pub async fn lock_takers(tx: &Transaction) -> Result<()> {
    let sql = "SELECT pg_advisory_xact_lock(hashtextextended('vectorforge.takers', 0))";
    execute(tx, "wait for other takers", sql, []).await?;
    Ok(())
}

/// Sets a limit in place of one of the same scope and key.
pub async fn set(store: &Store, limit: &Limit) -> Result<()> {
    let sql = "INSERT INTO job_limits (scope, key, concurrency, per_minute, tokens, refilled_at)
        VALUES ($1, $2, $3, $4, $5, $6)
        ON CONFLICT (scope, key) DO UPDATE SET concurrency = $3, per_minute = $4, tokens = $5, refilled_at = $6";
    let values = [
        limit.scope.to_value().into(),
        limit.key.clone().into(),
        limit.concurrency.into(),
        limit.per_minute.into(),
        limit.tokens.into(),
        limit.refilled_at.into(),
    ];
    let tx = store.begin().await?;
    execute(&tx, "set the limit", sql, values).await?;
    wake(&tx);
    tx.commit().await.doing("set the limit")
}

/// Removes a limit; jobs that it held start at once. False where there was none.
pub async fn remove(store: &Store, scope: LimitScope, key: &str) -> Result<bool> {
    let sql = "DELETE FROM job_limits WHERE scope = $1 AND key = $2";
    let tx = store.begin().await?;
    let removed = execute(&tx, "remove the limit", sql, [scope.to_value().into(), key.into()]).await?;
    wake(&tx);
    tx.commit().await.doing("remove the limit")?;
    Ok(removed > 0)
}

/// A limit may hold jobs of any queue.
fn wake(tx: &Transaction) {
    NAMES.iter().for_each(|queue| tx.ring(JOBS_CHANNEL, *queue));
}

/// Writes what is left in the buckets.
pub async fn set_tokens(tx: &Transaction, limits: &[Limit]) -> Result<()> {
    for limit in limits.iter().filter(|limit| limit.per_minute.is_some()) {
        let sql = "UPDATE job_limits SET tokens = $3, refilled_at = $4 WHERE scope = $1 AND key = $2";
        let values =
            [limit.scope.to_value().into(), limit.key.clone().into(), limit.tokens.into(), limit.refilled_at.into()];
        execute(tx, "count starts", sql, values).await?;
    }
    Ok(())
}

/// Running jobs that count together.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "columns of `jobs`")]
pub struct RunningRow {
    pub queue: String,
    pub kind: String,
    pub provider: Option<String>,
    pub tenant_id: Uuid,
    pub jobs: i64,
}

/// What runs now.
pub async fn running(db: &impl ConnectionTrait) -> Result<Vec<RunningRow>> {
    let question = "SELECT queue, kind, provider, tenant_id, count(*) AS jobs FROM jobs WHERE state = 'RUNNING'
        GROUP BY queue, kind, provider, tenant_id";
    RunningRow::find_by_statement(Statement::from_string(DbBackend::Postgres, question))
        .all(db)
        .await
        .doing("count running jobs")
}
