//! PostgreSQL: the only room that writes SQL and knows sea-orm. Every question takes the tenant and, where it makes
//! sense, a list of ids and gives a map. It never imports `graphql` or `http`.

pub mod bell;
pub mod chunks;
pub mod circuits;
pub mod collections;
pub mod connect;
pub mod disk;
pub mod documents;
pub mod embeddings;
pub mod entity;
mod fault;
pub mod index;
pub mod jobs;
pub mod leaders;
pub mod limits;
pub mod listen;
pub mod purge;
pub mod queues;
pub mod retention;
pub mod runs;
pub mod schedules;
pub mod spaces;
pub mod transaction;
pub mod workers;

pub use fault::{Doing, is_unique_violation};
pub use transaction::Transaction;

use std::sync::{Mutex, MutexGuard, PoisonError};

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
async fn execute(
    db: &impl ConnectionTrait,
    doing: &'static str,
    sql: impl Into<String>,
    values: impl IntoIterator<Item = Value>,
) -> Result<u64> {
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    Ok(db.execute_raw(statement).await.doing(doing)?.rows_affected())
}

/// A lock whose holders never leave things half done, panic or not.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
