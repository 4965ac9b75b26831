//! Subscriptions. Rows are the truth: join the signal first, read what is there, then read again at each signal. What
//! many follow is read once.

mod events;
mod feeds;
mod log;
mod readers;
mod ring;
mod states;

use async_graphql::{Context, Description, ID, Subscription as GraphqlSubscription};
use futures_util::stream::Stream;

use super::context::ContextExt;
use super::fault::{OrFault, Result};
use super::types::job::JobEvent;
use super::types::progress::IngestProgress;
use super::types::queue::{self, QueueUpdate};
use crate::error::Error;
use crate::id::Kind;
use log::{JobLog, RunLog};

pub use feeds::Feeds;

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
        let log = RunLog { app: ctx.app().clone(), tenant: ctx.tenant(), run };
        let head = events::head(&log).await.or_fault()?;
        let head = head.ok_or_else(|| Error::not_found("runId", "run", &*run_id)).or_fault()?;
        let after = IngestProgress::list(run).number_after("after", after.as_deref(), head.last).or_fault()?;
        Ok(events::follow(Feeds::of(ctx).runs.clone(), log, after.unwrap_or(0), head, IngestProgress))
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
        let log = JobLog { app: ctx.app().clone(), tenant: ctx.tenant(), job };
        let head = events::head(&log).await.or_fault()?;
        let head = head.ok_or_else(|| Error::not_found("jobId", "job", &*job_id)).or_fault()?;
        let after = JobEvent::list(job).number_after("after", after.as_deref(), head.last).or_fault()?;
        Ok(events::follow(Feeds::of(ctx).jobs.clone(), log, after.unwrap_or(0), head, JobEvent))
    }

    /// A queue as it is now, then again whenever it changed, at most every 250 ms (a setting). States in between are
    /// left out: the latest counts. Never ends by itself.
    async fn queue_updated(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The queue.")] queue: String,
        #[graphql(desc = "The cursor of the last state seen: the first comes once it differs.")] after: Option<String>,
    ) -> Result<impl Stream<Item = Result<QueueUpdate>> + use<>> {
        let after = QueueUpdate::list(&queue).id_after("after", after.as_deref()).or_fault()?;
        queue::check(ctx.app(), &[("queue".to_owned(), &queue)]).await.or_fault()?;
        Ok(states::follow(&Feeds::of(ctx).queues, ctx.app(), queue, after))
    }
}
