//! Health: probes with a timeout each; the worst of those that matter wins.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use chrono::SecondsFormat;
use models::Readiness;
use serde::Serialize;
use tokio::time::Instant;

use crate::app::App;
use crate::queue::{NAMES, processes, queues};
use crate::store::disk;

/// How a part, or the whole, is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Health {
    /// Works.
    Healthy,
    /// Works in part: something optional does not.
    Degraded,
    /// Does not work.
    Unhealthy,
}

/// What a probe found.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// What was probed.
    pub name: String,
    /// How it is.
    pub status: Health,
    /// One sentence.
    pub detail: String,
    /// How long the probe took.
    pub ms: f64,
}

/// What all probes found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// The worst.
    pub status: Health,
    /// Each probe.
    pub probes: Vec<Finding>,
}

type Outcome = (Health, String);
type Probe = Box<dyn Fn(Arc<App>) -> Pin<Box<dyn Future<Output = Outcome> + Send>> + Send + Sync>;

/// The registered probes.
#[derive(Default)]
pub struct Probes(Vec<(String, Probe)>);

impl Probes {
    /// Those of the house.
    pub fn of(app: &App) -> Self {
        let mut probes = Self::default();
        probes.register("database", database);
        probes.register("storage", storage);
        probes.register("migrations", migrations);
        probes.register("queues", queues);
        probes.register("workers", workers);
        for embedder in app.embedders.iter() {
            let (name, embedder) = (format!("model {}", embedder.model()), Arc::clone(embedder));
            probes.register(name, move |_| {
                let readiness = embedder.readiness();
                async move { model(readiness) }
            });
        }
        if app.embedders.models().is_empty() {
            probes.register("model", |_| async { (Health::Degraded, "no embedding model is there".to_owned()) });
        }
        probes
    }

    /// Adds a probe.
    pub fn register<F>(&mut self, name: impl Into<String>, probe: impl Fn(Arc<App>) -> F + Send + Sync + 'static)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        self.0.push((name.into(), Box::new(move |app| Box::pin(probe(app)))));
    }

    /// Asks all at once; each has its own time.
    pub async fn ask(&self, app: &Arc<App>) -> Report {
        let limit = app.config.health.probe_timeout;
        let asked = self.0.iter().map(|(name, probe)| ask_one(name, probe(app.clone()), limit));
        let probes = futures_util::future::join_all(asked).await;
        let status = probes.iter().map(|finding| finding.status).max().unwrap_or(Health::Healthy);
        Report { status, probes }
    }
}

async fn ask_one(name: &str, probe: impl Future<Output = Outcome>, limit: Duration) -> Finding {
    let started = Instant::now();
    let late = || (Health::Unhealthy, format!("no answer within {} ms", limit.as_millis()));
    let (status, detail) = tokio::time::timeout(limit, probe).await.unwrap_or_else(|_| late());
    Finding { name: name.to_owned(), status, detail, ms: started.elapsed().as_secs_f64() * 1e3 }
}

async fn database(app: Arc<App>) -> Outcome {
    match app.store.pgvector_version().await {
        Ok(Some(version)) => (Health::Healthy, format!("pgvector {version}")),
        Ok(None) => (Health::Unhealthy, "pgvector is not installed; run: CREATE EXTENSION vector".to_owned()),
        Err(_) => (Health::Unhealthy, "the database does not answer".to_owned()),
    }
}

/// Whether the database can write, and whether its disk, where it is ours, will be full soon.
async fn storage(app: Arc<App>) -> Outcome {
    let written = disk::probe(&app.store).await;
    if let Some(since) = disk::full_since() {
        let since = since.to_rfc3339_opts(SecondsFormat::Secs, true);
        let told =
            format!("the disk of the database is full since {since}: make room, and what waits goes on by itself");
        return (Health::Unhealthy, told);
    }
    match (written, app.free_bytes()) {
        (Err(_), _) => (Health::Unhealthy, "the database does not answer".to_owned()),
        (Ok(()), None) => (Health::Healthy, "the database can write".to_owned()),
        (Ok(()), Some(free)) => {
            let is_low = free < app.config.health.free_bytes;
            let status = if is_low { Health::Degraded } else { Health::Healthy };
            (status, format!("{} MB are free in the data directory", free / 1_000_000))
        }
    }
}

async fn migrations(app: Arc<App>) -> Outcome {
    match app.store.is_migrated().await {
        Ok(true) => (Health::Healthy, "current".to_owned()),
        Ok(false) => (Health::Unhealthy, "not current; run: vectorforge migrate up".to_owned()),
        Err(_) => (Health::Unhealthy, "the database does not answer".to_owned()),
    }
}

/// A job that has been due this long in a queue that is not paused means that no worker takes it.
const LAG_LIMIT: Duration = Duration::from_secs(300);

async fn queues(app: Arc<App>) -> Outcome {
    let Ok(states) = queues::states(app.store.db(), &NAMES, false).await else {
        return (Health::Unhealthy, "the database does not answer".to_owned());
    };
    let (paused, going): (Vec<_>, Vec<_>) = states.iter().partition(|queue| queue.paused_at.is_some());
    let waited = |since: chrono::DateTime<_>| (app.now() - since).to_std().unwrap_or_default();
    let oldest = going.iter().filter_map(|queue| queue.oldest_pending_at).map(waited).max().unwrap_or_default();
    let status = if oldest > LAG_LIMIT { Health::Degraded } else { Health::Healthy };
    let told = format!("the oldest due job has waited {} s", oldest.as_secs());
    let names: Vec<_> = paused.iter().map(|queue| queue.name.as_str()).collect();
    (status, if names.is_empty() { told } else { format!("{told}; paused: {}", names.join(", ")) })
}

async fn workers(app: Arc<App>) -> Outcome {
    let lease = app.config.queue.lease;
    match processes::all(app.store.db()).await {
        Err(_) => (Health::Unhealthy, "the database does not answer".to_owned()),
        Ok(workers) => match workers.iter().filter(|worker| worker.is_alive(lease)).count() {
            0 => (Health::Degraded, format!("no worker process was seen within {} ms", lease.as_millis())),
            alive => (Health::Healthy, format!("{alive} worker processes")),
        },
    }
}

fn model(readiness: Readiness) -> Outcome {
    match readiness {
        Readiness::Idle => (Health::Healthy, "is loaded at first use".to_owned()),
        Readiness::Loading => (Health::Healthy, "is being loaded".to_owned()),
        Readiness::Ready => (Health::Healthy, "loaded".to_owned()),
        Readiness::Failed(reason) => (Health::Degraded, reason),
    }
}
