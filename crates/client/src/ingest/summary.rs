//! What an ingest came to.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::time::Duration;

use text::load::ContentType;
use url::Url;

use super::event::{EventDocument, Run, RunCounts, RunEvent, Submitted, is_end};
use super::files::Skipped;
use crate::answer::ApiError;
use crate::terminal::plain;

/// How many failed documents the summary names: one screen.
const FAILURES_SHOWN: usize = 20;

/// A document that is not in the collection as it should be; its texts are safe to print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedDocument {
    /// Path or source URI.
    pub what: String,
    /// Code of the fault, as the server's; `None` where the file could not be read here.
    pub code: Option<String>,
    /// Why.
    pub message: String,
}

impl FailedDocument {
    /// A file that could not be read here.
    pub(super) fn local(path: &Path, message: String) -> Self {
        Self { what: plain(&path.to_string_lossy()), code: None, message }
    }

    /// A file of a format that no loader reads, as its bytes tell.
    pub(super) fn unsupported(path: &Path, what: &str) -> Self {
        let known = ContentType::ALL.map(ContentType::as_str).join(", ");
        let message = format!("is {what}, which no loader reads (known are {known})");
        let code = Some("UNSUPPORTED_CONTENT_TYPE".to_owned());
        Self { what: plain(&path.to_string_lossy()), code, message }
    }

    /// A file that the server did not take.
    pub(super) fn refused(path: &Path, error: &ApiError) -> Self {
        let message = error.message_without_field().to_owned();
        Self { what: plain(&path.to_string_lossy()), code: error.code.clone(), message }
    }

    /// A document that the server took and could not index.
    fn failed(document: EventDocument) -> Self {
        let what = document.source_uri.as_deref().map_or_else(|| plain(&document.id), readable_uri);
        match document.error {
            Some(error) => Self { what, code: Some(plain(&error.code)), message: plain(&error.message) },
            None => Self { what, code: None, message: "failed, and the server does not say why".to_owned() },
        }
    }
}

/// The path of a `file` URI, as the user knows it.
fn readable_uri(uri: &str) -> String {
    let path = Url::parse(uri).ok().filter(|url| url.scheme() == "file").and_then(|url| url.to_file_path().ok());
    path.map_or_else(|| plain(uri), |path| plain(&path.to_string_lossy()))
}

impl fmt::Display for FailedDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, code, message } = self;
        match code {
            Some(code) => write!(f, "{what}: {message} ({code})"),
            None => write!(f, "{what}: {message}"),
        }
    }
}

/// Counts of an ingest, while it goes on and at its end. `Display` is what the command prints.
#[derive(Debug, Default)]
pub struct Summary {
    /// Files that a loader reads.
    pub found: usize,
    /// Files inside folders that none reads.
    pub skipped: Skipped,
    /// Documents that were new, or are tried again.
    pub accepted: usize,
    /// Documents that were there with the same content.
    pub unchanged: usize,
    /// Documents that were there with other content.
    pub replaced: usize,
    /// Documents that were deleted, because their files have gone.
    pub pruned: usize,
    /// Whether pruning came to its end; `None` where none was wanted.
    pub(super) is_pruned: Option<bool>,
    /// Why documents failed, in the order it was told.
    pub failures: Vec<FailedDocument>,
    /// Whether who reads the summary has read them already.
    pub(super) are_failures_told: bool,
    /// From the first look to the last event.
    pub elapsed: Duration,
    /// Failures that no run counts.
    outside_runs: usize,
    runs: BTreeMap<String, RunCounts>,
}

impl Summary {
    /// An ingest that is about to begin.
    pub(super) fn new(found: usize, skipped: Skipped, failures: Vec<FailedDocument>) -> Self {
        Self { found, skipped, outside_runs: failures.len(), failures, ..Self::default() }
    }

