//! Where waiting jobs stand in their line.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

use crate::error::Result;
use crate::store::{Doing, TenantId};

/// How many jobs come before one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct Place {
    /// The job.
    pub id: Uuid,
    /// Jobs that will be taken before it, counted up to the limit.
    pub ahead: i64,
}

/// The places of those of `jobs` that are `PENDING`. Ahead are the jobs of higher priority, those of the same tenant
/// whose turn is before, and as many of each other tenant's, who takes turns with it.
pub async fn places(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    jobs: &[Uuid],
    limit: u64,
) -> Result<HashMap<Uuid, Place>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT j.id, least($3, higher.jobs + own.jobs + others.jobs)::bigint AS ahead FROM jobs j,
         LATERAL (SELECT count(*) AS jobs FROM (SELECT FROM jobs o WHERE o.queue = j.queue AND o.state = 'PENDING'
             AND o.priority > j.priority LIMIT $3) AS o) AS higher,
         LATERAL (SELECT count(*) AS jobs FROM (SELECT FROM jobs o WHERE o.queue = j.queue AND o.state = 'PENDING'
             AND o.priority = j.priority AND o.tenant_id = j.tenant_id AND (o.turn, o.id) < (j.turn, j.id)
             LIMIT $3) AS o) AS own,
         LATERAL (SELECT coalesce(sum(least(o.jobs, own.jobs + 1)), 0) AS jobs FROM (
             SELECT count(*) AS jobs FROM (SELECT o.tenant_id FROM jobs o WHERE o.queue = j.queue
                 AND o.state = 'PENDING' AND o.priority = j.priority AND o.tenant_id <> j.tenant_id LIMIT $3) AS o
             GROUP BY o.tenant_id) AS o) AS others
         WHERE j.tenant_id = $1 AND j.id = ANY($2) AND j.state = 'PENDING'",
        [tenant.into(), jobs.to_vec().into(), limit.cast_signed().into()],
    );
    let rows = Place::find_by_statement(question).all(db).await.doing("find the jobs' places")?;
    Ok(rows.into_iter().map(|place| (place.id, place)).collect())
}
