//! `Job`

mod attempt;
mod event;
mod filter;
mod payload;
mod source;
mod steer;
mod step;
mod wait;

use async_graphql::connection::EmptyFields;
use async_graphql::{Context, Description, Enum, ID, Object, SimpleObject};

use super::collection::{Collection, page_cost};
use super::document::{Document, Failure};
use super::run::Run;
use super::worker::Worker;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::{
    AttemptsOf, CollectionById, DocumentById, EventPage, RunById, StepsOf, WaitOf, WorkerById,
};
use crate::graphql::page::{self, Place};
use crate::graphql::types::connection::Connection;
use crate::graphql::types::date_time::DateTime;
use crate::id::Kind;
use crate::queue::wait::Waiting;
use crate::store::entity::job::{JobState as StoredState, Model};

pub use attempt::JobAttempt;
pub use event::JobEvent;
pub use filter::{JobFilterInput, JobTotal};
pub use payload::JobPayload;
pub use source::SourceReport;
pub use steer::{JobsPayload, SelectJobsInput, SetJobPriorityInput};
pub use step::JobStep;
pub use wait::JobWait;

/// A durable unit of work.
#[derive(Description)]
pub struct Job(pub Model);

impl From<Model> for Job {
    fn from(row: Model) -> Self {
        Self(row)
    }
}

#[Object(use_type_description)]
impl Job {
    /// Global id, `job_…`.
    pub async fn id(&self) -> ID {
        ID(Kind::Job.encode(self.0.id))
    }

    /// What it does: `ingest_document`, `build_index`, `purge_collection`.
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// The queue whose workers take it.
    async fn queue(&self) -> &str {
        &self.0.queue
    }

    /// Where it stands.
    async fn state(&self) -> JobState {
        self.0.state.into()
    }

    /// -1,000 to 1,000; of the jobs of a queue the highest are taken first.
    async fn priority(&self) -> i16 {
        self.0.priority
    }

    /// Whose it is, `ten_…`.
    async fn tenant_id(&self) -> ID {
        ID(Kind::Tenant.encode(self.0.tenant_id))
    }

    /// What it depends on, as limits and circuit breakers know it: the part of its model's name before the slash.
    async fn provider(&self) -> Option<&str> {
        self.0.provider.as_deref()
    }

    /// Where it has one, no second job of this key was enqueued beside it.
    async fn unique_key(&self) -> Option<&str> {
        self.0.unique_key.as_deref()
    }

    /// Attempts of the job that count: those that were given back, or waited for a provider or for room on the disk, do not.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// Attempts after which it is `DEAD`.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// Times that it was started again after its end.
    async fn redrives(&self) -> i32 {
        self.0.redrives
    }

    /// What it was enqueued with.
    async fn payload(&self, ctx: &Context<'_>) -> JobPayload {
        JobPayload::of(&self.0, ctx.app().config.graphql.payload_limit_bytes)
    }

    /// The step at which it is, or failed; null where its kind is not known.
    async fn stage(&self, ctx: &Context<'_>) -> Option<String> {
        let first = || Some(ctx.kinds().steps(&self.0.kind).first()?.name.to_owned());
        self.0.stage.clone().or_else(first)
    }

    /// Its steps in order. A finished one is never done again.
    #[graphql(complexity = "4 * child_complexity + 1")]
    async fn steps(&self, ctx: &Context<'_>) -> Result<Vec<JobStep>> {
        let rows = ctx.loader().load_one(StepsOf(self.0.id)).await.or_fault()?.unwrap_or_default();
        Ok(step::merged(&self.0, ctx.kinds().steps(&self.0.kind), rows))
    }

    /// What a job of the kind `ingest_source` took in, and what it could not; null for other kinds, and before an attempt
    /// has read its source to the end.
    async fn source_report(&self, ctx: &Context<'_>) -> Result<Option<SourceReport>> {
        let rows = ctx.loader().load_one(StepsOf(self.0.id)).await.or_fault()?.unwrap_or_default();
        Ok(SourceReport::of(&self.0, &rows))
    }

    /// How far the work is; null before it is known how much there is.
    async fn progress(&self) -> Option<JobProgress> {
        JobProgress::of(self.0.progress_done, self.0.progress_total, self.0.progress_unit.as_deref())
    }

    /// Why the last attempt failed.
    async fn error(&self) -> Option<Failure> {
        Failure::of(self.0.error_code.as_deref(), self.0.error_message.as_deref())
    }

    /// When it was enqueued.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// Not before this time is it taken.
    async fn run_at(&self) -> DateTime {
        self.0.run_at.into()
    }

