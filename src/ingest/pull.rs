//! The job that takes documents in from a source: a directory or a list of URLs.
//!
//! In two steps: `list` finds what there is, `submit` reads it and hands it over batch by batch, each batch a run of
//! its own: memory stays bounded, a batch is one transaction, and one that brings nothing new leaves no trace. Documents
//! are told apart by source and content, so a job that runs again after a crash finds what it did unchanged.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::{Stream, StreamExt, stream};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json, json};
use url::Url;
use uuid::Uuid;

use super::load::ContentType;
use super::submit::{self, NewDocument, Outcome, Submission};
use crate::app::App;
use crate::config::SourceSettings;
use crate::error::{Code, Error, Result};
use crate::queue::{ActiveJob, Handler, Step, StepEnd, payload as read_payload};
use crate::source::{Directory, FetchFault, FetchFaultKind, Fetched, Fetcher, Reach, Roots, Source};
use crate::store::{Doing, jobs};

/// Kind of the job.
pub const KIND: &str = "ingest_source";
/// Version of its payload.
pub const VERSION: i32 = 1;

/// Finds what there is.
const LIST: &str = "list";
/// Reads it and hands it over.
const SUBMIT: &str = "submit";

/// Documents handed over at once.
const BATCH_DOCUMENTS: usize = 100;
/// Bytes after which a batch is handed over: it is held in memory, and hashed as one.
const BATCH_BYTES: usize = 16 * 1024 * 1024;
/// Pages fetched at once: no more than a browser asks of one server.
const FETCHES_AT_ONCE: usize = 4;
/// Files of a listing up to which it is kept as the step's result; a longer one is made again.
const LISTING_KEPT: usize = 10_000;
/// Failures told one by one; the others are counted.
const FAILURES_TOLD: usize = 1_000;
/// Longest URL, in bytes: that of a document's source.
const URL_LIMIT: usize = 2_048;

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

/// Refuses a source that may not be read; `field` is its path in the input. Gives it with its URLs in their usual
/// form, each once.
pub async fn check(settings: &SourceSettings, field: &str, source: &Source) -> Result<Source> {
    match source {
        Source::Directory { path } => {
            open(settings, &format!("{field}.directory"), path.clone()).await?;
            Ok(source.clone())
        }
        Source::Urls { urls } => check_urls(settings, &format!("{field}.urls"), urls),
    }
}

fn check_urls(settings: &SourceSettings, field: &str, urls: &[String]) -> Result<Source> {
    let most = settings.documents_limit;
    if urls.is_empty() {
        return Err(Error::input(field, "none", format!("1 to {most} URLs")));
    }
    if urls.len() > most {
        let got = format!("{} URLs", urls.len());
        return Err(Error::refused(Code::PayloadTooLarge, field, got, format!("at most {most}")));
    }
    let reach = Reach::new(settings.allow_private_addresses);
    let mut checked = Vec::with_capacity(urls.len());
    let mut seen = HashSet::new();
    for (index, url) in urls.iter().enumerate() {
        let refused = |why: &str| Error::input(format!("{field}.{index}"), url, format!("a URL to fetch: {why}"));
        let url: String = reach.check(url).map_err(|fault| refused(&fault.message))?.into();
        if url.len() > URL_LIMIT {
            return Err(refused(&format!("at most {URL_LIMIT} bytes")));
        }
        if seen.insert(url.clone()) {
            checked.push(url);
        }
    }
    Ok(Source::Urls { urls: checked })
}

/// Opens a directory on a thread that may block.
async fn open(settings: &SourceSettings, field: &str, path: PathBuf) -> Result<Directory> {
    let roots = Roots::new(settings.directories.clone());
    let shown = path.display().to_string();
    let opened = blocking(move || roots.open(&path)).await?;
    opened.map_err(|fault| refusal(field, &shown, &fault))
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|panic| Error::internal("read the source", panic))
}

/// A source as a whole that cannot be read.
fn refusal(field: &str, got: &str, fault: &FetchFault) -> Error {
    match fault.kind {
        FetchFaultKind::Transient { .. } => Error::unavailable("read the source", fault.clone()),
        FetchFaultKind::NotAllowed => Error::input(
            field,
            got,
            "an absolute path under a directory that the operator allows (`source.directories`)",
        ),
        _ => Error::input(field, got, format!("a directory to read: {}", fault.message)),
    }
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

/// What one attempt has taken in.
struct Taken<'a> {
    app: &'a App,
    job: &'a ActiveJob,
    collection: Uuid,
    total: usize,
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
    fn new(app: &'a App, job: &'a ActiveJob, collection: Uuid) -> Self {
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

    async fn all(&mut self, items: impl Stream<Item = Item>) -> Result<()> {
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
    fn end(self) -> Result<StepEnd> {
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

#[cfg(test)]
mod tests {
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

    #[test]
    fn urls_are_kept_once_each_and_one_that_may_not_be_fetched_is_named() {
        let settings = SourceSettings {
            directories: Vec::new(),
            allow_private_addresses: false,
            timeout: Duration::from_secs(1),
            documents_limit: 3,
        };
        let check = |urls: &[&str]| {
            let urls: Vec<String> = urls.iter().map(|url| (*url).to_owned()).collect();
            check_urls(&settings, "urls", &urls)
        };
        let kept = check(&["http://a.org#x", "HTTP://A.org/"]).expect("fetched");
        assert_eq!(kept, Source::Urls { urls: vec!["http://a.org/".to_owned()] });
        for (urls, field) in [
            (&[][..], "urls"),
            (&["http://a.org"; 4], "urls"),
            (&["http://a.org", "ftp://a.org"], "urls.1"),
            (&["http://127.0.0.1/"], "urls.0"),
            (&["a.org"], "urls.0"),
        ] {
            let refused = check(urls).expect_err("refused");
            assert_eq!(refused.field.as_deref(), Some(field), "{urls:?}");
        }
    }
}
