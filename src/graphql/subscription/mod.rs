//! Subscriptions. Rows are the truth: join the signal first, read what is there, then read again at each signal.

mod events;
mod states;

use async_graphql::{Context, Description, ID, Subscription as GraphqlSubscription};
use futures_util::stream::Stream;

use super::context::ContextExt;
use super::fault::{OrFault, Result};
use super::page;
use super::types::job::JobEvent;
use super::types::progress::IngestProgress;
use super::types::queue::{Queue, QueueUpdate};
use crate::error::Error;
use crate::id::Kind;
use crate::store::{jobs, runs};
use events::{JobLog, RunLog};

/// Following.
#[derive(Description)]
pub struct Subscription;

#[GraphqlSubscription(use_type_description)]
impl Subscription {
    /// Every event of a run in order, each once: first those after the cursor, then the new ones as they happen. Ends
    /// by itself after the last `RUN_FINISHED`; a run of which a job was redriven has several.
    async fn ingest_progress(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The run.")] run_id: ID,
        #[graphql(desc = "The cursor of the last event seen; without it all events come.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<IngestProgress>> + use<>> {
        let run = Kind::Run.decode("runId", &run_id).or_fault()?;
        let after = page::number_after("after", after.as_deref()).or_fault()?.unwrap_or(0);
        let known = runs::by_ids(ctx.app().store.db(), ctx.tenant(), &[run]).await.or_fault()?.remove(&run);
        let known = known.ok_or_else(|| Error::not_found("runId", "run", &*run_id)).or_fault()?;
        let is_at_end = known.state.is_terminal() && known.last_event <= after;
        let log = RunLog { app: ctx.app().clone(), tenant: ctx.tenant(), run };
        Ok(events::follow(log, after, is_at_end, IngestProgress))
    }

    /// Every event of a job in order, each once: first those after the cursor, then the new ones as they happen. Ends by
    /// itself once the job is in a terminal state and nothing follows; subscribe again after a redrive.
    async fn job_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job.")] job_id: ID,
        #[graphql(desc = "The cursor of the last event seen; without it all events come.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<JobEvent>> + use<>> {
        let job = Kind::Job.decode("jobId", &job_id).or_fault()?;
        let after = page::number_after("after", after.as_deref()).or_fault()?.unwrap_or(0);
        let known = jobs::by_ids(ctx.app().store.db(), ctx.tenant(), &[job]).await.or_fault()?.remove(&job);
        let known = known.ok_or_else(|| Error::not_found("jobId", "job", &*job_id)).or_fault()?;
        let is_at_end = known.state.is_terminal() && known.last_event <= after;
        let log = JobLog { app: ctx.app().clone(), tenant: ctx.tenant(), job };
        Ok(events::follow(log, after, is_at_end, JobEvent))
    }

    /// A queue as it is now, then again whenever it changed, at most every 250 ms (a setting). States in between are
    /// left out: the latest counts. Never ends by itself.
    async fn queue_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The queue.")] queue: String,
        #[graphql(desc = "The cursor of the last state seen: the first comes once it differs.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<QueueUpdate>> + use<>> {
        let after = page::id_after("after", after.as_deref()).or_fault()?;
        Queue::of_name(ctx.app(), "queue", &queue).await.or_fault()?;
        Ok(states::follow(ctx.app().clone(), queue, after))
    }
}
