//! `JobEvent`

use std::sync::Arc;

use async_graphql::{Context, Description, Enum, ID, Object};
use uuid::Uuid;

use super::{Job, JobProgress, JobState};
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::JobById;
use crate::graphql::page::{List, Place};
use crate::graphql::types::date_time::DateTime;
use crate::graphql::types::document::Failure;
use crate::id::Kind;
use crate::queue::history::EventRow;

/// One thing that happened to a job, with the state it led to. A job's events come in order, each once.
#[derive(Description)]
pub struct JobEvent(pub Arc<EventRow>);

impl From<EventRow> for JobEvent {
    fn from(row: EventRow) -> Self {
        Self(Arc::new(row))
    }
}

impl JobEvent {
    /// The list of a job's events.
    pub fn list(job: Uuid) -> List {
        List::new("job events", &job)
    }
}

#[Object(use_type_description)]
impl JobEvent {
    /// Where this event stands: `jobUpdated` with it as `after` goes on with the next one.
    async fn cursor(&self) -> String {
        Self::list(self.0.job_id).cursor(Place::Number(self.0.sequence))
    }

    /// When it happened.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// What happened.
    async fn kind(&self) -> JobEventKind {
        JobEventKind::of(&self.0.kind)
    }

    /// The state it led to.
    async fn state(&self) -> JobState {
        self.0.state.into()
    }

    /// Attempts that count so far.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// The worker process that it was or is under, `wrk_…`.
    async fn worker_id(&self) -> Option<ID> {
        self.0.worker.map(|id| ID(Kind::Worker.encode(id)))
    }

    /// The step at which the job is; null at the first.
    async fn stage(&self) -> Option<&str> {
        self.0.stage.as_deref()
    }

    /// Its priority then.
    async fn priority(&self) -> i16 {
        self.0.priority
    }

    /// Not before this time is it taken.
    async fn run_at(&self) -> DateTime {
        self.0.run_at.into()
    }

    /// How far the work was; null before it was known how much there is.
    async fn progress(&self) -> Option<JobProgress> {
        JobProgress::of(self.0.progress_done, self.0.progress_total, self.0.progress_unit.as_deref())
    }

    /// Why an attempt failed, or had failed.
    async fn error(&self) -> Option<Failure> {
        Failure::of(self.0.error_code.as_deref(), self.0.error_message.as_deref())
    }

    /// The job as it is now; null where it was removed.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>> {
        Ok(ctx.loader().load_one(JobById(self.0.job_id)).await.or_fault()?.map(Job))
    }
}

/// What happened to a job.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum JobEventKind {
    /// It was enqueued: always the first event.
    Enqueued,
    /// Its time came, or it was brought forward: it waits for a worker.
    Due,
    /// A worker took it.
    Started,
    /// It is further, or at its next step.
    Progressed,
    /// Its process stopped and gave it back.
    Released,
    /// An attempt failed, or its provider must be waited for; another attempt follows.
    Retrying,
    /// It was moved before or behind others.
    PriorityChanged,
    /// Done.
    Succeeded,
    /// Cancelled.
    Cancelled,
    /// Failed for good.
    Dead,
    /// It was started again after its end.
    Redriven,
}

impl JobEventKind {
    fn of(kind: &str) -> Self {
        match kind {
            "ENQUEUED" => Self::Enqueued,
            "DUE" => Self::Due,
            "STARTED" => Self::Started,
            "RELEASED" => Self::Released,
            "RETRYING" => Self::Retrying,
            "PRIORITY_CHANGED" => Self::PriorityChanged,
            "SUCCEEDED" => Self::Succeeded,
            "CANCELLED" => Self::Cancelled,
            "DEAD" => Self::Dead,
            "REDRIVEN" => Self::Redriven,
            // The database writes no other.
            _ => Self::Progressed,
        }
    }
}
