//! What an attempt at a source came to. Kept as the result of the job's last step, also where the job fails by it.

use fetch::{FetchFault, FetchFaultKind};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use url::Url;

use crate::error::{Code, Error};
use crate::ingest::submit::expected_types;

/// Failures told one by one; the others are counted.
pub const FAILURES_TOLD: usize = 1_000;

/// Failures that an error names; the report names the others.
const NAMED: usize = 4;

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
        let (first, others) = self.failures.split_first()?;
        let (failed, of) = (self.failed, self.found.max(self.failed));
        let what = format!("{failed} of {of} could not be taken in; the first: {}", first.sentence());
        let mut others: Vec<String> = others.iter().take(NAMED - 1).map(Failure::name).collect();
        if failed > NAMED {
            others.push(format!("{} more", failed - NAMED));
        }
        let others = match others.split_last() {
            None => String::new(),
            Some((last, [])) => format!("; and {last}"),
            Some((last, others)) => format!("; and {} and {last}", others.join(", ")),
        };
        Some(Error::source_incomplete(what + &others))
    }

    /// A directory in which no file can be loaded: the first of its `count` files.
    pub(super) fn fail_unwanted(&mut self, files: Vec<String>, count: usize) {
        self.failed += count.saturating_sub(files.len());
        files.into_iter().for_each(|file| self.fail(Failure::unwanted(file)));
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

    /// A file that was not read, because nobody loads what its name promises.
    fn unwanted(uri: String) -> Self {
        let message = format!("got an extension that no loader knows, expected {}", expected_types());
        let code = Code::UnsupportedContentType.as_str().to_owned();
        Self { uri, code, message }
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

    /// What it is about and why.
    fn sentence(&self) -> String {
        let (name, Self { code, message, .. }) = (self.name(), self);
        if message.contains(&name) { format!("{message} ({code})") } else { format!("{name}: {message} ({code})") }
    }

    /// The path of a file; of a URL neither query nor fragment, in which tokens stand.
    fn name(&self) -> String {
        let Ok(url) = Url::parse(&self.uri) else { return self.uri.clone() };
        let path = url.to_file_path().ok().filter(|_| url.scheme() == "file");
        path.map_or_else(|| fetch::shown(&url), |path| path.display().to_string())
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

    #[test]
    fn an_error_names_the_first_failures_without_what_is_secret_in_them() {
        let failure = |uri: &str, message: &str| Failure {
            uri: uri.to_owned(),
            code: "NOT_FOUND".to_owned(),
            message: message.to_owned(),
        };
        let mut report = Report { found: 9, ..Report::default() };
        let told = |report: &Report| report.error().expect("an error").message;
        report.fail(failure("file:///srv/a%20b.md", "got no text, expected text"));
        let first = "of 9 could not be taken in; the first: /srv/a b.md: got no text, expected text (NOT_FOUND)";
        assert_eq!(told(&report), format!("1 {first}"));
        report.fail(failure("https://a.org/b?token=secret#part", "https://a.org/b answers 404"));
        assert_eq!(told(&report), format!("2 {first}; and https://a.org/b"));
        report.fail(failure("/srv/c", "gone"));
        assert_eq!(told(&report), format!("3 {first}; and https://a.org/b and /srv/c"));
        for name in ["d", "e", "f"] {
            report.fail(failure(name, "gone"));
        }
        assert_eq!(told(&report), format!("6 {first}; and https://a.org/b, /srv/c, d and 2 more"));

        let mut other = Report::default();
        other.fail(failure("https://a.org/b?token=secret", "https://a.org/b answers 404"));
        assert_eq!(told(&other), "1 of 1 could not be taken in; the first: https://a.org/b answers 404 (NOT_FOUND)");
    }
}
