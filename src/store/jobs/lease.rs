//! Taking jobs, keeping them, and finding those that nobody keeps.

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, prelude::DateTimeUtc};
use uuid::Uuid;

use super::millis;
use crate::error::{Error, Result};
use crate::store::entity::job::Model;
use crate::store::listen::JOBS_CHANNEL;
use crate::store::queues::{HAS_RULES, IS_PAUSED};
use crate::store::{Doing, Store, Transaction};

/// Who takes jobs, and how.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// From which queue.
    pub queue: &'a str,
    /// The process that will hold the leases.
    pub holder: Uuid,
    /// How long a lease lasts.
    pub lease: Duration,
    /// At most so many jobs.
    pub limit: usize,
    /// Tenants take turns; this one was served last.
    pub after_tenant: Uuid,
}

impl Claim<'_> {
    fn limit(&self) -> i64 {
        i64::try_from(self.limit).unwrap_or(i64::MAX)
    }
}

/// What a leased row gets. Losing a lease in a crash of the server costs nothing: the job is taken again under another
/// token, and what the first holder writes is refused. So the commit does not wait for the disk. By an array of ids, for
/// which every plan looks the rows up: a join is planned for an unknown limit, and then reads the whole table.
const SET_LEASE: &str =
    "UPDATE jobs SET state = 'RUNNING', lease_holder = $2, lease_until = now() + $3 * interval '1 ms',
    lease_token = gen_random_uuid(), attempts = attempts + 1, leases = leases + 1,
    started_at = coalesce(started_at, now())
    FROM (SELECT set_config('synchronous_commit', 'off', true)) AS hasty
    WHERE jobs.id = ANY (ARRAY(SELECT id FROM due)) RETURNING jobs.*";

/// Takes due jobs of the highest priority, in turn from each tenant; none where the queue is paused or there are rules.
/// The cost depends on `limit`, not on how many wait: each tenant is one step in the index, each job another.
pub async fn lease(db: &impl ConnectionTrait, claim: Claim<'_>) -> Result<Vec<Model>> {
    let mut taken = Model::find_by_statement(lease_statement(claim)).all(db).await.doing("take jobs")?;
    in_turn(&mut taken, claim.after_tenant);
    Ok(taken)
}

/// What [`lease`] runs, apart so that its plan can be looked at.
pub fn lease_statement(claim: Claim<'_>) -> Statement {
    // Materialized: a plan that ran the inner question once per row of `jobs` would take more than `limit`. The priority
    // as a question of its own, and tenants in the whole order of `jobs_ready`: otherwise a plan may walk another index.
    let next_tenant = |after: &str| {
        format!(
            "(SELECT tenant_id FROM jobs WHERE queue = $1 AND state = 'PENDING'
                  AND priority = (SELECT priority FROM head) {after} ORDER BY tenant_id, turn, id LIMIT 1)"
        )
    };
    let (first, after_last) = (next_tenant(""), next_tenant("AND tenant_id > $5"));
    let next = next_tenant("AND tenant_id > turns.tenant_id");
    let sql = format!(
        "WITH RECURSIVE head AS (
             SELECT priority FROM jobs WHERE queue = $1 AND state = 'PENDING' AND NOT {IS_PAUSED} AND NOT {HAS_RULES}
             ORDER BY priority DESC LIMIT 1
         ), following AS (
             SELECT 1::bigint AS n, {after_last} AS tenant_id
             UNION ALL SELECT n + 1, {next} FROM following turns WHERE tenant_id IS NOT NULL AND n < $4
         ), wrapped AS (
             SELECT 1::bigint AS n, {first} AS tenant_id
             UNION ALL SELECT n + 1, {next} FROM wrapped turns WHERE tenant_id IS NOT NULL AND n < $4
         ), served AS (
             SELECT tenant_id, row_number() OVER (ORDER BY lap, n) AS place, count(*) OVER () AS tenants FROM (
                 SELECT 1 AS lap, n, tenant_id FROM following WHERE tenant_id IS NOT NULL
                 UNION ALL SELECT 2, n, tenant_id FROM wrapped WHERE tenant_id <= $5
                 ORDER BY lap, n LIMIT $4
             ) AS turns
         ), due AS MATERIALIZED (
             SELECT j.id FROM served, LATERAL (
                 SELECT id FROM jobs WHERE queue = $1 AND state = 'PENDING' AND priority = (SELECT priority FROM head)
                     AND tenant_id = served.tenant_id
                 ORDER BY turn, id LIMIT $4 / tenants + CASE WHEN place <= $4 % tenants THEN 1 ELSE 0 END
                 FOR UPDATE SKIP LOCKED
             ) AS j
         ) {SET_LEASE}"
    );
    let values = [
        claim.queue.into(),
        claim.holder.into(),
        millis(claim.lease).into(),
        claim.limit().into(),
        claim.after_tenant.into(),
    ];
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// In the order in which they should start; the last one is of the tenant after whom the next claim goes on.
fn in_turn(jobs: &mut [Model], after: Uuid) {
    jobs.sort_by_key(|job| (job.tenant_id <= after, job.tenant_id, job.turn, job.id));
}

