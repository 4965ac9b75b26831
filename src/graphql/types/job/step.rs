//! `JobStep`

use async_graphql::{Enum, SimpleObject};
use serde_json::Value as Json;

use crate::graphql::types::date_time::DateTime;
use crate::graphql::types::document::Failure;
use crate::queue::Step;
use crate::queue::steps::StepRow;
use crate::store::entity::job::{JobState, Model};

/// One step of a job.
#[derive(SimpleObject, Debug)]
pub struct JobStep {
    /// Its name.
    name: String,
    /// Where it stands.
    state: JobStepState,
    /// Attempts at it that ended; those of a redriven job count anew.
    attempts: i32,
    /// What it gave; null until it is finished, and for small jobs that do all steps in one transaction.
    result: Option<Json>,
    /// When it was finished.
    finished_at: Option<DateTime>,
    /// Why the last attempt at it failed; null once it is finished.
    error: Option<Failure>,
}

/// Where a step stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum JobStepState {
    /// Not begun.
    Waiting,
    /// A worker is at it.
    Running,
    /// An attempt at it failed, and it is not finished since.
    Failed,
    /// Done.
    Finished,
}

/// The steps of a job's kind with what is stored of them; then those that only another version of the kind knows.
pub fn merged(job: &Model, known: &[Step], mut rows: Vec<StepRow>) -> Vec<JobStep> {
    let current = job.stage.as_deref().or(known.first().map(|step| step.name));
    let mut steps = Vec::with_capacity(known.len());
    for name in known.iter().map(|step| step.name) {
        let row = rows.iter().position(|row| row.name == name).map(|place| rows.remove(place));
        steps.push(shown(job, name.to_owned(), row, current == Some(name)));
    }
    steps.extend(rows.into_iter().map(|row| shown(job, row.name.clone(), Some(row), false)));
    steps
}

fn shown(job: &Model, name: String, row: Option<StepRow>, is_current: bool) -> JobStep {
    // A job that ends well has done every step, whether or not each was stored by itself.
    let ended_well = job.state == JobState::Succeeded;
    let finished_at = row.as_ref().and_then(|row| row.finished_at);
    let error = row.as_ref().and_then(|row| Failure::of(row.error_code.as_deref(), row.error_message.as_deref()));
    let attempts = row.as_ref().map_or(0, |row| row.attempts);
    let state = if finished_at.is_some() || ended_well {
        JobStepState::Finished
    } else if is_current && job.state == JobState::Running {
        JobStepState::Running
    } else if error.is_some() {
        JobStepState::Failed
    } else {
        JobStepState::Waiting
    };
    JobStep {
        name,
        state,
        attempts: attempts + i32::from(ended_well && finished_at.is_none()),
        result: row.and_then(|row| row.result),
        finished_at: finished_at.or(job.finished_at.filter(|_| ended_well)).map(Into::into),
        error: error.filter(|_| state != JobStepState::Finished),
    }
}
