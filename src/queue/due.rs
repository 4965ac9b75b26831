//! Jobs that wait for their time: each process looks when the next one is due, and lets it wait for a worker.

#![expect(clippy::disallowed_methods, reason = "a job is due by the clock of its process")]

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use super::turn::FRONT;
use crate::causes::warn_of;
use crate::error::Result;
use crate::store::listen::{DUE, JOBS_CHANNEL, Signals};
use crate::store::{Doing, Store};

/// Promotes for ever. A database that does not answer is waited for.
pub async fn promote(store: Store, signals: Signals, poll: Duration) -> Result<()> {
    loop {
        let mut waiter = signals.join(JOBS_CHANNEL, DUE);
        let wait = match until_next(&store).await {
            Ok(wait) => wait.map_or(poll, |wait| wait.min(poll)),
            Err(error) => {
                warn_of!(error);
                poll
            }
        };
        let _ = tokio::time::timeout(wait, waiter.signal()).await;
    }
}

/// Promotes what is due; gives how long until more is.
async fn until_next(store: &Store) -> Result<Option<Duration>> {
    while promote_due(store).await? > 0 {}
    let next = next_due(store.db()).await?;
    Ok(next.map(|at| (at - Utc::now()).to_std().unwrap_or_default() + CLOCK_STEP))
}

/// A look that comes a moment early would find nothing and look again at once.
const CLOCK_STEP: Duration = Duration::from_millis(1);

/// Jobs made due per statement.
const PROMOTED_AT_ONCE: i64 = 1_000;

/// Lets jobs whose time has come wait for a worker, first in their line; wakes those. Gives how many.
pub async fn promote_due(store: &Store) -> Result<usize> {
    let sql = format!(
        "WITH due AS MATERIALIZED (
             SELECT id FROM jobs WHERE state IN ('SCHEDULED', 'RETRYING') AND run_at <= now()
             ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET state = 'PENDING', turn = {FRONT}
         WHERE id = ANY (ARRAY(SELECT id FROM due)) RETURNING queue, id"
    );
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, [PROMOTED_AT_ONCE.into()]);
    let rows = store.db().query_all_raw(statement).await.doing("look for due jobs")?;
    let mut due: BTreeMap<String, Vec<Uuid>> = BTreeMap::new();
    for row in &rows {
        let queue = row.try_get_by_index(0).doing("look for due jobs")?;
        due.entry(queue).or_default().push(row.try_get_by_index(1).doing("look for due jobs")?);
    }
    for (queue, jobs) in due {
        store.bell().ring_jobs(&queue, jobs.into_iter());
        store.bell().ring(JOBS_CHANNEL, queue);
    }
    Ok(rows.len())
}

/// When the next job becomes due.
pub async fn next_due(db: &impl ConnectionTrait) -> Result<Option<DateTime<Utc>>> {
    let question = "SELECT min(run_at) FROM jobs WHERE state IN ('SCHEDULED', 'RETRYING')";
    let row =
        db.query_one_raw(Statement::from_string(DbBackend::Postgres, question)).await.doing("look for due jobs")?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0)).doing("look for due jobs")
}
