//! Whose turn it is: the collections of a tenant take turns, however many jobs each brings.

use sea_orm::{ConnectionTrait, DbBackend, Statement};

use crate::error::Result;
use crate::store::{Doing, TenantId};

/// The turn after which a flow's next job comes: its own last waiting one, or the turn that its tenant is at. This is
/// start-time fair queueing (Goyal, Vin, Cheng, SIGCOMM 1996) with jobs of equal length.
pub(super) async fn last_turn(
    db: &impl ConnectionTrait,
    queue: &str,
    tenant: TenantId,
    flow: i64,
    priority: i16,
) -> Result<i64> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT coalesce(
             (SELECT turn FROM jobs WHERE state = 'PENDING' AND queue = $1 AND tenant_id = $2 AND flow = $3
                  AND priority = $4 ORDER BY turn DESC, id DESC LIMIT 1),
             (SELECT turn - 1 FROM jobs WHERE state = 'PENDING' AND queue = $1 AND priority = $4 AND tenant_id = $2
                  ORDER BY turn, id LIMIT 1),
             0)",
        [queue.into(), tenant.into(), flow.into(), priority.into()],
    );
    let row = db.query_one_raw(question).await.doing("find the job's turn")?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0)).doing("find the job's turn")
}

/// The turn before all others of the job's tenant, for a change of `jobs`: what waited before is not sent to the back.
pub(super) const FRONT: &str =
    "coalesce((SELECT o.turn - 1 FROM jobs o WHERE o.queue = jobs.queue AND o.state = 'PENDING'
    AND o.priority = jobs.priority AND o.tenant_id = jobs.tenant_id ORDER BY o.turn, o.id LIMIT 1), 0)";
