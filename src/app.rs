//! What the API and the workers share, and how a process is put together from it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::causes::warn_of;
use crate::config::Config;
use crate::embed::Embedders;
use crate::error::{Error, Result};
use crate::ingest::pull;
use crate::ingest::work::IngestDocument;
use crate::queue::worker::Worker;
use crate::queue::{Backoff, Finisher, Handlers, Leases, Queue, Settler, WorkerSettings};
use crate::store::Store;
use crate::store::circuits::CircuitSettings;
use crate::store::disk;
use crate::store::listen::Signals;
use crate::store::workers::{self, WorkerCard};
use crate::tasks::Tasks;
use crate::{collection, ingest, queue, schedule, search};

/// Everything a request or a job may use.
pub struct App {
    /// Settings.
    pub config: Config,
    /// The database.
    pub store: Store,
    /// Wake-ups from the database.
    pub signals: Signals,
    /// The models.
    pub embedders: Embedders,
}

/// A kind of job that schedules may enqueue.
#[derive(Debug, Clone, Copy)]
pub struct Schedulable {
    /// The kind.
    pub name: &'static str,
    /// The queue of its jobs.
    pub queue: &'static str,
    /// Version of its payload.
    pub version: i32,
    /// What a job of a payload depends on.
    pub provider: fn(&Json) -> Option<String>,
}

impl App {
    /// The time: one place, so that rows of one process agree.
    #[expect(clippy::disallowed_methods, reason = "this is the clock")]
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// Bytes that are free in the data directory, where the database lies in it.
    pub fn free_bytes(&self) -> Option<u64> {
        let is_ours = self.config.database.url.is_none();
        is_ours.then(|| disk::free_bytes(&self.config.data_dir)).flatten()
    }

    /// Every kind of job with its handler.
    pub fn handlers(self: &Arc<Self>) -> Handlers {
        Handlers::default()
            .with(ingest::work::KIND, IngestDocument::new(self.clone()))
            .with(pull::KIND, pull::IngestSource::new(self.clone()))
            .with(search::BUILD_INDEX, search::BuildIndex::new(self.clone()))
            .with(collection::purge::KIND, collection::purge::PurgeCollection::new(self.clone()))
    }

    /// What a schedule may enqueue.
    pub fn schedulable(&self, kind: &str) -> Result<Schedulable> {
        let known =
            Schedulable { name: pull::KIND, queue: ingest::QUEUE, version: pull::VERSION, provider: pull::provider };
        if kind == known.name { Ok(known) } else { Err(Error::input("kind", kind, format!("`{}`", known.name))) }
    }

    /// The queues of a worker process.
    pub fn queues(&self) -> [Queue; 2] {
        [
            Queue { name: ingest::QUEUE, concurrency: self.config.queue.workers },
            // An index build takes all the memory it is given; a purge can wait behind it.
            Queue { name: search::QUEUE, concurrency: 1 },
        ]
    }

    /// What all workers share.
    pub fn worker_settings(&self) -> WorkerSettings {
        let (queue, circuit) = (&self.config.queue, &self.config.circuit);
        WorkerSettings {
            poll: queue.poll,
            timeout: queue.job_timeout,
            backoff: Backoff { base: queue.backoff_base, max: queue.backoff_max },
            circuits: CircuitSettings { failures: circuit.failures, open: circuit.open, open_max: circuit.open_max },
            grace: self.config.http.shutdown_grace,
        }
    }

    /// Settles the attempts that failed.
    pub fn settler(self: &Arc<Self>) -> Settler {
        Settler { store: self.store.clone(), handlers: self.handlers(), settings: self.worker_settings() }
    }

    /// Starts the workers and what keeps them: leases, ends, jobs that become due, schedules. Tasks end when `stop` is
    /// cancelled, or with an error that should end the process.
    pub fn spawn_workers(self: &Arc<Self>, tasks: &mut Tasks, stop: &CancellationToken) {
        self.spawn_workers_of(self.settler(), tasks, stop);
    }

    /// As [`App::spawn_workers`], with handlers of the caller's choice.
    pub fn spawn_workers_of(self: &Arc<Self>, settler: Settler, tasks: &mut Tasks, stop: &CancellationToken) {
        let (store, signals, config) = (&self.store, &self.signals, &self.config.queue);
        let leases = Leases::new(config.lease, stop.child_token());
        let (finisher, done) = Finisher::new();
        for queue in self.queues() {
            let (signals, leases, finisher) = (signals.clone(), leases.clone(), finisher.clone());
            let worker = Worker { queue, signals, leases, finisher, settler: settler.clone() };
            tasks.spawn_draining(queue.name, worker.run(stop.clone()));
        }
        let grace = self.config.http.shutdown_grace;
        let ends = queue::keep_finishing(done, store.clone(), leases.clone(), stop.clone(), grace);
        tasks.spawn_draining("ends", ends);
        tasks.spawn("due", queue::promote(store.clone(), signals.clone(), config.poll));
        let card = self.card(leases.holder);
        tasks.spawn("leases", leases.clone().keep(store.clone(), signals.clone(), config.heartbeat, card));
        tasks.spawn("schedules", schedule::lead(self.clone(), leases.holder));
        tasks.on_stop(leave(store.clone(), leases));
    }

    /// What this process tells of itself.
    fn card(&self, id: Uuid) -> WorkerCard {
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let slots = self.queues().map(|queue| (queue.name.to_owned(), queue.concurrency.into()));
        let slots = serde_json::Map::from_iter(slots).into();
        WorkerCard { id, host, pid: std::process::id(), version: env!("CARGO_PKG_VERSION"), slots }
    }
}

/// Leases of jobs that could not end in time go to other processes at once.
async fn leave(store: Store, leases: Leases) {
    match crate::store::jobs::give_back(store.db(), leases.holder).await {
        Ok(0) => {}
        Ok(given) => tracing::info!(given, "unfinished jobs were given back"),
        Err(error) => warn_of!(error),
    }
    let left = async {
        crate::store::leaders::resign(store.db(), schedule::LEADER, leases.holder).await?;
        workers::forget(store.db(), leases.holder).await?;
        store.bell().send(&store).await
    };
    if let Err(error) = left.await {
        warn_of!(error);
    }
}
