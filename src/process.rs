//! A process from start to end: database, model, server, workers; and what ends it.

use std::sync::Arc;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::config::Config;
use crate::embed::{Embedder, Embedders, LocalModel, LocalOptions, open_model_dir};
use crate::http::{self, Server};
use crate::store::Store;
use crate::store::listen::Signals;
use crate::store::server::{Server as Postgres, ServerSettings};
use crate::tasks::Tasks;
use crate::telemetry::metrics;

/// Which part of the house a process is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Api,
    Worker,
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

/// Migrates up, or so many steps down.
pub async fn migrate(config: Config, down: Option<u32>) -> anyhow::Result<()> {
    let (postgres, store) = open_database(&config).await?;
    match down {
        None => store.migrate().await?,
        Some(steps) => store.migrate_down(steps).await?,
    }
    stop_database(postgres).await
}

async fn run(config: Config, role: Role) -> anyhow::Result<()> {
    config.log_summary();
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let recorder = metrics::install()?;
    let embedders = embedders(&config)?;
    let (postgres, store) = open_database(&config).await?;
    store.migrate().await?;
    let app = Arc::new(App { config, store, signals: Signals::default(), embedders });

    let listener = http::listen(&app).await?;
    let address = listener.local_addr()?;
    let stop = CancellationToken::new();
    let mut tasks = Tasks::default();
    let server = Server::new(app.clone(), recorder.clone(), stop.clone());
    let router = if role == Role::Api { server.router() } else { server.operations_router() };
    let grace = app.config.http.shutdown_grace;
    tasks.spawn("bell", app.store.bell().clone().keep_ringing(app.store.clone()));
    tasks.spawn("signals", app.signals.clone().listen(app.store.clone()));
    tasks.spawn("metrics", metrics::keep(app.clone(), recorder));
    if app.config.queue.workers > 0 {
        app.spawn_workers(&mut tasks, &stop);
    }
    tasks.spawn_draining("http", http::serve(listener, router, stop.clone(), grace));
    tracing::info!("ready: http://{address}");

    let cause = tokio::select! {
        _ = interrupt.recv() => None,
        _ = terminate.recv() => None,
        cause = tasks.first_end() => Some(cause),
        died = died(postgres.as_ref()) => Some(died),
    };
    tracing::info!("stopping");
    stop.cancel();
    tasks.stop().await;
    app.store.close().await;
    let stopped = stop_database(postgres).await;
    cause.map_or(stopped, Err)
}

/// The embedded server where no other is configured.
async fn open_database(config: &Config) -> anyhow::Result<(Option<Postgres>, Store)> {
    if let Some(url) = &config.database.url {
        return Ok((None, Store::connect(&config.database, url.expose()).await?));
    }
    let settings = ServerSettings {
        runtime_dir: config.runtime_dir.clone(),
        port: config.database.server_port,
        ..ServerSettings::new(&config.data_dir)
    };
    let postgres = Postgres::start(settings).await?;
    tracing::info!(data_dir = %config.data_dir.display(), "embedded PostgreSQL runs");
    let store = Store::connect(&config.database, postgres.url()).await?;
    Ok((Some(postgres), store))
}

async fn stop_database(postgres: Option<Postgres>) -> anyhow::Result<()> {
    match postgres {
        Some(postgres) => postgres.stop().await.context("could not stop the embedded PostgreSQL"),
        None => Ok(()),
    }
}

/// Resolves when the embedded server ends by itself.
async fn died(postgres: Option<&Postgres>) -> anyhow::Error {
    match postgres {
        Some(postgres) => postgres.exited().await.into(),
        None => std::future::pending().await,
    }
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
            let packaged = LocalModel::packaged(config.runtime_dir.as_deref(), &options)?;
            packaged.into_iter().flatten().map(|model| Arc::new(model) as _).collect()
        }
    };
    if models.is_empty() {
        tracing::warn!("no embedding model: run `make runtime`, or set VECTORFORGE_EMBEDDING__MODEL_DIR");
    }
    Ok(models.into_iter().fold(Embedders::default(), Embedders::with))
}
