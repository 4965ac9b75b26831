//! What the API and the workers share, and how a process is put together from it.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::config::Config;
use crate::embed::Embedders;
use crate::ingest::work::IngestDocument;
use crate::queue::{Handlers, Leases, Queue, WorkerSettings};
use crate::store::Store;
use crate::store::listen::Signals;
use crate::{collection, ingest, queue, search};

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

impl App {
    /// The time: one place, so that rows of one process agree.
    pub fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    /// Every kind of job with its handler.
    pub fn handlers(self: &Arc<Self>) -> Handlers {
        Handlers::default()
            .with(ingest::work::KIND, IngestDocument::new(self.clone()))
            .with(search::BUILD_INDEX, search::BuildIndex::new(self.clone()))
            .with(collection::purge::KIND, collection::purge::PurgeCollection::new(self.clone()))
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
        let config = &self.config.queue;
        WorkerSettings {
            poll: config.poll,
            timeout: config.job_timeout,
            backoff_base: config.backoff_base,
            backoff_max: config.backoff_max,
            grace: self.config.http.shutdown_grace,
        }
    }

    /// Starts the workers and what keeps them: leases, sweep, index upkeep. Tasks end when `stop` is cancelled, or
    /// with an error that should end the process.
    pub fn spawn_workers(
        self: &Arc<Self>,
        tasks: &mut crate::tasks::Tasks,
        stop: &tokio_util::sync::CancellationToken,
    ) {
        let leases = Leases::new(self.config.queue.lease, stop.child_token());
        let handlers = self.handlers();
        for queue in self.queues() {
            let settings = self.worker_settings();
            let (store, signals) = (self.store.clone(), self.signals.clone());
            let worker =
                queue::worker::run(queue, store, signals, leases.clone(), handlers.clone(), settings, stop.clone());
            tasks.spawn_draining(queue.name, worker);
        }
        tasks.spawn("leases", leases.clone().keep(self.store.clone(), self.config.queue.heartbeat));
        tasks.spawn("upkeep", upkeep(self.clone(), handlers));
        tasks.on_stop(give_back(self.store.clone(), leases));
    }
}

/// Leases of jobs that could not end in time go to other processes at once.
async fn give_back(store: Store, leases: Leases) {
    match crate::store::jobs::give_back(store.db(), leases.holder).await {
        Ok(0) => {}
        Ok(given) => tracing::info!(given, "unfinished jobs were given back"),
        Err(error) => tracing::warn!(cause = ?error.cause, "{error}"),
    }
}

/// Takes up the jobs of lost workers and enqueues due index builds. A fault of one round is told and left to the next.
async fn upkeep(app: Arc<App>, handlers: Handlers) -> crate::error::Result<()> {
    // A lost worker's job waits at most a lease and this long.
    let mut ticks = tokio::time::interval(app.config.queue.heartbeat);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        if let Err(error) = queue::sweep(&app.store, &handlers, app.worker_settings().backoff()).await {
            tracing::warn!(cause = ?error.cause, "{error}");
        }
        if let Err(error) = search::enqueue_due_indexes(&app).await {
            tracing::warn!(cause = ?error.cause, "{error}");
        }
    }
}
