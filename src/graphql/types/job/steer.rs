//! What mutations over jobs take and give.

use async_graphql::{Context, Enum, ID, InputObject, OneofObject, SimpleObject};

use super::{Job, JobFilterInput, filter};
use crate::error::{Error, Result};
use crate::graphql::context::ContextExt;
use crate::id::Kind;
use crate::queue::steer::{self, Left, LeftReason, Selection, Steered, Steering};

/// Jobs to do something with.
#[derive(InputObject)]
pub struct SelectJobsInput {
    /// Which.
    pub selection: JobSelectionInput,
}

/// Jobs, and where in line they shall be.
#[derive(InputObject)]
pub struct SetJobPriorityInput {
    /// Which.
    pub selection: JobSelectionInput,
    /// -1,000 to 1,000; the highest are taken first, and 0 is what jobs begin with.
    priority: i32,
}

impl SetJobPriorityInput {
    /// The checked input.
    pub fn checked(self) -> Result<(JobSelectionInput, Steering)> {
        let priority = i16::try_from(self.priority).ok().filter(|priority| PRIORITIES.contains(priority));
        let expected = || format!("{} to {}", PRIORITIES.start(), PRIORITIES.end());
        let priority = priority.ok_or_else(|| Error::input("input.priority", self.priority, expected()))?;
        Ok((self.selection, Steering::SetPriority(priority)))
    }
}

/// Far more than anyone tells apart; leaves room on both sides for what the queue may need itself.
const PRIORITIES: std::ops::RangeInclusive<i16> = -1_000..=1_000;

/// Which jobs.
#[derive(OneofObject)]
#[expect(clippy::large_enum_variant, reason = "one per request, and the derive knows no boxes")]
pub enum JobSelectionInput {
    /// These, at most 1,000 (a setting).
    Ids(Vec<ID>),
    /// Those that a filter finds, oldest first, up to 1,000 (a setting). A filter without states means those that can
    /// be changed so.
    Filter(JobFilterInput),
}

impl JobSelectionInput {
    /// Steers the selected jobs.
    pub async fn steer(self, ctx: &Context<'_>, steering: Steering) -> Result<JobsPayload> {
        let app = ctx.app();
        let limit = app.config.queue.selection_limit;
        let selection = match self {
            Self::Ids(ids) => Selection::Ids(filter::ids("input.selection.ids", ids, limit)?),
            Self::Filter(filter) => Selection::Filter(Box::new(filter.checked(ctx, "input.selection.filter").await?)),
        };
        let limit = u64::try_from(limit).unwrap_or(u64::MAX);
        let steered = steer::steer(&app.store, ctx.kinds(), ctx.tenant(), selection, steering, limit).await?;
        Ok(steered.into())
    }
}

/// What became of the selected jobs. Nothing found is no error.
#[derive(SimpleObject)]
pub struct JobsPayload {
    /// Jobs that were changed.
    changed_count: usize,
    /// Those jobs as they are now.
    changed: Vec<Job>,
    /// Jobs that were left as they were.
    left: Vec<JobLeft>,
    /// Whether the filter finds more jobs than were looked at: call again.
    has_more: bool,
}

impl From<Steered> for JobsPayload {
    fn from(steered: Steered) -> Self {
        Self {
            changed_count: steered.changed.len(),
            changed: steered.changed.into_iter().map(Job).collect(),
            left: steered.left.into_iter().map(Into::into).collect(),
            has_more: steered.has_more,
        }
    }
}

/// A job that was left as it was.
#[derive(SimpleObject)]
pub struct JobLeft {
    /// The id that was given, or found.
    id: ID,
    /// The job, where it is there.
    job: Option<Job>,
    /// Why it was left.
    reason: JobLeftReason,
    /// The same in a sentence.
    detail: String,
}

impl From<Left> for JobLeft {
    fn from(left: Left) -> Self {
        let detail = left.detail.unwrap_or_else(|| sentence(left.reason).to_owned());
        let (id, reason) = (ID(Kind::Job.encode(left.id)), left.reason.into());
        Self { id, job: left.job.map(Job), reason, detail }
    }
}

fn sentence(reason: LeftReason) -> &'static str {
    match reason {
        LeftReason::NotFound => "there is no job with this id",
        LeftReason::Finished => "the job has ended already",
        LeftReason::Running => "a worker is at the job: cancel it first, or wait for its end",
        LeftReason::Waiting => "the job waits for a worker already",
        LeftReason::Scheduled => "the job waits for its time and has not run yet",
        LeftReason::Superseded => "what the job was about is gone or has changed",
        LeftReason::Unchanged => "the job is so already",
    }
}

/// Why a job was left as it was.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "LeftReason")]
pub enum JobLeftReason {
    /// There is no such job.
    NotFound,
    /// It has ended.
    Finished,
    /// A worker is at it.
    Running,
    /// It waits for a worker already.
    Waiting,
    /// It waits for its time, which was chosen.
    Scheduled,
    /// What it was about is gone or has changed.
    Superseded,
    /// It is so already.
    Unchanged,
}
