//! `Job`

use async_graphql::{Context, Description, Enum, ID, Object, SimpleObject};
use chrono::{DateTime, Utc};

use super::document::{Document, Failure};
use super::run::Run;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::{DocumentById, RunById};
use crate::id::Kind;
use crate::store::entity::job::{JobState as StoredState, Model};

/// A durable unit of work.
#[derive(Description)]
pub struct Job(pub Model);

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

    /// Attempts begun so far.
    async fn attempts(&self) -> i32 {
        self.0.attempts
    }

    /// Attempts after which it is `DEAD`.
    async fn max_attempts(&self) -> i32 {
        self.0.max_attempts
    }

    /// How far the work is; null before it is known how much there is.
    async fn progress(&self) -> Option<JobProgress> {
        let (total, unit) = (self.0.progress_total?, self.0.progress_unit.clone()?);
        Some(JobProgress { done: self.0.progress_done, total, unit })
    }

    /// Why the last attempt failed.
    async fn error(&self) -> Option<Failure> {
        Failure::of(self.0.error_code.as_deref(), self.0.error_message.as_deref())
    }

    /// When it was enqueued.
    async fn created_at(&self) -> DateTime<Utc> {
        self.0.created_at
    }

    /// Not before this time is it taken.
    async fn run_at(&self) -> DateTime<Utc> {
        self.0.run_at
    }

    /// When its first attempt began.
    async fn started_at(&self) -> Option<DateTime<Utc>> {
        self.0.started_at
    }

    /// When it reached a terminal state.
    async fn finished_at(&self) -> Option<DateTime<Utc>> {
        self.0.finished_at
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

/// Where a job stands. `SUCCEEDED`, `CANCELLED` and `DEAD` are terminal.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
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

impl From<StoredState> for JobState {
    fn from(state: StoredState) -> Self {
        match state {
            StoredState::Scheduled => Self::Scheduled,
            StoredState::Pending => Self::Pending,
            StoredState::Running => Self::Running,
            StoredState::Retrying => Self::Retrying,
            StoredState::Succeeded => Self::Succeeded,
            StoredState::Cancelled => Self::Cancelled,
            StoredState::Dead => Self::Dead,
        }
    }
}
