//! Queries and mutations about limits on jobs.

use async_graphql::{Context, Object};

use super::context::ContextExt;
use super::fault::{OrFault, Result};
use super::types::limit::{
    JobLimit, JobLimitPayload, RemoveJobLimitInput, RemoveJobLimitPayload, SetJobLimitInput, shown_key,
};
use crate::queue::limits;

/// Flattened into the root.
pub struct LimitQuery;

#[Object]
impl LimitQuery {
    /// Every limit on jobs, by scope and key.
    async fn job_limits(&self, ctx: &Context<'_>) -> Result<Vec<JobLimit>> {
        let rows = limits::all(ctx.app().store.db()).await.or_fault()?;
        Ok(rows.into_iter().map(JobLimit::from).collect())
    }
}

/// Flattened into the root.
pub struct LimitMutation;

#[Object]
impl LimitMutation {
    /// Sets a limit on jobs, over all processes, in place of one of the same scope and key. Jobs that run already run
    /// on. A job that waits for room or for its rate starts at latest `queue.poll_ms` (2 s, a setting) after it may.
    async fn set_job_limit(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The limit.")] input: SetJobLimitInput,
    ) -> Result<JobLimitPayload> {
        let app = ctx.app();
        let limit = input.checked(app, ctx.kinds()).await.or_fault()?;
        limits::set(&app.store, &limit).await.or_fault()?;
        Ok(JobLimitPayload { limit: limit.into() })
    }

    /// Removes a limit; jobs that it held start at once.
    async fn remove_job_limit(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: RemoveJobLimitInput,
    ) -> Result<RemoveJobLimitPayload> {
        let app = ctx.app();
        let (scope, key) = input.checked(app, ctx.kinds()).await.or_fault()?;
        let removed = limits::remove(&app.store, scope, &key).await.or_fault()?;
        Ok(RemoveJobLimitPayload { scope: scope.into(), key: shown_key(scope, &key), removed })
    }
}
