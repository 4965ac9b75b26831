//! PostgreSQL: what all rows share, and the SQL of every subject but jobs, which is in [`crate::queue`]. Every question takes the tenant and, where it makes
//! sense, a list of ids and gives a map. It never imports `graphql` or `http`.

pub mod bell;
pub mod chunks;
pub mod collections;
pub mod connect;
pub mod disk;
pub mod documents;
pub mod embeddings;
pub mod entity;
mod fault;
pub mod index;
pub mod leaders;
pub mod listen;
pub mod purge;
pub mod retention;
pub mod runs;
pub mod schedules;
pub mod spaces;
pub mod transaction;

pub use fault::{Doing, is_unique_violation};
pub use transaction::Transaction;

use std::time::Duration;

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement, TransactionTrait, Value};
use uuid::{Uuid, uuid};

use crate::error::Result;
use bell::Bell;
use connect::Share;

/// Who owns a row. Every question names it, so that no answer crosses tenants.
pub type TenantId = Uuid;

/// The tenant of every caller until API keys tell them apart; the first migration inserts it.
pub const DEFAULT_TENANT: TenantId = uuid!("00000000-0000-7000-8000-000000000001");

/// The connection pool.
#[derive(Debug, Clone)]
pub struct Store {
    db: DatabaseConnection,
    bell: Bell,
    subscriptions: Share,
}

impl Store {
    /// For single statements, each its own transaction.
    pub fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    /// A transaction; dropped without commit it rolls back.
    pub async fn begin(&self) -> Result<Transaction> {
        let inner = self.db.begin().await.doing("begin a transaction")?;
        Ok(Transaction::new(inner, self.bell.clone()))
    }

    /// The part of the connections in which subscriptions ask.
    pub fn subscriptions(&self) -> &Share {
        &self.subscriptions
    }

    /// Signals to other processes and to this one.
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// Closes every connection.
    pub async fn close(&self) {
        self.pool().close().await;
    }

    /// The driver's pool, for LISTEN and pool figures.
    pub fn pool(&self) -> &sqlx::PgPool {
        self.db.get_postgres_connection_pool()
    }
}

/// Runs one statement and tells how many rows it changed. `doing` ends the sentence "could not …".
pub(crate) async fn execute(
    db: &impl ConnectionTrait,
    doing: &'static str,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    Ok(db.execute_raw(statement).await.doing(doing)?.rows_affected())
}

/// As PostgreSQL counts it in `interval '1 ms'`.
pub(crate) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
