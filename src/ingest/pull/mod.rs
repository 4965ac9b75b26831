//! The job that takes documents in from a source: a directory or a list of URLs.
//!
//! In two steps: `list` finds what there is, `submit` reads it and hands it over batch by batch, each batch a run of
//! its own: memory stays bounded, a batch is one transaction, and one that brings nothing new leaves no trace. Documents
//! are told apart by source and content, so a job that runs again after a crash finds what it did unchanged.

mod check;
mod taken;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use url::Url;
use uuid::Uuid;

use super::load::ContentType;
use crate::app::App;
use crate::error::{Code, Error, Result};
use crate::queue::{ActiveJob, Handler, Step, StepEnd, payload as read_payload};
use crate::source::{Directory, FetchFault, FetchFaultKind, Fetched, Fetcher, Reach, Source};
use crate::store::jobs;
use check::{blocking, open, refusal};
use taken::Taken;

pub use check::check;

/// Kind of the job.
pub const KIND: &str = "ingest_source";
/// Version of its payload.
pub const VERSION: i32 = 1;

/// Finds what there is.
const LIST: &str = "list";
/// Reads it and hands it over.
const SUBMIT: &str = "submit";

/// Pages fetched at once: no more than a browser asks of one server.
const FETCHES_AT_ONCE: usize = 4;
/// Files of a listing up to which it is kept as the step's result; a longer one is made again.
const LISTING_KEPT: usize = 10_000;
/// Failures told one by one; the others are counted.
const FAILURES_TOLD: usize = 1_000;

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    collection_id: Uuid,
    source: Source,
}

/// The payload of such a job.
pub fn payload(collection_id: Uuid, source: Source) -> Json {
    serde_json::to_value(Payload { collection_id, source }).expect("a payload of ids and texts is JSON")
}

/// What a payload says; none where this version cannot read it.
pub fn parse(payload: &Json) -> Option<(Uuid, Source)> {
    let payload: Payload = serde_json::from_value(payload.clone()).ok()?;
    Some((payload.collection_id, payload.source))
}

/// What such a job depends on: `http:` and the host, where all its URLs have the same.
pub fn provider(payload: &Json) -> Option<String> {
    let (_, Source::Urls { urls }) = parse(payload)? else { return None };
    let mut hosts = urls.iter().map(|url| host(url));
    let first = hosts.next()??;
    hosts.all(|host| host.as_ref() == Some(&first)).then_some(first)
}

fn host(url: &str) -> Option<String> {
    Some(format!("http:{}", Url::parse(url).ok()?.host_str()?))
}

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
}

/// A document that could not be taken in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Failure {
    /// Its URL or path.
    uri: String,
    code: String,
    message: String,
}

fn failure(uri: &str, fault: &FetchFault) -> Failure {
    let code = match fault.kind {
        FetchFaultKind::NotAllowed => "NOT_ALLOWED",
        FetchFaultKind::Permanent { status: Some(404 | 410) } => Code::NotFound.as_str(),
        FetchFaultKind::Permanent { .. } => Code::BadUserInput.as_str(),
        FetchFaultKind::Transient { .. } => Code::Unavailable.as_str(),
        FetchFaultKind::RateLimited { .. } => Code::RateLimited.as_str(),
        FetchFaultKind::TooLarge | FetchFaultKind::TooMany => Code::PayloadTooLarge.as_str(),
    };
    Failure { uri: uri.to_owned(), code: code.to_owned(), message: fault.message.clone() }
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
        let (field, most) = ("job.payload.source.path", settings.documents_limit);
        let directory = open(settings, field, path.clone()).await?;
        let wanted = |path: &std::path::Path| ContentType::from_path(path).is_some();
        let listing = blocking(move || directory.list(wanted, most)).await?;
        let listing = listing.map_err(|fault| refusal(field, &shown, &fault))?;
        let failures = listing.unreadable.iter().take(FAILURES_TOLD).map(|fault| failure(&shown, fault)).collect();
        Ok(Listed { found: listing.files.len(), unwanted: listing.unwanted, files: Some(listing.files), failures })
    }

    async fn submit(&self, job: &ActiveJob, payload: Payload) -> Result<StepEnd> {
        let listed = jobs::finished_steps(self.app.store.db(), job.row.id).await?.remove(LIST);
        let listed: Option<Listed> = listed.and_then(|listed| serde_json::from_value(listed).ok());
        let mut taken = Taken::new(&self.app, job, payload.collection_id);
        match payload.source {
            Source::Urls { urls } => {
                taken.total = urls.len();
                let limited = Limited::default();
                let fetcher = self.fetcher()?;
                taken.all(self.pages(&fetcher, &limited, urls)).await?;
            }
            Source::Directory { path } => {
                let files = match listed.and_then(|listed| listed.files) {
                    Some(files) => files,
                    None => self.list(&Source::Directory { path: path.clone() }).await?.files.unwrap_or_default(),
                };
                taken.total = files.len();
                let directory = open(&self.app.config.source, "job.payload.source.path", path).await?;
                taken.all(self.files(directory, files)).await?;
            }
        }
        taken.end()
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
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[async_trait]
impl Handler for IngestSource {
    fn steps(&self) -> Vec<Step> {
        vec![Step::new(LIST), Step::new(SUBMIT)]
    }

    async fn run(&self, job: &ActiveJob, step: &'static str) -> Result<StepEnd> {
        let payload: Payload = read_payload(&job.row, VERSION)?;
        if step == SUBMIT {
            return self.submit(job, payload).await;
        }
        let mut listed = self.list(&payload.source).await?;
        listed.files = listed.files.filter(|files| files.len() <= LISTING_KEPT);
        Ok(StepEnd::Done(serde_json::to_value(listed).expect("a listing of UTF-8 paths is JSON")))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_provider_is_the_host_that_all_urls_share() {
        let of = |urls: &[&str]| {
            let urls = urls.iter().map(|url| (*url).to_owned()).collect();
            provider(&payload(Uuid::nil(), Source::Urls { urls }))
        };
        assert_eq!(of(&["http://a.org/1", "https://a.org/2"]).as_deref(), Some("http:a.org"));
        assert_eq!(of(&["http://a.org/1", "http://b.org/1"]), None);
        assert_eq!(provider(&payload(Uuid::nil(), Source::Directory { path: "/srv".into() })), None);
        assert_eq!(provider(&json!({ "source": 1 })), None);
    }
}