    /// Whether every file that was found is indexed now.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failed() == 0 && self.unfinished() == 0
    }

    /// Documents that failed, here or at the server.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.outside_runs + self.sum(|run| run.documents_failed)
    }

    /// Documents whose present content is indexed, unchanged ones with them.
    #[must_use]
    pub fn indexed(&self) -> usize {
        self.sum(|run| run.documents_done)
    }

    /// Files of which no end is known: not sent, in work, or cancelled.
    #[must_use]
    pub fn unfinished(&self) -> usize {
        self.found.saturating_sub(self.indexed() + self.failed())
    }

    /// Chunks that got a vector.
    #[must_use]
    pub fn chunks_embedded(&self) -> usize {
        self.sum(|run| run.chunks_embedded)
    }

    /// Chunks known so far.
    pub(super) fn chunks_total(&self) -> usize {
        self.sum(|run| run.chunks_total)
    }

    /// Chunks per second, over the whole time.
    pub(super) fn rate(&self) -> f64 {
        let seconds = self.elapsed.as_secs_f64();
        // Counts of chunks are far below 2^53.
        if seconds > 0.0 { self.chunks_embedded() as f64 / seconds } else { 0.0 }
    }

    fn sum(&self, count: impl Fn(&RunCounts) -> usize) -> usize {
        self.runs.values().map(count).sum()
    }

    /// Counts a document that is in no run.
    pub(super) fn add_failure(&mut self, failure: FailedDocument) {
        self.outside_runs += 1;
        self.failures.push(failure);
    }

    /// Counts a batch that was taken in.
    pub(super) fn add_batch(&mut self, batch: Submitted) {
        for document in &batch.documents {
            match document.outcome.as_str() {
                "UNCHANGED" => self.unchanged += 1,
                "REPLACED" => self.replaced += 1,
                _ => self.accepted += 1,
            }
        }
        let total = batch.documents.len();
        let done = if batch.brings_nothing_new() { total } else { 0 };
        let Run { id, state } = batch.run;
        let counts = RunCounts { state, documents_total: total, documents_done: done, ..RunCounts::default() };
        self.runs.insert(id, counts);
    }

    /// Counts an event; gives the failure it tells, where it does.
    pub(super) fn add_event(&mut self, run: String, event: RunEvent) -> Option<&FailedDocument> {
        self.runs.insert(run, event.run);
        let document = event.document.filter(|_| event.kind == "DOCUMENT_FAILED")?;
        self.failures.push(FailedDocument::failed(document));
        self.failures.last()
    }

    /// What goes on after an interruption, and what to do about the rest.
    pub(super) fn advice(&self, url: &str) -> String {
        let open: Vec<_> = self.runs.iter().filter(|(_, run)| !is_end(&run.state)).map(|(id, _)| id.as_str()).collect();
        let sent = self.sum(|run| run.documents_total) + self.outside_runs;
        let mut parts = Vec::new();
        if let [first, ..] = open.as_slice() {
            parts.push(format!(
                "the server goes on with {} ({}); look with `subscription {{ ingestProgress(runId: \"{first}\") \
                 {{ kind run {{ state documentsDone documentsTotal }} }} }}` at {url}/graphql",
                plural(open.len(), "run"),
                open.join(", "),
            ));
        }
        if sent < self.found {
            let unsent = plural(self.found - sent, "file");
            parts.push(format!("{unsent} not sent yet: give the same command again, nothing is taken in twice"));
        }
        if self.is_pruned == Some(false) {
            parts.push("not all was pruned: give the same command again".to_owned());
        }
        if parts.is_empty() { "all was done".to_owned() } else { parts.join("; ") }
    }
}

fn plural(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

impl Summary {
    fn skipped_told(&self) -> String {
        match self.skipped.count() {
            0 => "0".to_owned(),
            count => format!("{count}, no loader reads them: {}", self.skipped.kinds()),
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = [
            ("found", plural(self.found, "file")),
            ("accepted", self.accepted.to_string()),
            ("unchanged", self.unchanged.to_string()),
            ("replaced", self.replaced.to_string()),
            ("skipped", self.skipped_told()),
            ("failed", self.failed().to_string()),
            ("unfinished", self.unfinished().to_string()),
            ("chunks", self.chunks_embedded().to_string()),
            ("seconds", format!("{:.1}", self.elapsed.as_secs_f64())),
        ];
        let pruned = self.is_pruned.map(|_| ("pruned", self.pruned.to_string()));
        for (name, value) in lines.into_iter().chain(pruned) {
            writeln!(f, "{name:<10} {value}")?;
        }
        if self.are_failures_told {
            return Ok(());
        }
        for failure in self.failures.iter().take(FAILURES_SHOWN) {
            writeln!(f, "failed: {failure}")?;
        }
        match self.failures.len().saturating_sub(FAILURES_SHOWN) {
            0 => Ok(()),
            more => writeln!(f, "and {more} more"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(index: usize) -> FailedDocument {
        FailedDocument::local(Path::new(&format!("{index}.md")), "cannot be read".to_owned())
    }

    #[test]
    fn the_first_failures_are_named_and_the_others_counted() {
        let failures = (0..FAILURES_SHOWN + 3).map(failure).collect();
        let shown = Summary::new(5, Skipped::default(), failures).to_string();
        assert_eq!(shown.matches("failed: ").count(), FAILURES_SHOWN);
        assert!(shown.ends_with("failed: 19.md: cannot be read\nand 3 more\n"), "{shown}");
    }

    #[test]
    fn failures_that_were_told_are_counted_only() {
        let failures = (0..3).map(failure).collect();
        let summary = Summary { are_failures_told: true, ..Summary::new(5, Skipped::default(), failures) };
        let shown = summary.to_string();
        assert!(shown.contains("failed     3\n") && !shown.contains("failed: "), "{shown}");
    }

    #[test]
    fn files_without_an_end_are_no_success() {
        let summary = Summary::new(2, Skipped::default(), vec![failure(0)]);
        assert_eq!((summary.unfinished(), summary.is_success()), (1, false));
        assert!(!Summary::new(1, Skipped::default(), Vec::new()).is_success());
    }
}
