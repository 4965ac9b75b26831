//! What others than the worker do to a job: cancel, redrive, prefer.

use sea_orm::{DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

use super::enqueue::last_turn;
use super::settle::tell;
use crate::error::Result;
use crate::store::entity::job::Model;
use crate::store::listen::{JOBS_CHANNEL, LOST};
use crate::store::{Doing, TenantId, Transaction, execute};

/// The row, locked until the transaction ends. `None` where it is gone.
pub async fn lock(tx: &Transaction, tenant: TenantId, id: Uuid) -> Result<Option<Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM jobs WHERE id = $1 AND tenant_id = $2 FOR UPDATE",
        [id.into(), tenant.into()],
    );
    Model::find_by_statement(question).one(tx).await.doing("lock the job")
}

/// Ends a locked, unfinished job. A worker that is at it can write no more from the commit on.
pub async fn cancel(tx: &Transaction, job: &Model) -> Result<()> {
    let sql = "UPDATE jobs SET state = 'CANCELLED', lease_holder = NULL, lease_until = NULL, finished_at = now()
        WHERE id = $1";
    execute(tx, "cancel the job", sql, [job.id.into()]).await?;
    tx.ring(JOBS_CHANNEL, LOST);
    tell(tx, job);
    Ok(())
}

/// Ends every unfinished job of a collection that is being deleted.
pub async fn cancel_of_collection(tx: &Transaction, collection: Uuid) -> Result<u64> {
    let sql = "UPDATE jobs SET state = 'CANCELLED', lease_holder = NULL, lease_until = NULL, finished_at = now()
        WHERE collection_id = $1 AND state IN ('SCHEDULED', 'PENDING', 'RUNNING', 'RETRYING')";
    tx.ring(JOBS_CHANNEL, LOST);
    execute(tx, "cancel the collection's jobs", sql, [collection.into()]).await
}

/// Lets a locked, finished job run again with all its attempts. Its finished steps stay finished.
pub async fn redrive(tx: &Transaction, job: &Model, attempts: u32) -> Result<()> {
    let turn = last_turn(tx, &job.queue, job.tenant_id, job.flow, job.priority).await? + 1;
    let sql = "UPDATE jobs SET state = 'PENDING', run_at = now(), finished_at = NULL, error_code = NULL,
            error_message = NULL, redrives = redrives + 1, max_attempts = attempts + $2, turn = $3
        WHERE id = $1";
    execute(tx, "redrive the job", sql, [job.id.into(), attempts.cast_signed().into(), turn.into()]).await?;
    super::forget_failures(tx, job.id).await?;
    tx.ring(JOBS_CHANNEL, &*job.queue);
    tell(tx, job);
    Ok(())
}

/// Ends the wait of a locked `RETRYING` or `SCHEDULED` job.
pub async fn bring_forward(tx: &Transaction, job: &Model) -> Result<()> {
    let sql = "UPDATE jobs SET state = 'PENDING', run_at = now() WHERE id = $1";
    execute(tx, "bring the job forward", sql, [job.id.into()]).await?;
    tx.ring(JOBS_CHANNEL, &*job.queue);
    tell(tx, job);
    Ok(())
}

/// Moves a locked, unfinished job before or behind those of other priorities.
pub async fn set_priority(tx: &Transaction, job: &Model, priority: i16) -> Result<()> {
    let sql = "UPDATE jobs SET priority = $2 WHERE id = $1";
    execute(tx, "set the job's priority", sql, [job.id.into(), priority.into()]).await?;
    tell(tx, job);
    Ok(())
}
