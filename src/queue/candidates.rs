//! Jobs that may be taken under limits and circuits: what [`super::admit`] decides about.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

use super::lease::Claim;
use crate::error::Result;
use crate::store::Doing;

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
