//! The job that takes documents in from a source: a directory or a list of URLs.
//!
//! In two steps: `list` finds what there is, `submit` reads it and hands it over batch by batch, each batch a run of
//! its own: memory stays bounded, a batch is one transaction, and one that brings nothing new leaves no trace. Documents
//! are told apart by source and content, so a job that runs again after a crash finds what it did unchanged. Where it is
//! wanted, `submit` ends with deleting the documents whose source has gone. A job that could take nothing in fails; what
//! is missing is told by its report, and by its schedule.

mod check;
mod job;
mod prune;
mod report;
mod taken;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use fetch::{Directory, FetchFault, FetchFaultKind, Fetched, Fetcher, Reach, Source};
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use text::load::ContentType;

use crate::app::App;
use crate::error::{Code, Error, Result};
use crate::lock::lock;
use crate::queue::{ActiveJob, Handler, Step, StepEnd, steps};
use crate::store::entity::job::Model as Job;
use crate::store::{Transaction, schedules};
use check::{blocking, open, refusal};
use job::host;
use prune::Pruner;
use taken::Taken;

pub use check::check;
pub use job::{KIND, Payload, parse};
pub use report::{FAILURES_TOLD, Failure, Outcome, Report};

/// Finds what there is.
const LIST: &str = "list";
/// Reads it and hands it over. Its result is the [`Report`].
pub const SUBMIT: &str = "submit";

/// A directory as who made the schedule gave it, for errors.
const DIRECTORY_FIELD: &str = "source.directory";

/// Pages fetched at once: no more than a browser asks of one server.
const FETCHES_AT_ONCE: usize = 4;
/// Files of a listing up to which it is kept as the step's result; a longer one is made again.
const LISTING_KEPT: usize = 10_000;

/// What there is to read.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Listed {
    /// Files or URLs.
    found: usize,
    /// Files of a directory in formats that nobody loads.
    unwanted: usize,
    /// The files of a directory; none where they are too many to be kept.
    files: Option<Vec<PathBuf>>,
    /// Directories that could not be looked at.
    failures: Vec<Failure>,
    /// Where no file is wanted: the first that are there.
    #[serde(default)]
    unwanted_files: Vec<String>,
}

/// Runs such jobs.
pub struct IngestSource {
    app: Arc<App>,
    fetcher: OnceLock<Fetcher>,
}

impl IngestSource {
    /// A handler.
    pub fn new(app: Arc<App>) -> Self {
        Self { app, fetcher: OnceLock::new() }
    }

    /// Made when the first page is wanted, and kept: it holds the connections.
    fn fetcher(&self) -> Result<Fetcher> {
        if let Some(made) = self.fetcher.get() {
            return Ok(made.clone());
        }
        let settings = &self.app.config.source;
        let made = Fetcher::new(Reach::new(settings.allow_private_addresses), settings.timeout)
            .map_err(|fault| Error::internal("set up TLS", fault))?;
        Ok(self.fetcher.get_or_init(|| made).clone())
    }

    async fn list(&self, source: &Source) -> Result<Listed> {
        let path = match source {
            Source::Urls { urls } => return Ok(Listed { found: urls.len(), ..Listed::default() }),
            Source::Directory { path } => path,
        };
        let (settings, shown) = (&self.app.config.source, path.display().to_string());
        let most = settings.documents_limit;
        let directory = open(settings, DIRECTORY_FIELD, path.clone()).await?;
        let wanted = |path: &std::path::Path| ContentType::from_path(path).is_some();
        let listing = blocking(move || directory.list(wanted, most)).await?;
        let listing = listing.map_err(|fault| refusal(DIRECTORY_FIELD, &shown, &fault))?;
        let failures =
            listing.unreadable.iter().take(FAILURES_TOLD).map(|fault| Failure::of_fault(&shown, fault)).collect();
        let told = if listing.files.is_empty() { &listing.unwanted_files[..] } else { &[] };
        Ok(Listed {
            found: listing.files.len(),
            unwanted_files: told.iter().map(|file| file.display().to_string()).collect(),
            unwanted: listing.unwanted,
            files: Some(listing.files),
            failures,
        })
    }

    async fn submit(&self, job: &ActiveJob, payload: Payload) -> Result<StepEnd> {
        let mut taken = Taken::new(&self.app, job, payload.collection_id);
        let pruner = Pruner { app: &self.app, job, collection: payload.collection_id };
        match payload.source {
            Source::Urls { urls } => {
                taken.report.found = urls.len();
                let limited = Limited::default();
                let fetcher = self.fetcher()?;
                taken.all(self.pages(&fetcher, &limited, urls)).await?;
                if payload.prune {
                    taken.report.pruned = pruner.pages_of(&taken.gone).await?;
                }
            }
            Source::Directory { path } => {
                let listed = self.listed(job, &path).await?;
                let is_whole = listed.failures.is_empty();
                listed.failures.into_iter().for_each(|failure| taken.report.fail(failure));
                let files = listed.files.unwrap_or_default();
                taken.report.found = files.len();
                if files.is_empty() {
                    taken.report.fail_unwanted(listed.unwanted_files, listed.unwanted);
                }
                let directory = open(&self.app.config.source, DIRECTORY_FIELD, path).await?;
                taken.all(self.files(directory.clone(), files)).await?;
                if payload.prune && is_whole {
                    self.prune(&mut taken.report, &pruner, &directory).await?;
                }
            }
        }
        taken.end().await
    }