/// A waiting job that limits may hold back.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
#[expect(missing_docs, reason = "columns of `jobs`")]
pub struct Candidate {
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub kind: String,
    pub provider: Option<String>,
    pub priority: i16,
    pub turn: i64,
}

/// What must not be started now.
#[derive(Debug, Default)]
pub struct Held {
    /// Jobs of these kinds.
    pub kinds: Vec<String>,
    /// Jobs that depend on these providers.
    pub providers: Vec<String>,
    /// Jobs of these tenants.
    pub tenants: Vec<Uuid>,
}

/// Flows of which jobs are offered in one claim under limits. Those after them come at a later one: tenants take turns.
const FLOWS_LIMIT: i64 = 1_000;

/// The first jobs of every flow that is not held back, at most `claim.limit` each: a held flow or tenant costs one step
/// in the index, however many of its jobs wait.
pub async fn candidates(db: &impl ConnectionTrait, claim: Claim<'_>, held: Held) -> Result<Vec<Candidate>> {
    Candidate::find_by_statement(candidates_statement(claim, held)).all(db).await.doing("look for jobs")
}

/// What [`candidates`] runs, apart so that its plan can be looked at.
pub fn candidates_statement(claim: Claim<'_>, held: Held) -> Statement {
    // One lap over the flows, from the tenant after the one served last; the recursion goes as far as it is read.
    let lap = |first: &str, end: &str| {
        format!(
            "(SELECT tenant_id, flow, kind, provider FROM jobs WHERE queue = $1 AND state = 'PENDING' AND {first}
              ORDER BY tenant_id, flow LIMIT 1)
             UNION ALL
             SELECT next.* FROM lap, LATERAL (
                 SELECT tenant_id, flow, kind, provider FROM jobs WHERE queue = $1 AND state = 'PENDING' AND {end}
                     AND (tenant_id, flow) > (lap.tenant_id,
                         CASE WHEN lap.tenant_id = ANY($6) THEN {last} ELSE lap.flow END)
                 ORDER BY tenant_id, flow LIMIT 1
             ) AS next",
            last = i64::MAX,
        )
    };
    // No lower bound but the last flow: beside a second one the index may be read from that.
    let (following, wrapped) = (lap("tenant_id > $7", "true"), lap("tenant_id <= $7", "tenant_id <= $7"));
    let sql = format!(
        "SELECT j.* FROM (
             SELECT * FROM (
                 (WITH RECURSIVE lap AS ({following}) SELECT * FROM lap)
                 UNION ALL (WITH RECURSIVE lap AS ({wrapped}) SELECT * FROM lap)
             ) AS laps
             WHERE kind <> ALL($4) AND coalesce(provider <> ALL($5), true) AND tenant_id <> ALL($6) LIMIT $3
         ) AS flows, LATERAL (
             SELECT id, tenant_id, kind, provider, priority, turn FROM jobs
             WHERE queue = $1 AND state = 'PENDING' AND tenant_id = flows.tenant_id AND flow = flows.flow
             ORDER BY priority DESC, turn, id LIMIT $2
         ) AS j"
    );
    let values = [
        claim.queue.into(),
        claim.limit().into(),
        FLOWS_LIMIT.into(),
        held.kinds.into(),
        held.providers.into(),
        held.tenants.into(),
        claim.after_tenant.into(),
    ];
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// Takes these jobs, or those of them that still wait.
pub async fn take(tx: &Transaction, claim: Claim<'_>, ids: Vec<Uuid>) -> Result<Vec<Model>> {
    let sql = format!(
        "WITH due AS MATERIALIZED (
             SELECT id FROM jobs WHERE id = ANY($4) AND queue = $1 AND state = 'PENDING' FOR UPDATE SKIP LOCKED
         ) {SET_LEASE}"
    );
    let values = [claim.queue.into(), claim.holder.into(), millis(claim.lease).into(), ids.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let mut taken = Model::find_by_statement(statement).all(tx).await.doing("take jobs")?;
    in_turn(&mut taken, claim.after_tenant);
    Ok(taken)
}

