//! A process from start to end: database, model, server, workers; and what ends it.
//!
//! Asked to stop before it was ready, it ends at once and as well as later on: exit code 0, nothing was left undone. A
//! migration that was asked to stop is not done: it ends as one whom the signal ended.

mod database;
mod instance;
mod memory;
mod stop;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use metrics_exporter_prometheus::PrometheusHandle;
use models::{Embedder, Embedders, LocalModel, LocalOptions, open_model_dir};
use settings::Config;
use tokio::time::Instant;

use self::database::Database;
pub use self::instance::{Instance, Parts, Role};
pub use self::stop::Interrupted;
use self::stop::StopSignals;
use crate::store::disk;
use crate::telemetry::metrics;
use crate::{http, kinds};

/// For the last words after the grace: leases given back, connections closed. What is not said by then is left unsaid.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs a part of the house to its end. A thread that is busy with a document or a file then is left to the end of the
/// process: no one waits for it.
pub fn run_to_end<T>(part: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let ended = runtime.block_on(part);
    runtime.shutdown_background();
    Ok(ended)
}

/// The API, with workers unless `queue.workers` is 0.
pub async fn serve(config: Config) -> anyhow::Result<()> {
    run(config, Role::Api).await
}

/// Workers only. They need a database that another process can reach too.
pub async fn work(config: Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.database.url.is_some(),
        "a worker works on another process's database: set DATABASE_URL to it (the embedded one belongs to `serve`)"
    );
    anyhow::ensure!(config.queue.workers > 0, "queue.workers is 0: a worker without workers does nothing");
    run(config, Role::Worker).await
}

/// Migrates up, or so many steps down. Each step is a transaction.
pub async fn migrate(config: Config, down: Option<u32>) -> anyhow::Result<()> {
    let migrating = async {
        let database = Database::open(&config).await?;
        match down {
            None => tracing::info!("{}", applied(database.store.migrate().await?)),
            Some(steps) => tracing::info!("{}", undone(database.store.migrate_down(steps).await?, steps as usize)),
        }
        database.close(Instant::now() + LAST_WORDS).await
    };
    StopSignals::listen()?.unless(migrating).await?
}

fn applied(steps: usize) -> String {
    match steps {
        0 => "nothing to migrate: the schema is up to date".to_owned(),
        steps => format!("applied {}: the schema is up to date", migrations(steps)),
    }
}

fn undone(steps: usize, asked: usize) -> String {
    match steps {
        0 if asked > 0 => "nothing to undo: no migration is applied".to_owned(),
        steps if steps < asked => format!("undid {} of {asked}: no more were applied", migrations(steps)),
        steps => format!("undid {}", migrations(steps)),
    }
}

fn migrations(count: usize) -> String {
    if count == 1 { "1 migration".to_owned() } else { format!("{count} migrations") }
}

async fn run(config: Config, role: Role) -> anyhow::Result<()> {
    config.log_summary();
    let mut stop_signals = StopSignals::listen()?;
    let recorder = metrics::install()?;
    let embedders = embedders(&config)?;
    let Ok(database) = stop_signals.unless(Database::open_migrated(&config)).await else {
        tracing::info!("stopping before the work was done");
        return Ok(());
    };
    let database = database?;
    let listener = http::listen(&config.http).await?;
    let grace = config.http.shutdown_grace;
    let mut instance = Instance::start(Parts {
        works: config.queue.workers > 0,
        config,
        store: database.store.clone(),
        embedders,
        kinds: Box::new(kinds::all),
        recorder: recorder.clone(),
        listener,
        role,
    })?;
    watch(&mut instance, recorder);
    tracing::info!("ready: http://{}", instance.address);

    let cause = tokio::select! {
        _ = stop_signals.received() => None,
        cause = instance.first_end() => Some(cause),
        // Whatever is under way has lost what it stands on: nothing is waited for.
        died = database.died() => return Err(died),
    };
    tracing::info!("stopping");
    let in_order = async {
        tokio::select! {
            () = instance.stop() => Ok(()),
            died = database.died() => Err(died),
        }
    };
    let last_word = Instant::now() + grace + LAST_WORDS;
    match tokio::time::timeout_at(last_word, in_order).await {
        Ok(stopped) => stopped?,
        Err(_) => tracing::warn!("some work did not end within the grace and is given up"),
    }
    let closed = database.close(last_word.min(Instant::now() + LAST_WORDS)).await;
    cause.map_or(closed, Err)
}

/// What there is once per process, whatever runs in it: its memory, the disk of its database, its figures.
fn watch(instance: &mut Instance, recorder: PrometheusHandle) {
    let (app, server, tasks) = (&instance.app, instance.server.clone(), &mut instance.tasks);
    tasks.spawn("memory", memory::keep_giving_back(move || server.connections()));
    tasks.spawn("disk", disk::keep_looking(app.store.clone()));
    tasks.spawn("metrics", metrics::keep(app.clone(), recorder));
}

/// The models of this process. Without the packaged model the process serves collections with vectors of their own; a
/// model directory that was asked for and cannot be read is an error.
fn embedders(config: &Config) -> anyhow::Result<Embedders> {
    let settings = &config.embedding;
    let options = LocalOptions {
        threads: settings.threads,
        query_prompt: settings.query_prompt.clone(),
        document_prompt: settings.document_prompt.clone(),
    };
    let models: Vec<Arc<dyn Embedder>> = match &config.embedding.model_dir {
        Some(dir) => {
            let name = dir.file_name().map_or_else(|| "model".into(), |name| name.to_string_lossy());
            open_model_dir(dir, &name, &options).context("embedding.model_dir")?
        }
        None => {
            let runtime_dirs = settings::runtime_dirs(config.runtime_dir.as_deref());
            let packaged = LocalModel::packaged(&runtime_dirs, &options)?;
            packaged.into_iter().flatten().map(|model| Arc::new(model) as _).collect()
        }
    };
    if models.is_empty() {
        tracing::warn!("no embedding model: run `make runtime`, or set VECTORFORGE_EMBEDDING__MODEL_DIR");
    }
    Ok(models.into_iter().fold(Embedders::default(), Embedders::with))
}
