//! `vectorforge ingest`: files go to the server in batches, and their progress comes back.
//!
//! Four parts work at once, joined by channels: a thread reads files into [`batch`]es, [`submit`] sends them,
//! [`follow`] subscribes to the runs they start, and [`report`] adds events up and shows them.

mod batch;
mod event;
mod files;
mod follow;
mod progress;
mod prune;
mod report;
mod socket;
mod submit;
pub(super) mod summary;

use std::future::{self, Future};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::{Semaphore, mpsc};

use self::batch::{Batch, BatchLimits, Batches};
use self::event::IngestEvent;
use self::files::{Found, SourceFile};
use self::follow::Follower;
use self::progress::Progress;
use self::prune::Pruner;
use self::submit::Submitter;
use self::summary::Summary;
use super::api_client::ApiClient;
use super::error::ClientError;
use super::retry::Retry;
use super::{ServerOptions, collection};
use crate::output::{goes_where_errors_go, print};

/// Most runs that are worked on at once: keeps the server's workers fed, and the queue fair to other clients.
const OPEN_RUNS: usize = 4;

/// Batches that wait, read, for one to be sent. With the one being read and the one being sent at most three are in
/// memory.
const BATCHES_AHEAD: usize = 1;

/// Events that wait to be shown; showing is fast, so few do.
const EVENTS_AHEAD: usize = 64;

/// Options of `vectorforge ingest`.
#[derive(Debug, Clone, clap::Args)]
pub struct IngestOptions {
    /// Files, and folders to take all readable files from; hidden ones and links inside folders are left out
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Name of the collection
    #[arg(long, short, value_name = "NAME")]
    pub collection: String,
    /// Make the collection where it is not there
    #[arg(long)]
    pub create: bool,
    /// Delete the collection's documents of files that were in the folders and are no longer there; nothing where a folder
    /// could not be read in whole, or holds no file
    #[arg(long)]
    pub prune: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the command's help")]
    pub server: ServerOptions,
}

/// How a command works: what tests set otherwise.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    pub limits: BatchLimits,
    pub retry: Retry,
}

impl Tuning {
    pub const DEFAULT: Self = Self { limits: BatchLimits::DEFAULT, retry: Retry::DEFAULT };
}

/// Sends files, follows their runs to the end, shows progress on standard error and prints the summary. The exit code
/// is 0 where [`Summary::is_success`].
///
/// # Errors
/// Where a path is not there, nothing can be sent, the server cannot be asked or followed, or on Ctrl-C. Documents that
/// fail are no error: the summary tells them.
pub async fn ingest(options: IngestOptions) -> Result<Summary, ClientError> {
    let mut ingested = ingest_until(options, Tuning::DEFAULT, interrupt()).await?;
    ingested.summary.are_failures_told = goes_where_errors_go();
    let printed = print(&ingested.summary);
    ingested.end?;
    printed?;
    Ok(ingested.summary)
}

/// Ends at Ctrl-C.
async fn interrupt() {
    if tokio::signal::ctrl_c().await.is_err() {
        // No signals here: then none ends the command.
        future::pending::<()>().await;
    }
}

/// How far an ingest came, and what ended it.
#[derive(Debug)]
pub(super) struct Ingested {
    pub summary: Summary,
    pub end: Result<(), ClientError>,
}

pub(super) async fn ingest_until(
    options: IngestOptions,
    tuning: Tuning,
    interrupt: impl Future<Output = ()>,
) -> Result<Ingested, ClientError> {
    let started = Instant::now();
    let found = files::find(&options.paths).map_err(|error| if options.prune { error.unpruned() } else { error })?;
    if options.prune && found.folders.is_empty() {
        return Err(ClientError::NotPruned { why: "--prune needs a folder, and only files were named" });
    }
    let server = ApiClient::new(options.server.url)?;
    let collection = if options.create {
        collection::find_or_create(&server, &options.collection).await?
    } else {
        collection::find(&server, &options.collection).await?
    };
    let url = server.url.to_string();

    let Found { files, folders, skipped, failures } = found;
    let is_whole = failures.is_empty();
    let mut summary = Summary::new(files.len(), skipped, failures);
    summary.is_pruned = options.prune.then_some(false);
    let (events, receiver) = mpsc::channel(EVENTS_AHEAD);
    let work = async {
        let pruner = Pruner { server: server.clone(), collection: collection.clone(), folders, events: events.clone() };
        let work = async {
            work(server, collection, files, tuning, events).await?;
            match options.prune {
                true if is_whole => pruner.prune().await,
                true => Err(ClientError::NotPruned { why: "a folder could not be read in whole" }),
                false => Ok(()),
            }
        };
        tokio::select! {
            end = work => Some(end),
            () = interrupt => None,
        }
    };
    let (end, ()) = tokio::join!(work, report::report(receiver, &mut summary, Progress::on_stderr(), started));
    let end = end.unwrap_or_else(|| Err(ClientError::Interrupted { advice: summary.advice(&url) }));
    Ok(Ingested { summary, end })
}

/// Reads, sends and follows until every run has ended.
async fn work(
    server: ApiClient,
    collection: String,
    files: Vec<SourceFile>,
    tuning: Tuning,
    events: mpsc::Sender<IngestEvent>,
) -> Result<(), ClientError> {
    let (runs, accepted) = mpsc::channel(OPEN_RUNS);
    let follower = Follower { url: server.url.clone(), events: events.clone(), retry: tuning.retry };
    let slots = Arc::new(Semaphore::new(OPEN_RUNS));
    let submitter = Submitter { server, collection, slots, runs, events, retry: tuning.retry };
    let batches = read_ahead(Batches::new(files, tuning.limits));
    tokio::try_join!(submitter.send_all(batches), follower.follow(accepted))?;
    Ok(())
}

/// Reads batches on a thread of their own, until all are read or nobody takes them.
fn read_ahead(batches: Batches) -> mpsc::Receiver<Batch> {
    let (read, batches_read) = mpsc::channel(BATCHES_AHEAD);
    tokio::task::spawn_blocking(move || {
        for batch in batches {
            if read.blocking_send(batch).is_err() {
                return;
            }
        }
    });
    batches_read
}