/// Jobs made due per statement.
const PROMOTED_AT_ONCE: i64 = 1_000;

/// Lets jobs whose time has come wait for a worker, first in their line; wakes those. Gives how many.
pub async fn promote_due(store: &Store) -> Result<usize> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "WITH due AS MATERIALIZED (
             SELECT id FROM jobs WHERE state IN ('SCHEDULED', 'RETRYING') AND run_at <= now()
             ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED
         )
         UPDATE jobs SET state = 'PENDING', turn = coalesce((
             SELECT o.turn - 1 FROM jobs o WHERE o.queue = jobs.queue AND o.state = 'PENDING'
                 AND o.priority = jobs.priority AND o.tenant_id = jobs.tenant_id ORDER BY o.turn, o.id LIMIT 1), 0)
         WHERE id = ANY (ARRAY(SELECT id FROM due)) RETURNING queue, id",
        [PROMOTED_AT_ONCE.into()],
    );
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
pub async fn next_due(db: &impl ConnectionTrait) -> Result<Option<DateTimeUtc>> {
    let question = "SELECT min(run_at) FROM jobs WHERE state IN ('SCHEDULED', 'RETRYING')";
    let row =
        db.query_one_raw(Statement::from_string(DbBackend::Postgres, question)).await.doing("look for due jobs")?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0)).doing("look for due jobs")
}

/// Prolongs a process's leases on these jobs in one statement, and tells which of them it still holds. Leases on others
/// run out: nobody works on those.
pub async fn renew(
    db: &impl ConnectionTrait,
    holder: Uuid,
    lease: Duration,
    jobs: Vec<Uuid>,
) -> Result<Vec<(Uuid, Uuid)>> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "UPDATE jobs SET lease_until = now() + $2 * interval '1 ms'
         WHERE lease_holder = $1 AND id = ANY($3) RETURNING id, lease_token",
        [holder.into(), millis(lease).into(), jobs.into()],
    );
    let rows = db.query_all_raw(statement).await.doing("renew leases")?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect::<Result<_, sea_orm::DbErr>>()
        .doing("renew leases")
}

/// Jobs whose lease ran out: their worker is gone or stalled.
pub async fn expired(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM jobs WHERE state = 'RUNNING' AND lease_until < now() ORDER BY lease_until LIMIT $1",
        [limit.cast_signed().into()],
    );
    Model::find_by_statement(question).all(db).await.doing("look for lost workers' jobs")
}

/// Locks a job whose lease ran out; `LEASE_LOST` where it was renewed or somebody else was faster.
pub async fn confirm_expired(tx: &Transaction, job: &Model) -> Result<()> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT 1 FROM jobs WHERE id = $1 AND lease_token = $2 AND state = 'RUNNING' AND lease_until < now() FOR UPDATE",
        [job.id.into(), job.lease_token.into()],
    );
    let row = tx.query_one_raw(question).await.doing("look for the lost worker's job")?;
    row.map(|_| ()).ok_or_else(Error::lease_lost)
}
