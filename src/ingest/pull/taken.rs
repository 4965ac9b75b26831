//! What one attempt has taken in: documents gather to batches, each handed over as a run of its own.

use std::time::Duration;

use fetch::{FetchFault, FetchFaultKind, Fetched};
use futures_util::{Stream, StreamExt};
use text::load::ContentType;
use uuid::Uuid;

use super::job::host;
use super::report::{self, Failure, Report};
use super::{Item, SUBMIT};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::submit::{self, NewDocument, Outcome, Submission, Submitted};
use crate::queue::{self, ActiveJob, StepEnd, steps};
use crate::store::{Doing, schedules};

/// Documents handed over at once.
const BATCH_DOCUMENTS: usize = 100;
/// Bytes after which a batch is handed over: it is held in memory, and hashed as one.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

/// What one attempt has taken in.
pub(super) struct Taken<'a> {
    app: &'a App,
    job: &'a ActiveJob,
    collection: Uuid,
    pub(super) report: Report,
    done: usize,
    batch: Vec<NewDocument>,
    /// URLs that their servers say have gone.
    pub(super) gone: Vec<String>,
    /// Those to be tried again.
    transient: Vec<(String, FetchFault)>,
}

impl<'a> Taken<'a> {
    pub(super) fn new(app: &'a App, job: &'a ActiveJob, collection: Uuid) -> Self {
        let (report, batch, gone, transient) = (Report::default(), Vec::new(), Vec::new(), Vec::new());
        Self { app, job, collection, report, done: 0, batch, gone, transient }
    }

    pub(super) async fn all(&mut self, items: impl Stream<Item = Item>) -> Result<()> {
        let most = BATCH_DOCUMENTS.min(self.app.config.ingest.documents_limit);
        let (mut items, mut bytes) = (std::pin::pin!(items), 0);
        let stop = &self.job.stop;
        while let Some((uri, read)) = stop.run_until_cancelled(items.next()).await.ok_or_else(Error::interrupted)? {
            self.done += 1;
            match read? {
                Ok(fetched) => bytes += self.keep(fetched),
                Err(fault) => self.fail(uri, fault),
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
            self.report.fail(Failure::of_error(source_uri, error));
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

    fn fail(&mut self, uri: String, fault: FetchFault) {
        self.report.fail(Failure::of_fault(&uri, &fault));
        if fault.is_transient() {
            self.transient.push((uri, fault));
        } else if fault.is_gone() {
            self.gone.push(uri);
        }
    }

    async fn hand_over(&mut self) -> Result<()> {
        self.job.check()?;
        let documents = std::mem::take(&mut self.batch);
        if !documents.is_empty() {
            let submission = Submission { collection_id: self.collection, documents };
            let submitted = submit::submit_changed(self.app, self.job.row.tenant_id, submission).await?;
            self.count(&submitted);
        }
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let tx = self.app.store.begin().await?;
        queue::set_progress(&tx, &self.job.row, number(self.done), number(self.report.found), "documents").await?;
        tx.commit().await.doing("write the job's progress")
    }

    fn count(&mut self, submitted: &Submitted) {
        for (outcome, _) in &submitted.documents {
            match outcome {
                Outcome::Accepted => self.report.accepted += 1,
                Outcome::Replaced => self.report.replaced += 1,
                Outcome::Unchanged => self.report.unchanged += 1,
            }
        }
        if submitted.documents.iter().any(|(outcome, _)| *outcome != Outcome::Unchanged) {
            self.report.runs.push(crate::id::Kind::Run.encode(submitted.run.id));
        }
    }

    /// Ends the step with its report; or keeps the report, and gives what makes the job try again or fail. What passes
    /// is tried again as long as attempts are left, and then it is missing as anything else.
    pub(super) async fn end(self) -> Result<StepEnd> {
        let (row, missing) = (&self.job.row, self.report.error());
        let is_failed = self.report.outcome() == report::Outcome::Failed;
        let tx = self.app.store.begin().await?;
        let passing = self.passing().filter(|error| self.is_tried_again(error));
        let failed = passing.or(if is_failed { self.report.error() } else { None });
        if let Some(error) = failed {
            steps::keep_result(&tx, row, SUBMIT, self.report.to_json()).await?;
            tx.commit().await.doing("keep what the source came to")?;
            return Err(error);
        }
        if let Some(schedule) = row.schedule_id {
            schedules::lock(&tx, row.tenant_id, schedule).await?;
            let missing = missing.as_ref().map(|error| (error.code.as_str(), &*error.message));
            schedules::tell_end(&tx, schedule, row.id, missing).await?;
        }
        steps::finish_step(&tx, row, SUBMIT, self.report.to_json(), None).await?;
        tx.commit().await.doing("end with the source")?;
        Ok(StepEnd::Stored)
    }

    /// Whether another attempt follows one that ends so: a server that says how long it wants to be left alone costs none.
    fn is_tried_again(&self, error: &Error) -> bool {
        let row = &self.job.row;
        row.attempts < row.max_attempts || (row.provider.is_some() && error.retry_after.is_some())
    }

    /// What may be over when the job is tried again.
    fn passing(&self) -> Option<Error> {
        let waits = self.transient.iter().filter_map(|(uri, fault)| match fault.kind {
            FetchFaultKind::RateLimited { retry_after } => Some((uri, retry_after)),
            _ => None,
        });
        if let Some((uri, wait)) = waits.max_by_key(|(_, wait)| wait.unwrap_or(Duration::ZERO)) {
            return Some(Error::rate_limited(&host(uri).unwrap_or_default(), wait));
        }
        let (_, fault) = self.transient.first()?;
        let doing = format!("read {} of {} documents: {fault}", self.transient.len(), self.report.found);
        Some(Error::unavailable(&doing, fault.clone()))
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