    /// When its first attempt began.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(Into::into)
    }

    /// When it reached a terminal state.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(Into::into)
    }

    /// Until when its worker may go without a sign of life; null unless `RUNNING`.
    async fn lease_until(&self) -> Option<DateTime> {
        self.0.lease_until.map(Into::into)
    }

    /// The worker process that is at it; null unless `RUNNING`, or where the process is not known any more.
    async fn worker(&self, ctx: &Context<'_>) -> Result<Option<Worker>> {
        let Some(id) = self.0.lease_holder else { return Ok(None) };
        Ok(ctx.loader().load_one(WorkerById(id)).await.or_fault()?.map(Worker))
    }

    /// Whether its worker was lost: `RUNNING`, and its lease ran out. It is taken up again by itself. A job that waits
    /// is never stalled, however long it waits.
    async fn is_stalled(&self, ctx: &Context<'_>) -> bool {
        self.0.state == StoredState::Running && self.0.lease_until.is_some_and(|until| until < ctx.app().now())
    }

    /// Why it waits, its place in line, and when it may start; null unless `SCHEDULED`, `PENDING` or `RETRYING`.
    #[graphql(complexity = "child_complexity + 10")]
    async fn wait(&self, ctx: &Context<'_>) -> Result<Option<JobWait>> {
        let Some(waiting) = Waiting::of(&self.0) else { return Ok(None) };
        Ok(ctx.loader().load_one(WaitOf(waiting)).await.or_fault()?.map(Into::into))
    }

    /// Every time that a worker took it, oldest first; of more than 100 (a setting) the last.
    #[graphql(complexity = "5 * child_complexity + 1")]
    async fn attempt_history(&self, ctx: &Context<'_>) -> Result<Vec<JobAttempt>> {
        let rows = ctx.loader().load_one(AttemptsOf(self.0.id)).await.or_fault()?.unwrap_or_default();
        Ok(rows.into_iter().map(JobAttempt).collect())
    }

    /// Everything that happened to it, in order. `jobUpdated` goes on after any cursor of this list.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn events(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "page::DEFAULT_FIRST", desc = "Events on the page, 1-100.")] first: i32,
        #[graphql(desc = "Start after this cursor.")] after: Option<String>,
    ) -> Result<Connection<JobEvent, EmptyFields>> {
        let (first, limit) = page::rows_to_read("first", first, ctx.app().config.graphql.page_limit).or_fault()?;
        let list = JobEvent::list(self.0.id);
        let after = list.number_after("after", after.as_deref(), self.0.last_event).or_fault()?;
        let page = EventPage { job: self.0.id, after: after.unwrap_or(0), limit };
        let rows = ctx.loader().load_one(page).await.or_fault()?.unwrap_or_default();
        Ok(list.page(rows, first, after.is_some(), EmptyFields, |row| Place::Number(row.sequence)))
    }

    /// The collection it works for.
    async fn collection(&self, ctx: &Context<'_>) -> Result<Option<Collection>> {
        let Some(id) = self.0.collection_id else { return Ok(None) };
        Ok(ctx.loader().load_one(CollectionById(id)).await.or_fault()?.map(Collection))
    }

    /// The document it works on.
    async fn document(&self, ctx: &Context<'_>) -> Result<Option<Document>> {
        let Some(id) = self.0.document_id else { return Ok(None) };
        Ok(ctx.loader().load_one(DocumentById(id)).await.or_fault()?.map(Document))
    }

    /// The run it belongs to.
    async fn run(&self, ctx: &Context<'_>) -> Result<Option<Run>> {
        let Some(id) = self.0.run_id else { return Ok(None) };
        Ok(ctx.loader().load_one(RunById(id)).await.or_fault()?.map(Run))
    }

    /// The schedule that made it, `sch_…`.
    async fn schedule_id(&self) -> Option<ID> {
        self.0.schedule_id.map(|id| ID(Kind::Schedule.encode(id)))
    }
}

/// How far a job is.
#[derive(SimpleObject)]
pub struct JobProgress {
    /// Units done.
    done: i64,
    /// Units in all.
    total: i64,
    /// What is counted: `chunks`, `vectors`, `documents`.
    unit: String,
}

impl JobProgress {
    /// The progress of a row that tells it.
    fn of(done: i64, total: Option<i64>, unit: Option<&str>) -> Option<Self> {
        Some(Self { done, total: total?, unit: unit?.to_owned() })
    }
}

/// Where a job stands. `SUCCEEDED`, `CANCELLED` and `DEAD` are terminal.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "StoredState")]
pub enum JobState {
    /// Waits for its time.
    Scheduled,
    /// Waits for a worker.
    Pending,
    /// A worker is at it.
    Running,
    /// An attempt failed; waits for the next.
    Retrying,
    /// Done.
    Succeeded,
    /// Cancelled.
    Cancelled,
    /// Failed for good.
    Dead,
}
