//! Steps of a job: written in the transaction of their result, so that a finished one is never done again.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, prelude::DateTimeUtc};
use serde_json::Value as Json;
use uuid::Uuid;

use super::fence::{change, confirm};
use crate::error::Result;
use crate::store::entity::job::Model;
use crate::store::listen::JOB_EVENTS_CHANNEL;
use crate::store::{Doing, Transaction, execute};

/// A step that was finished or failed.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "columns of `job_steps`")]
pub struct StepRow {
    pub job_id: Uuid,
    pub name: String,
    pub attempts: i32,
    pub result: Option<Json>,
    pub finished_at: Option<DateTimeUtc>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

/// Ends a step with its result, and says at which the job is now. Also the fence: nothing commits without the lease.
pub async fn finish_step(tx: &Transaction, job: &Model, name: &str, result: Json, next: Option<&str>) -> Result<()> {
    change(tx, job, "end the job's step", "stage = coalesce($3, stage)", [next.map(str::to_owned).into()]).await?;
    let sql = "INSERT INTO job_steps (job_id, name, attempts, result, finished_at) VALUES ($1, $2, 1, $3, now())
        ON CONFLICT (job_id, name) DO UPDATE SET attempts = job_steps.attempts + 1, result = $3, finished_at = now(),
            error_code = NULL, error_message = NULL";
    execute(tx, "end the job's step", sql, [job.id.into(), name.into(), result.into()]).await?;
    tx.ring(JOB_EVENTS_CHANNEL, job.id);
    Ok(())
}

/// Keeps what an attempt at a step came to that is about to fail. Also the fence: nothing commits without the lease.
pub async fn keep_result(tx: &Transaction, job: &Model, name: &str, result: Json) -> Result<()> {
    confirm(tx, job).await?;
    let sql = "INSERT INTO job_steps (job_id, name, attempts, result) VALUES ($1, $2, 0, $3)
        ON CONFLICT (job_id, name) DO UPDATE SET result = $3";
    execute(tx, "keep the step's result", sql, [job.id.into(), name.into(), result.into()]).await?;
    Ok(())
}

/// Counts a failed attempt at a step. Gives how many there were.
pub async fn note_failure(tx: &Transaction, job: Uuid, name: &str, code: &str, message: &str) -> Result<i32> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "INSERT INTO job_steps (job_id, name, attempts, error_code, error_message) VALUES ($1, $2, 1, $3, $4)
         ON CONFLICT (job_id, name) DO UPDATE SET attempts = job_steps.attempts + 1, error_code = $3,
             error_message = $4 RETURNING attempts",
        [job.into(), name.into(), code.into(), message.into()],
    );
    let row = tx.query_one_raw(statement).await.doing("count the step's attempts")?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0)).doing("count the step's attempts")
}

/// Gives the unfinished steps of a redriven job their attempts back; the timeline keeps the errors.
pub async fn forget_failures(tx: &Transaction, job: Uuid) -> Result<()> {
    let sql = "DELETE FROM job_steps WHERE job_id = $1 AND finished_at IS NULL";
    execute(tx, "give the job's steps their attempts back", sql, [job.into()]).await?;
    Ok(())
}

/// Lets a job begin at its first step: what its steps made is gone.
pub async fn forget_steps(tx: &Transaction, job: Uuid) -> Result<()> {
    execute(tx, "forget the job's steps", "DELETE FROM job_steps WHERE job_id = $1", [job.into()]).await?;
    execute(
        tx,
        "forget the job's stage",
        "UPDATE jobs SET stage = NULL, progress_done = 0, progress_total = NULL
        WHERE id = $1",
        [job.into()],
    )
    .await?;
    Ok(())
}

/// Steps of each job that were finished or failed.
pub async fn steps_of(db: &impl ConnectionTrait, jobs: &[Uuid]) -> Result<HashMap<Uuid, Vec<StepRow>>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM job_steps WHERE job_id = ANY($1) ORDER BY job_id, name",
        [jobs.to_vec().into()],
    );
    let mut steps: HashMap<Uuid, Vec<StepRow>> = HashMap::new();
    for row in StepRow::find_by_statement(question).all(db).await.doing("read the jobs' steps")? {
        steps.entry(row.job_id).or_default().push(row);
    }
    Ok(steps)
}

/// Results of a job's finished steps by name.
pub async fn finished_steps(db: &impl ConnectionTrait, job: Uuid) -> Result<HashMap<String, Json>> {
    let steps = steps_of(db, &[job]).await?.remove(&job).unwrap_or_default();
    let finished = steps.into_iter().filter(|step| step.finished_at.is_some());
    Ok(finished.map(|step| (step.name, step.result.unwrap_or_default())).collect())
}
