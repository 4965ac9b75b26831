//! Removing what has been over for long, in steps small enough to hold no lock for long.

use std::time::Duration;

use sea_orm::{ActiveEnum, ConnectionTrait};

use super::entity::job::JobState;
use super::{execute, millis};
use crate::error::Result;

/// Rows removed per statement.
const ROWS_PER_STEP: i64 = 2_000;

/// Removes some jobs that have been in a terminal state for so long, with their events and steps. Gives how many.
pub async fn some_jobs(db: &impl ConnectionTrait, state: JobState, age: Duration) -> Result<u64> {
    let sql = "DELETE FROM jobs WHERE id IN (
            SELECT id FROM jobs WHERE state = $1 AND finished_at < now() - $2 * interval '1 ms'
            ORDER BY finished_at LIMIT $3 FOR UPDATE SKIP LOCKED)";
    execute(db, "remove old jobs", sql, [state.to_value().into(), millis(age).into(), ROWS_PER_STEP.into()]).await
}

/// Removes some runs that have been over for so long and have no jobs any more, with their events. Gives how many.
pub async fn some_runs(db: &impl ConnectionTrait, age: Duration) -> Result<u64> {
    let sql = "DELETE FROM ingestion_runs WHERE id IN (
            SELECT r.id FROM ingestion_runs r WHERE r.finished_at < now() - $1 * interval '1 ms'
                AND NOT EXISTS (SELECT FROM jobs WHERE run_id = r.id)
            ORDER BY r.finished_at LIMIT $2 FOR UPDATE SKIP LOCKED)";
    execute(db, "remove old runs", sql, [millis(age).into(), ROWS_PER_STEP.into()]).await
}
