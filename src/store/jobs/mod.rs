//! Jobs: rows, leases and ends. Every change of a leased job names its lease, so that a worker that lost it changes
//! nothing. Which state may follow which is the database's own rule (migration `m0025_job_rules`).

mod enqueue;
mod lease;
mod list;
mod place;
mod settle;
mod steer;
mod steps;

pub use enqueue::{Enqueued, NewJob, Uniqueness, enqueue, enqueue_unique};
pub use lease::{
    Candidate, Claim, Held, candidates, candidates_statement, confirm_expired, expired, lease, lease_statement,
    next_due, promote_due, renew, take,
};
pub use list::{
    AttemptRow, EventRow, JobFilter, attempts_of, by_ids, counts, events, events_of, newest_of, page, select,
    unfinished_of,
};
pub use place::{Place, places};
pub use settle::{Ended, Failed, bury, confirm, give_back, postpone, retry, set_progress, succeed, succeed_all};
pub use steer::{bring_forward, cancel, cancel_of_collection, lock, redrive, set_priority};
pub use steps::{
    StepRow, finish_step, finished_steps, forget_failures, forget_steps, keep_result, note_failure, steps_of,
};

use std::time::Duration;

pub(super) fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
