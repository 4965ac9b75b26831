//! What happened to jobs: their events, and the attempts that these tell of.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, prelude::DateTimeUtc};
use uuid::Uuid;

use crate::error::Result;
use crate::store::entity::job::JobState;
use crate::store::{Doing, TenantId};

/// One event of a job, with the state it led to.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "columns of `job_events`")]
pub struct EventRow {
    pub job_id: Uuid,
    pub sequence: i64,
    pub at: DateTimeUtc,
    pub kind: String,
    pub state: JobState,
    pub lease: i32,
    pub attempts: i32,
    pub worker: Option<Uuid>,
    pub stage: Option<String>,
    pub priority: i16,
    pub run_at: DateTimeUtc,
    pub progress_done: i64,
    pub progress_total: Option<i64>,
    pub progress_unit: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

/// Events of a job after a number, in order, at most `limit`.
pub async fn events(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    job: Uuid,
    after: i64,
    limit: u64,
) -> Result<Vec<EventRow>> {
    Ok(events_of(db, tenant, &[job], after, limit).await?.remove(&job).unwrap_or_default())
}

/// As [`events`], of many jobs; at most `limit` of each.
pub async fn events_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    jobs: &[Uuid],
    after: i64,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<EventRow>>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT e.* FROM unnest($1::uuid[]) AS j (id), LATERAL (
             SELECT * FROM job_events WHERE job_id = j.id AND tenant_id = $2 AND sequence > $3
             ORDER BY sequence LIMIT $4
         ) AS e ORDER BY e.job_id, e.sequence",
        [jobs.to_vec().into(), tenant.into(), after.into(), limit.cast_signed().into()],
    );
    let mut events: HashMap<Uuid, Vec<EventRow>> = HashMap::new();
    for row in EventRow::find_by_statement(question).all(db).await.doing("read the jobs' events")? {
        events.entry(row.job_id).or_default().push(row);
    }
    Ok(events)
}

/// One lease of a job, from its start to its end.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "told in the API's type")]
pub struct AttemptRow {
    pub job_id: Uuid,
    pub lease: i32,
    pub worker: Option<Uuid>,
    pub started_at: DateTimeUtc,
    pub ended_at: Option<DateTimeUtc>,
    pub outcome: Option<String>,
    pub stage: Option<String>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

/// The attempts of some jobs, in order, made of their events; at most the last `limit` of each.
pub async fn attempts_of(
    db: &impl ConnectionTrait,
    jobs: &[Uuid],
    limit: u64,
) -> Result<HashMap<Uuid, Vec<AttemptRow>>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT a.* FROM unnest($1::uuid[]) AS j (id), LATERAL (
             SELECT s.job_id, s.lease, s.worker, s.at AS started_at, e.at AS ended_at, e.kind AS outcome, e.stage,
                 e.error_code, e.error_message
             FROM job_events s LEFT JOIN LATERAL (
                 SELECT * FROM job_events WHERE job_id = s.job_id AND lease = s.lease AND sequence > s.sequence
                     AND kind IN ('SUCCEEDED', 'RETRYING', 'DEAD', 'CANCELLED', 'RELEASED')
                 ORDER BY sequence LIMIT 1
             ) e ON true
             WHERE s.job_id = j.id AND s.kind = 'STARTED' ORDER BY s.sequence DESC LIMIT $2
         ) AS a ORDER BY a.job_id, a.lease",
        [jobs.to_vec().into(), limit.cast_signed().into()],
    );
    let mut attempts: HashMap<Uuid, Vec<AttemptRow>> = HashMap::new();
    for row in AttemptRow::find_by_statement(question).all(db).await.doing("read the jobs' attempts")? {
        attempts.entry(row.job_id).or_default().push(row);
    }
    Ok(attempts)
}
