//! The database of a process: one that the settings name, or a PostgreSQL of our own.

use anyhow::Context;
use embedded_postgres::{Server as Postgres, ServerSettings};
use settings::Config;
use tokio::time::Instant;

use crate::store::Store;

/// A database that answers and has pgvector.
pub(super) struct Database {
    /// The pool.
    pub store: Store,
    /// The server, where it is ours. Dropped, it is stopped.
    postgres: Option<Postgres>,
}

impl Database {
    /// Connects, to the embedded server where no other is configured. Safe to drop at any time: a server of ours that
    /// was being started is stopped.
    pub async fn open(config: &Config) -> anyhow::Result<Self> {
        let Some(url) = &config.database.url else { return Self::open_own(config).await };
        let store = Store::connect(&config.database, url.expose()).await?;
        Ok(Self { store, postgres: None })
    }

    async fn open_own(config: &Config) -> anyhow::Result<Self> {
        let runtime_dirs = settings::runtime_dirs(config.runtime_dir.as_deref());
        let settings =
            ServerSettings { port: config.database.server_port, ..ServerSettings::new(&config.data_dir, runtime_dirs) };
        let postgres = Postgres::start(settings).await?;
        tracing::info!(data_dir = %config.data_dir.display(), "embedded PostgreSQL runs");
        let store = tokio::select! {
            store = Store::connect(&config.database, postgres.url()) => store?,
            died = postgres.exited() => return Err(died.into()),
        };
        Ok(Self { store, postgres: Some(postgres) })
    }

    /// Opens it and brings its schema up to date.
    pub async fn open_migrated(config: &Config) -> anyhow::Result<Self> {
        let database = Self::open(config).await?;
        tokio::select! {
            migrated = database.store.migrate() => drop(migrated?),
            died = database.died() => return Err(died),
        }
        Ok(database)
    }

    /// Resolves when a server of ours ends by itself.
    pub async fn died(&self) -> anyhow::Error {
        match &self.postgres {
            Some(postgres) => postgres.exited().await.into(),
            None => std::future::pending().await,
        }
    }

    /// Closes the connections and stops a server of ours. A connection that work which was given up still holds after `at`
    /// is closed with the process.
    pub async fn close(self, at: Instant) -> anyhow::Result<()> {
        let _ = tokio::time::timeout_at(at, self.store.close()).await;
        match self.postgres {
            Some(postgres) => postgres.stop().await.context("could not stop the embedded PostgreSQL"),
            None => Ok(()),
        }
    }
}
