//! PostgreSQL: the only room that writes SQL and knows sea-orm. Every question takes the tenant and, where it makes
//! sense, a list of ids and gives a map. It never imports `graphql` or `http`.

pub mod chunks;
pub mod collections;
pub mod connect;
pub mod documents;
pub mod embeddings;
pub mod entity;
mod fault;
pub mod index;
pub mod jobs;
pub mod listen;
pub mod purge;
pub mod runs;
pub mod server;
pub mod spaces;
pub mod stats;

pub use fault::{Doing, is_unique_violation};

use sea_orm::{
    ConnectionTrait, DatabaseConnection, DatabaseTransaction, DbBackend, Statement, TransactionTrait, Value,
};
use uuid::{Uuid, uuid};

use crate::error::Result;

/// Who owns a row. Every question names it, so that no answer crosses tenants.
pub type TenantId = Uuid;

/// The tenant of every caller until API keys tell them apart; the first migration inserts it.
pub const DEFAULT_TENANT: TenantId = uuid!("00000000-0000-7000-8000-000000000001");

/// A transaction; what happens in it is seen by others at `commit`.
pub type Transaction = DatabaseTransaction;

/// The connection pool.
#[derive(Debug, Clone)]
pub struct Store {
    db: DatabaseConnection,
}

impl Store {
    /// For single statements, each its own transaction.
    pub fn db(&self) -> &DatabaseConnection {
        &self.db
    }

    /// A transaction; dropped without commit it rolls back.
    pub async fn begin(&self) -> Result<Transaction> {
        self.db.begin().await.doing("begin a transaction")
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
