//! `JobWait`

use async_graphql::{Enum, SimpleObject};

use crate::graphql::types::date_time::DateTime;
use crate::queue::wait::{Wait, WaitReason};

/// How a job waits. It is not stalled: no worker has it.
#[derive(SimpleObject)]
pub struct JobWait {
    /// Why.
    reason: JobWaitReason,
    /// Its place among the jobs of all tenants in its queue: 1 is next. Null unless it is `PENDING`.
    position: Option<u64>,
    /// False where more than 10,000 (a setting) are before it: then it is at least at that place.
    is_position_exact: bool,
    /// When it may start: its own time, the time when its provider is asked again, or its place by the pace of the
    /// queue. Null where that is not known, and while the queue is paused or has no workers.
    expected_start_at: Option<DateTime>,
}

impl From<Wait> for JobWait {
    fn from(wait: Wait) -> Self {
        Self {
            reason: wait.reason.into(),
            position: wait.position,
            is_position_exact: wait.is_position_exact,
            expected_start_at: wait.expected_start_at.map(Into::into),
        }
    }
}

/// Why a job waits.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "WaitReason")]
pub enum JobWaitReason {
    /// Others come first.
    Queued,
    /// Its time was chosen and has not come.
    Scheduled,
    /// An attempt failed, and the pause before the next is not over.
    Backoff,
    /// Its queue is paused.
    QueuePaused,
    /// A limit on its queue, kind, provider or tenant is used up.
    Limited,
    /// Its provider failed again and again and is left alone for a while.
    CircuitOpen,
    /// No worker process for its queue was seen of late.
    NoWorkers,
}
