//! What jobs do, in memory.

use std::collections::BTreeSet;

use uuid::Uuid;
use vectorforge::queue::steer::LeftReason;
use vectorforge::store::entity::job::{JobState, Model as Row};

/// A job as it should be.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    pub id: Uuid,
    pub state: JobState,
    pub attempts: i32,
    pub max_attempts: i32,
    pub leases: i32,
    pub holder: Option<Uuid>,
    /// Of the last lease.
    pub token: Option<Uuid>,
    pub redrives: i32,
    pub priority: i16,
    pub done: i64,
    pub total: Option<i64>,
    pub error: Option<String>,
    /// Its time has come. Only of meaning while it waits for it.
    pub is_due: bool,
    pub steps: BTreeSet<String>,
}

impl Job {
    /// A new one.
    pub fn new(id: Uuid, is_later: bool, max_attempts: i32) -> Self {
        Self {
            id,
            state: if is_later { JobState::Scheduled } else { JobState::Pending },
            attempts: 0,
            max_attempts,
            leases: 0,
            holder: None,
            token: None,
            redrives: 0,
            priority: 0,
            done: 0,
            total: None,
            error: None,
            is_due: !is_later,
            steps: BTreeSet::new(),
        }
    }

    /// The same of a row.
    pub fn of(row: &Row, steps: BTreeSet<String>, is_due: bool) -> Self {
        Self {
            id: row.id,
            state: row.state,
            attempts: row.attempts,
            max_attempts: row.max_attempts,
            leases: row.leases,
            holder: row.lease_holder,
            token: row.lease_token,
            redrives: row.redrives,
            priority: row.priority,
            done: row.progress_done,
            total: row.progress_total,
            error: row.error_code.clone(),
            is_due,
            steps,
        }
    }

    /// Whether a worker may still write under a lease.
    pub fn is_under(&self, lease: &Row) -> bool {
        self.state == JobState::Running && self.token == lease.lease_token
    }

    pub fn lease(&mut self, lease: &Row) {
        self.state = JobState::Running;
        (self.holder, self.token) = (lease.lease_holder, lease.lease_token);
        self.leases += 1;
        self.attempts += 1;
    }

    pub fn leave(&mut self, state: JobState) {
        self.state = state;
        self.holder = None;
    }

    pub fn succeed(&mut self) {
        self.leave(JobState::Succeeded);
        self.done = self.total.unwrap_or(self.done);
        self.error = None;
    }

    /// After a failed attempt.
    pub fn fail(&mut self, code: &str, is_transient: bool) {
        let goes_on = is_transient && self.attempts < self.max_attempts;
        self.leave(if goes_on { JobState::Retrying } else { JobState::Dead });
        self.error = Some(code.to_owned());
        self.is_due = true;
    }

    pub fn promote(&mut self) {
        if self.is_due && matches!(self.state, JobState::Scheduled | JobState::Retrying) {
            self.state = JobState::Pending;
        }
    }

    pub fn give_back(&mut self) {
        self.leave(JobState::Pending);
        self.attempts -= 1;
    }

    pub fn cancel(&mut self) -> Option<LeftReason> {
        if self.state.is_terminal() {
            return Some(LeftReason::Finished);
        }
        self.leave(JobState::Cancelled);
        None
    }

    pub fn retry(&mut self, attempts: i32) -> Option<LeftReason> {
        match self.state {
            JobState::Running => return Some(LeftReason::Running),
            JobState::Pending => return Some(LeftReason::Waiting),
            JobState::Scheduled => return Some(LeftReason::Scheduled),
            JobState::Retrying => {}
            JobState::Succeeded | JobState::Cancelled | JobState::Dead => {
                self.redrives += 1;
                self.max_attempts = self.attempts + attempts;
                self.error = None;
            }
        }
        self.state = JobState::Pending;
        None
    }

    pub fn set_priority(&mut self, priority: i16) -> Option<LeftReason> {
        if self.state.is_terminal() {
            return Some(LeftReason::Finished);
        }
        if self.priority == priority {
            return Some(LeftReason::Unchanged);
        }
        self.priority = priority;
        None
    }
}
