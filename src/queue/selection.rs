//! What shall happen to which jobs, and what became of it.

use uuid::Uuid;

use super::jobs::JobFilter;
use crate::store::entity::job::Model;

/// What shall happen to jobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steering {
    /// End them, and undo what they did so far.
    Cancel,
    /// Let them run again, or now.
    Retry {
        /// Attempts that they get.
        attempts: u32,
    },
    /// Move them before or behind others.
    SetPriority(i16),
}

/// Which jobs.
#[derive(Debug, Clone)]
pub enum Selection {
    /// These.
    Ids(Vec<Uuid>),
    /// Those that a filter finds.
    Filter(Box<JobFilter>),
}

/// Why a job was left as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeftReason {
    /// There is no such job.
    NotFound,
    /// It is in a terminal state.
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

/// A job that was left as it was.
#[derive(Debug, Clone)]
pub struct Left {
    /// Which.
    pub id: Uuid,
    /// As it is, where it is there.
    pub job: Option<Model>,
    /// Why.
    pub reason: LeftReason,
    /// More about why.
    pub detail: Option<String>,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Steered {
    /// Jobs that were changed, as they are now.
    pub changed: Vec<Model>,
    /// Jobs that were left.
    pub left: Vec<Left>,
    /// The filter finds more than were looked at.
    pub has_more: bool,
}
