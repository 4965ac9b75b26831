//! Figures for metrics and health.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};

use super::Doing;
use crate::error::Result;

/// Jobs of one queue in one state.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
pub struct QueueDepth {
    /// The queue.
    pub queue: String,
    /// The state.
    pub state: String,
    /// How many.
    pub jobs: i64,
    /// Seconds since the oldest due one became due; 0 where none waits.
    pub oldest_due_s: f64,
}

/// Unfinished and dead jobs by queue and state. Finished ones are many and change nothing.
pub async fn queue_depths(db: &impl ConnectionTrait) -> Result<Vec<QueueDepth>> {
    let question = Statement::from_string(
        DbBackend::Postgres,
        "SELECT queue, state, count(*) AS jobs,
             coalesce(extract(epoch FROM now() - min(run_at) FILTER (
                 WHERE state IN ('SCHEDULED', 'PENDING', 'RETRYING') AND run_at <= now())), 0)::float8 AS oldest_due_s
         FROM jobs WHERE state NOT IN ('SUCCEEDED', 'CANCELLED') GROUP BY queue, state",
    );
    QueueDepth::find_by_statement(question).all(db).await.doing("count jobs")
}
