//! Taking a lease: what makes a waiting job a running one.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

use super::queues::{HAS_RULES, IS_PAUSED};
use crate::error::Result;
use crate::store::entity::job::Model;
use crate::store::{Doing, Transaction, millis};

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
    pub(super) fn limit(&self) -> i64 {
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

/// Takes these jobs, or those of them that still wait.
pub async fn lease_these(tx: &Transaction, claim: Claim<'_>, ids: Vec<Uuid>) -> Result<Vec<Model>> {
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
