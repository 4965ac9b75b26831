//! `JobAttempt`

use async_graphql::{Description, Enum, ID, Object};

use crate::graphql::types::date_time::DateTime;
use crate::graphql::types::document::Failure;
use crate::id::Kind;
use crate::queue::history::AttemptRow;

/// One time that a worker took a job, from its start to its end.
#[derive(Description)]
pub struct JobAttempt(pub AttemptRow);

#[Object(use_type_description)]
impl JobAttempt {
    /// When the worker took it.
    async fn started_at(&self) -> DateTime {
        self.0.started_at.into()
    }

    /// When it ended; null while it goes on.
    async fn ended_at(&self) -> Option<DateTime> {
        self.0.ended_at.map(Into::into)
    }

    /// The worker process, `wrk_…`.
    async fn worker_id(&self) -> Option<ID> {
        self.0.worker.map(|id| ID(Kind::Worker.encode(id)))
    }

    /// How it ended; null while it goes on.
    async fn outcome(&self) -> Option<JobAttemptOutcome> {
        match self.0.outcome.as_deref()? {
            "SUCCEEDED" => Some(JobAttemptOutcome::Succeeded),
            "RETRYING" => Some(JobAttemptOutcome::Retrying),
            "DEAD" => Some(JobAttemptOutcome::Dead),
            "CANCELLED" => Some(JobAttemptOutcome::Cancelled),
            _ => Some(JobAttemptOutcome::Released),
        }
    }

    /// The step at which the job was when it ended; null at the first, and while it goes on.
    async fn stage(&self) -> Option<&str> {
        self.0.stage.as_deref()
    }

    /// Why it failed.
    async fn error(&self) -> Option<Failure> {
        let failed = matches!(self.0.outcome.as_deref(), Some("RETRYING" | "DEAD"));
        let code = self.0.error_code.as_deref().filter(|_| failed);
        Failure::of(code, self.0.error_message.as_deref())
    }
}

/// How an attempt ended.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
pub enum JobAttemptOutcome {
    /// The job is done.
    Succeeded,
    /// It failed, or its provider must be waited for; another attempt follows.
    Retrying,
    /// It failed for good.
    Dead,
    /// The job was cancelled meanwhile.
    Cancelled,
    /// The process stopped and gave the job back. Not counted.
    Released,
}
