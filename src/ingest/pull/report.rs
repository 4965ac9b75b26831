//! What an attempt at a source came to. Kept as the result of the job's last step, also where the job fails by it.

use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use crate::error::{Code, Error};
use crate::source::{FetchFault, FetchFaultKind};

/// Failures told one by one; the others are counted.
pub const FAILURES_TOLD: usize = 1_000;

/// What became of a source's documents.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Report {
    /// Files or URLs that were there to be read.
    pub found: usize,
    /// New documents.
    pub accepted: usize,
    /// Documents with new content.
    pub replaced: usize,
    /// Documents with the content that they had.
    pub unchanged: usize,
    /// Documents that were deleted, because their source has gone.
    pub pruned: usize,
    /// Files, folders and URLs that could not be taken in.
    pub failed: usize,
    /// Why, for the first [`FAILURES_TOLD`] of them.
    pub failures: Vec<Failure>,
    /// Global ids of the runs that index what is new.
    pub runs: Vec<String>,
}

/// A file, folder or URL that could not be taken in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Its URL or path.
    pub uri: String,
    /// Stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// How complete it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was taken in, or was there.
    Complete,
    /// Some of it.
    Partial,
    /// Nothing.
    Failed,
}

impl Report {
    /// The report in a step's result; none where it holds another one.
    pub fn of(result: &Json) -> Option<Self> {
        serde_json::from_value(result.clone()).ok()
    }

    /// How complete it was.
    pub fn outcome(&self) -> Outcome {
        match (self.failed, self.accepted + self.replaced + self.unchanged) {
            (0, _) => Outcome::Complete,
            (_, 0) => Outcome::Failed,
            _ => Outcome::Partial,
        }
    }

    /// What is missing, as an error; none where it is complete.
    pub(super) fn error(&self) -> Option<Error> {
        let first = self.failures.first()?;
        let (failed, of) = (self.failed, self.found.max(self.failed));
        let what = format!("{failed} of {of} could not be taken in; the first: {} ({})", first.message, first.code);
        Some(Error::source_incomplete(what))
    }

    pub(super) fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        if self.failures.len() < FAILURES_TOLD {
            self.failures.push(failure);
        }
    }

    /// As the step's result.
    pub(super) fn to_json(&self) -> Json {
        serde_json::to_value(self).expect("counts and texts are JSON")
    }
}

impl Failure {
    /// Something that could not be read.
    pub(super) fn of_fault(uri: &str, fault: &FetchFault) -> Self {
        let code = match fault.kind {
            FetchFaultKind::NotAllowed => "NOT_ALLOWED",
            FetchFaultKind::Permanent { .. } if fault.is_gone() => Code::NotFound.as_str(),
            FetchFaultKind::Permanent { .. } => Code::BadUserInput.as_str(),
            FetchFaultKind::Transient { .. } => Code::Unavailable.as_str(),
            FetchFaultKind::RateLimited { .. } => Code::RateLimited.as_str(),
            FetchFaultKind::TooLarge | FetchFaultKind::TooMany => Code::PayloadTooLarge.as_str(),
        };
        Self { uri: uri.to_owned(), code: code.to_owned(), message: fault.message.clone() }
    }

    /// Something that was read and cannot be loaded; the place in a batch means nothing to who named a source.
    pub(super) fn of_error(uri: String, error: Error) -> Self {
        let code = error.code.as_str().to_owned();
        let message = match (error.got, error.expected) {
            (Some(got), Some(expected)) => format!("got {got}, expected {expected}"),
            _ => error.message,
        };
        Self { uri, code, message }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_source_is_complete_partial_or_failed_by_what_it_brought() {
        for (failed, accepted, unchanged, outcome) in [
            (0, 0, 0, Outcome::Complete),
            (0, 1, 0, Outcome::Complete),
            (2, 1, 0, Outcome::Partial),
            (2, 0, 1, Outcome::Partial),
            (2, 0, 0, Outcome::Failed),
        ] {
            let report = Report { failed, accepted, unchanged, ..Report::default() };
            assert_eq!(report.outcome(), outcome, "{report:?}");
        }
    }

    #[test]
    fn a_result_of_an_earlier_version_is_read() {
        let result = json!({ "accepted": 1, "replaced": 0, "unchanged": 2, "failed": 0, "failures": [], "runs": [] });
        assert_eq!(Report::of(&result), Some(Report { accepted: 1, unchanged: 2, ..Report::default() }));
        assert_eq!(Report::of(&json!(7)), None);
    }

    #[test]
    fn more_failures_than_are_told_are_counted() {
        let mut report = Report::default();
        for n in 0..FAILURES_TOLD + 5 {
            report.fail(Failure { uri: n.to_string(), code: "NOT_FOUND".to_owned(), message: "gone".to_owned() });
        }
        assert_eq!((report.failed, report.failures.len()), (FAILURES_TOLD + 5, FAILURES_TOLD));
        assert!(report.error().expect("an error").message.contains("1005 of 1005"));
    }
}
