//! What one attempt has taken in: documents gather to batches, each handed over as a run of its own.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use serde_json::json;
use uuid::Uuid;

use super::{FAILURES_TOLD, Failure, Item, failure, host};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::load::ContentType;
use crate::ingest::submit::{self, NewDocument, Outcome, Submission};
use crate::queue::{ActiveJob, StepEnd};
use crate::source::{FetchFault, FetchFaultKind, Fetched};
use crate::store::{Doing, jobs};

/// Documents handed over at once.
const BATCH_DOCUMENTS: usize = 100;
/// Bytes after which a batch is handed over: it is held in memory, and hashed as one.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What one attempt has taken in.
pub(super) struct Taken<'a> {
    app: &'a App,
    job: &'a ActiveJob,
    collection: Uuid,
    pub(super) total: usize,
    done: usize,
    batch: Vec<NewDocument>,
    outcomes: HashMap<&'static str, usize>,
    runs: Vec<Uuid>,
    failures: Vec<Failure>,
    failed: usize,
    /// Those to be tried again.
    transient: Vec<(String, FetchFault)>,
}

impl<'a> Taken<'a> {
    pub(super) fn new(app: &'a App, job: &'a ActiveJob, collection: Uuid) -> Self {
        Self {
            app,
            job,
            collection,
            total: 0,
            done: 0,
            batch: Vec::new(),
            outcomes: HashMap::new(),
            runs: Vec::new(),
            failures: Vec::new(),
            failed: 0,
            transient: Vec::new(),
        }
    }

    pub(super) async fn all(&mut self, items: impl Stream<Item = Item>) -> Result<()> {
        let most = BATCH_DOCUMENTS.min(self.app.config.ingest.documents_limit);
        let (mut items, mut bytes) = (std::pin::pin!(items), 0);
        while let Some((uri, read)) = items.next().await {
            self.done += 1;
            match read? {
                Ok(fetched) => bytes += self.keep(fetched),
                Err(fault) if fault.is_transient() => self.transient.push((uri, fault)),
                Err(fault) => self.fail(failure(&uri, &fault)),
            }
            if self.batch.len() >= most || bytes >= BATCH_BYTES {
                self.hand_over().await?;
                bytes = 0;
            }
        }
        self.hand_over().await
    }

    /// Keeps a document for the batch, if it can be loaded. Gives its bytes.
    fn keep(&mut self, fetched: Fetched) -> usize {
        let Fetched { source_uri, name, content_type, bytes } = fetched;
        let told = told_type(&name, content_type);
        let limits = &self.app.config.ingest;
        if let Err(error) = submit::check_file("document", (&name, None), told.as_deref(), &bytes, limits) {
            self.fail(Failure { uri: source_uri, code: error.code.as_str().to_owned(), message: error.message });
            return 0;
        }
        let size = bytes.len();
        self.batch.push(NewDocument {
            source: submit::Source::File { bytes, name, content_type: None },
            content_type: told,
            source_uri: Some(source_uri),
            title: None,
            author: None,
            tags: Vec::new(),
            metadata: None,
            expires_at: None,
        });
        size
    }

    fn fail(&mut self, failure: Failure) {
        self.failed += 1;
        if self.failures.len() < FAILURES_TOLD {
            self.failures.push(failure);
        }
    }

    async fn hand_over(&mut self) -> Result<()> {
        self.job.check()?;
        let documents = std::mem::take(&mut self.batch);
        if !documents.is_empty() {
            let submission = Submission { collection_id: self.collection, documents };
            let submitted = submit::submit_changed(self.app, self.job.row.tenant_id, submission).await?;
            for (outcome, _) in &submitted.documents {
                *self.outcomes.entry(name_of(*outcome)).or_default() += 1;
            }
            if submitted.documents.iter().any(|(outcome, _)| *outcome != Outcome::Unchanged) {
                self.runs.push(submitted.run.id);
            }
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let tx = self.app.store.begin().await?;
        jobs::set_progress(&tx, &self.job.row, number(self.done), number(self.total), "documents").await?;
        tx.commit().await.doing("write the job's progress")
    }

    /// The result, or what makes the job try again.
    pub(super) fn end(self) -> Result<StepEnd> {
        let waits = self.transient.iter().filter_map(|(uri, fault)| match fault.kind {
            FetchFaultKind::RateLimited { retry_after } => Some((uri, retry_after)),
            _ => None,
        });
        if let Some((uri, wait)) = waits.max_by_key(|(_, wait)| wait.unwrap_or(Duration::ZERO)) {
            return Err(Error::rate_limited(&host(uri).unwrap_or_default(), wait));
        }
        if let Some((_, fault)) = self.transient.first() {
            let doing = format!("read {} of {} documents: {fault}", self.transient.len(), self.total);
            return Err(Error::unavailable(&doing, fault.clone()));
        }
        let count = |outcome| self.outcomes.get(name_of(outcome)).copied().unwrap_or_default();
        Ok(StepEnd::Done(json!({
            "accepted": count(Outcome::Accepted),
            "replaced": count(Outcome::Replaced),
            "unchanged": count(Outcome::Unchanged),
            "failed": self.failed,
            "failures": self.failures,
            "runs": self.runs.iter().map(|run| crate::id::Kind::Run.encode(*run)).collect::<Vec<_>>(),
        })))
    }
}

fn name_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Accepted => "accepted",
        Outcome::Replaced => "replaced",
        Outcome::Unchanged => "unchanged",
    }
}

/// The content type to go by: the server's, unless it says no more than that there are bytes or text, and the name says
/// more.
fn told_type(name: &str, told: Option<String>) -> Option<String> {
    let told = told?;
    let essence = told.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_vague = matches!(essence.as_str(), "application/octet-stream" | "text/plain");
    let by_name = ContentType::from_path(name.as_ref()).filter(|_| is_vague);
    Some(by_name.map_or(told, |by_name| by_name.as_str().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_more_than_a_vague_header_and_less_than_a_precise_one() {
        for (name, header, expected) in [
            ("a.md", None, None),
            ("a.md", Some("text/plain; charset=utf-8"), Some("text/markdown")),
            ("a.html", Some("application/octet-stream"), Some("text/html")),
            ("a.md", Some("text/html"), Some("text/html")),
            ("a", Some("text/plain"), Some("text/plain")),
            ("a.md", Some("image/png"), Some("image/png")),
        ] {
            assert_eq!(told_type(name, header.map(str::to_owned)).as_deref(), expected, "{name} {header:?}");
        }
    }
}