    /// Deletes the documents of files that have gone; but an empty directory may just as well not be mounted.
    async fn prune(&self, report: &mut Report, pruner: &Pruner<'_>, directory: &Directory) -> Result<()> {
        if report.found > 0 {
            report.pruned = pruner.files_of(directory).await?;
        } else if pruner.has_any_of(directory).await? {
            let message =
                "nothing was pruned: the directory holds no file that can be loaded, as where it is not mounted";
            let (uri, code) = (directory.uri_prefix(), Code::NotFound.as_str().to_owned());
            report.fail(Failure { uri, code, message: message.to_owned() });
        }
        Ok(())
    }

    /// The listing that the step before has kept, made again where it was too long for that.
    async fn listed(&self, job: &ActiveJob, path: &Path) -> Result<Listed> {
        let kept = steps::finished_steps(self.app.store.db(), job.row.id).await?.remove(LIST);
        let kept = kept.and_then(|listed| serde_json::from_value::<Listed>(listed).ok());
        match kept {
            Some(listed) if listed.files.is_some() => Ok(listed),
            _ => self.list(&Source::Directory { path: path.to_owned() }).await,
        }
    }

    fn files(&self, directory: Directory, files: Vec<PathBuf>) -> impl Stream<Item = Item> {
        let limit = self.app.config.ingest.document_limit_bytes;
        stream::iter(files).then(move |file| {
            let (directory, shown) = (directory.clone(), file.display().to_string());
            async move { (shown, blocking(move || directory.read(&file, limit)).await) }
        })
    }

    /// Pages in the order of their URLs. A host that asks for patience is asked for no further page.
    fn pages<'a>(
        &'a self,
        fetcher: &'a Fetcher,
        limited: &'a Limited,
        urls: Vec<String>,
    ) -> impl Stream<Item = Item> + 'a {
        let limit = self.app.config.ingest.document_limit_bytes;
        let fetch = move |url: String| async move {
            let host = host(&url).unwrap_or_default();
            let fetched = match limited.of(&host) {
                Some(fault) => Err(fault),
                None => fetcher.fetch(&url, limit).await,
            };
            if let Err(fault) = &fetched {
                limited.note(host, fault);
            }
            (url, Ok(fetched))
        };
        stream::iter(urls).map(fetch).buffered(FETCHES_AT_ONCE)
    }
}

/// A file or URL, and what became of reading it. The outer result is our own fault.
type Item = (String, Result<Result<Fetched, FetchFault>>);

/// Hosts that asked for patience.
#[derive(Default)]
struct Limited(std::sync::Mutex<HashMap<String, FetchFault>>);

impl Limited {
    fn of(&self, host: &str) -> Option<FetchFault> {
        self.hosts().get(host).cloned()
    }

    fn note(&self, host: String, fault: &FetchFault) {
        if matches!(fault.kind, FetchFaultKind::RateLimited { .. }) {
            self.hosts().insert(host, fault.clone());
        }
    }

    fn hosts(&self) -> std::sync::MutexGuard<'_, HashMap<String, FetchFault>> {
        lock(&self.0)
    }
}

#[async_trait]
impl Handler for IngestSource {
    fn steps(&self) -> Vec<Step> {
        vec![Step::new(LIST), Step::new(SUBMIT)]
    }

    async fn run(&self, job: &ActiveJob, step: &'static str) -> Result<StepEnd> {
        let payload: Payload = KIND.payload(&job.row)?;
        if step == SUBMIT {
            return self.submit(job, payload).await;
        }
        let listed = job.stop.run_until_cancelled(self.list(&payload.source)).await;
        let mut listed = listed.ok_or_else(Error::interrupted)??;
        // A name that is no text cannot be kept either.
        let is_kept =
            |files: &Vec<PathBuf>| files.len() <= LISTING_KEPT && files.iter().all(|file| file.to_str().is_some());
        listed.files = listed.files.filter(is_kept);
        Ok(StepEnd::Done(serde_json::to_value(listed).expect("a listing of UTF-8 paths is JSON")))
    }

    /// The schedule that tells how the job went: whoever fires it locks it before jobs, too.
    async fn lock(&self, tx: &Transaction, job: &Job) -> Result<()> {
        if let Some(schedule) = job.schedule_id {
            schedules::lock(tx, job.tenant_id, schedule).await?;
        }
        Ok(())
    }

    async fn on_dead(&self, tx: &Transaction, job: &Job, error: &Error) -> Result<()> {
        match job.schedule_id {
            Some(schedule) => {
                schedules::tell_end(tx, schedule, job.id, Some((error.code.as_str(), &error.message))).await
            }
            None => Ok(()),
        }
    }
}
