//! Worker processes, as they last told of themselves.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, prelude::DateTimeUtc};
use serde_json::Value as Json;
use uuid::Uuid;

use crate::error::Result;
use crate::store::{Doing, execute, millis};

/// What a process tells of itself.
#[derive(Debug, Clone)]
pub struct WorkerCard {
    /// The holder of its leases.
    pub id: Uuid,
    /// Its machine.
    pub host: String,
    /// Its process id there.
    pub pid: u32,
    /// Our version.
    pub version: &'static str,
    /// Jobs at once, by queue.
    pub slots: Json,
}

/// A worker process.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "columns of `workers`")]
pub struct WorkerRow {
    pub id: Uuid,
    pub host: String,
    pub pid: i32,
    pub version: String,
    pub slots: Json,
    pub started_at: DateTimeUtc,
    pub seen_at: DateTimeUtc,
    /// Seconds since it was seen, by the database's clock.
    pub unseen_s: f64,
    /// Jobs under its leases.
    pub running: i64,
}

impl WorkerRow {
    /// Whether it was seen within the time in which it must renew its leases.
    pub fn is_alive(&self, lease: Duration) -> bool {
        self.unseen_s <= lease.as_secs_f64()
    }

    /// Jobs of a queue that it runs at once.
    pub fn slots_of(&self, queue: &str) -> i64 {
        self.slots.get(queue).and_then(Json::as_i64).unwrap_or(0)
    }
}

/// Tells that a process is there.
pub async fn tell(db: &impl ConnectionTrait, card: &WorkerCard) -> Result<()> {
    let sql = "INSERT INTO workers (id, host, pid, version, slots) VALUES ($1, $2, $3, $4, $5)
        ON CONFLICT (id) DO UPDATE SET seen_at = now()";
    let values = [
        card.id.into(),
        card.host.clone().into(),
        card.pid.cast_signed().into(),
        card.version.into(),
        card.slots.clone().into(),
    ];
    execute(db, "tell of this worker", sql, values).await?;
    Ok(())
}

/// Forgets a process that stops in order.
pub async fn forget(db: &impl ConnectionTrait, id: Uuid) -> Result<()> {
    execute(db, "forget this worker", "DELETE FROM workers WHERE id = $1", [id.into()]).await?;
    Ok(())
}

/// Forgets processes that have not been seen for so long.
pub async fn forget_lost(db: &impl ConnectionTrait, unseen: Duration) -> Result<u64> {
    let sql = "DELETE FROM workers WHERE seen_at < now() - $1 * interval '1 ms'";
    execute(db, "forget lost workers", sql, [millis(unseen).into()]).await
}

/// Every known process, oldest first.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<WorkerRow>> {
    let question = "SELECT w.*, extract(epoch FROM now() - seen_at)::float8 AS unseen_s, (SELECT count(*) FROM jobs WHERE state = 'RUNNING' AND lease_holder = w.id) AS running
        FROM workers w ORDER BY w.started_at, w.id";
    let question = Statement::from_string(DbBackend::Postgres, question);
    WorkerRow::find_by_statement(question).all(db).await.doing("list workers")
}
