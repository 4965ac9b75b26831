//! Connecting, checking the server, migrating.

use std::sync::Arc;
use std::time::Duration;

use migration::{Migrator, MigratorTrait};
use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbBackend, DbErr, RuntimeErr, Statement,
    TransactionTrait,
};
use settings::DatabaseSettings;
use sqlx::{Connection, PgConnection};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout_at};

use super::Store;
use super::bell::Bell;
use crate::backoff::Backoff;
use crate::causes::chain;
use crate::error::Error;

/// Why the database cannot be used. Each sentence says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No answer within `database.connect_timeout_ms`.
    #[error("the database did not answer within {limit:?}: {cause}; check DATABASE_URL and that the server runs")]
    NoAnswer {
        /// The limit.
        limit: Duration,
        /// The last failure.
        cause: String,
    },
    /// The server answered, and will not let us in however often it is asked.
    #[error("the database refuses the connection: {cause}; check user, password, database and sslmode of DATABASE_URL")]
    Refused {
        /// What it, or TLS, said.
        cause: String,
    },
    /// The extension is not in this database.
    #[error("pgvector is not installed in this database; as a superuser run in it: CREATE EXTENSION vector ({0})")]
    NoPgvector(String),
    /// The extension lacks iterative scans.
    #[error("pgvector {found} is too old: 0.8 or newer is needed; install it, then run: ALTER EXTENSION vector UPDATE")]
    OldPgvector {
        /// Its version.
        found: String,
    },
    /// Something is stored that the schema of before cannot hold.
    #[error(
        "could not undo {migration}, and left it as it is: what is stored does not fit the schema before it ({found}); \
        delete that, and give the same command again"
    )]
    NotUndone {
        /// The migration.
        migration: String,
        /// What the server found.
        found: String,
    },
    /// A statement failed.
    #[error("could not {doing}: {cause}")]
    Failed {
        /// What was being done.
        doing: &'static str,
        /// Why.
        cause: DbErr,
    },
}

/// The oldest pgvector with iterative scans, without which a filtered search silently loses hits.
const OLDEST_PGVECTOR: (u32, u32) = (0, 8);

/// Waits between attempts to connect.
const BACKOFF: Backoff = Backoff { base: Duration::from_millis(100), max: Duration::from_secs(3) };

/// A connection that was idle so long is tested before use. One that was in use a moment ago is not: the test would
/// double the round trips of a busy server.
const PING_AFTER: Duration = Duration::from_secs(1);

/// The key of the advisory lock that lets one process migrate at a time: sea-orm takes none.
const MIGRATION_LOCK: i64 = 0x7665_6374_6f72;

impl Store {
    /// Connects with backoff until `database.connect_timeout_ms`, and refuses a server without pgvector 0.8.
    pub async fn connect(config: &DatabaseSettings, url: &str) -> Result<Self, ConnectError> {
        let db = connect_with_backoff(config, url).await?;
        check_pgvector(&db).await?;
        let total = config.pool_size + config.pool_overflow;
        let subscriptions = Share::new(config.subscription_share.min(total.saturating_sub(2)).max(1));
        Ok(Self { db, bell: Bell::default(), subscriptions })
    }

    /// Brings the schema up to date. Several processes may call it at once: one migrates, the others wait. Gives how many
    /// migrations were missing.
    pub async fn migrate(&self) -> Result<usize, ConnectError> {
        self.migrate_alone("migrate the database", Migrator::up(&self.db, None)).await
    }

    /// Undoes the last migrations; gives how many.
    pub async fn migrate_down(&self, steps: u32) -> Result<usize, ConnectError> {
        let undone = self.migrate_alone("migrate the database down", Migrator::down(&self.db, Some(steps))).await;
        match undone {
            Err(ConnectError::Failed { cause, .. }) if let Some(found) = does_not_fit(&cause) => {
                let last = self.applied().await?.pop().unwrap_or_default();
                Err(ConnectError::NotUndone { migration: last, found })
            }
            undone => undone,
        }
    }

    /// The migrations that are applied, in order.
    async fn applied(&self) -> Result<Vec<String>, ConnectError> {
        let applied = Migrator::get_applied_migrations_read_only(&self.db).await;
        let applied =
            applied.map_err(|cause| ConnectError::Failed { doing: "read which migrations are applied", cause })?;
        Ok(applied.iter().map(|migration| migration.name().to_owned()).collect())
    }

    /// Holds the lock while the work runs on another connection. Gives by how many migrations the schema has changed.
    async fn migrate_alone(
        &self,
        doing: &'static str,
        work: impl Future<Output = Result<(), sea_orm::DbErr>>,
    ) -> Result<usize, ConnectError> {
        let failed = |doing| move |cause| ConnectError::Failed { doing, cause };
        let lock = self.db.begin().await.map_err(failed("begin the migration"))?;
        lock.execute_unprepared(&format!("SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"))
            .await
            .map_err(failed("wait for another process's migration"))?;
        let before = self.applied().await?.len();
        work.await.map_err(failed(doing))?;
        let after = self.applied().await?.len();
        lock.commit().await.map_err(failed("end the migration"))?;
        Ok(before.abs_diff(after))
    }

    /// The version of pgvector in this database; `None` where it is not installed.
    pub async fn pgvector_version(&self) -> crate::error::Result<Option<String>> {
        installed_version(&self.db).await.map_err(|cause| Error::unavailable("read pgvector's version", cause))
    }

    /// Whether every migration of this binary is applied.
    pub async fn is_migrated(&self) -> Result<bool, DbErr> {
        Ok(Migrator::get_pending_migrations(&self.db).await?.is_empty())
    }
}

/// A part of the pool's connections. Who asks only in its turns leaves the others to the rest, and waits in line where
/// they would be refused.
#[derive(Debug, Clone)]
pub struct Share(Arc<Semaphore>);

/// The right to one connection, until it is dropped.
pub type Turn<'a> = SemaphorePermit<'a>;

impl Share {
    /// Of so many connections.
    pub fn new(connections: u32) -> Self {
        Self(Arc::new(Semaphore::new(connections as usize)))
    }

    /// Waits until a connection of the share is free.
    pub async fn turn(&self) -> Turn<'_> {
        self.0.acquire().await.expect("nobody closes it")
    }
}

/// What the server says of rows that do not fit a schema: one of its limits (SQLSTATE class 54), such as the size of an
/// index's row, or a constraint (23). None for other faults.
fn does_not_fit(error: &DbErr) -> Option<String> {
    let (DbErr::Exec(RuntimeErr::SqlxError(cause)) | DbErr::Query(RuntimeErr::SqlxError(cause))) = error else {
        return None;
    };
    let told = cause.as_database_error()?;
    let code = told.code()?;
    ["23", "54"].iter().any(|class| code.starts_with(class)).then(|| told.message().to_owned())
}

async fn connect_with_backoff(config: &DatabaseSettings, url: &str) -> Result<DatabaseConnection, ConnectError> {
    let deadline = Instant::now() + config.connect_timeout;
    let mut attempts = 0;
    loop {
        let cause = match timeout_at(deadline, connect_once(config, url)).await {
            Ok(Ok(db)) => return Ok(db),
            Ok(Err(cause)) if is_refusal(&cause) => return Err(ConnectError::Refused { cause: chain(&cause) }),
            Ok(Err(cause)) => chain(&cause),
            Err(_) => "no answer".to_owned(),
        };
        attempts += 1;
        let wait = BACKOFF.ceiling(attempts);
        if Instant::now() + wait > deadline {
            return Err(ConnectError::NoAnswer { limit: config.connect_timeout, cause });
        }
        tracing::warn!(
            cause,
            wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX),
            "database does not answer yet"
        );
        tokio::time::sleep(wait).await;
    }
}

/// Whether asking again is in vain: a wrong password or user (SQLSTATE class 28), no such database (3D), no permission
/// to connect (42501), TLS that does not come about, a setting that cannot be used.
fn is_refusal(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Configuration(_) | sqlx::Error::Tls(_) => true,
        sqlx::Error::Database(cause) => {
            let code = cause.code().unwrap_or_default();
            code.starts_with("28") || code.starts_with("3D") || code == "42501"
        }
        _ => false,
    }
}

/// A single connection first: the pool would try for long by itself and then not tell why.
async fn connect_once(config: &DatabaseSettings, url: &str) -> Result<DatabaseConnection, sqlx::Error> {
    PgConnection::connect(url).await?.close().await?;
    Database::connect(options(config, url)).await.map_err(|cause| sqlx::Error::Protocol(chain(&cause)))
}

fn options(config: &DatabaseSettings, url: &str) -> ConnectOptions {
    let mut options = ConnectOptions::new(url);
    options
        .max_connections(config.pool_size + config.pool_overflow)
        .min_connections(0)
        .acquire_timeout(config.acquire_timeout)
        .connect_timeout(config.acquire_timeout)
        .max_lifetime(config.recycle)
        .test_before_acquire(false)
        .sqlx_logging(config.statement_log)
        .sqlx_slow_statements_logging_settings(log::LevelFilter::Warn, config.slow_statement);
    if config.pre_ping {
        options.test_before_acquire_if_idle_for(PING_AFTER);
    }
    if !config.prepared_statements {
        options.map_sqlx_postgres_opts(|options| options.statement_cache_capacity(0));
    }
    options
}

async fn check_pgvector(db: &DatabaseConnection) -> Result<(), ConnectError> {
    if let Err(cause) = db.execute_unprepared("CREATE EXTENSION IF NOT EXISTS vector").await
        && installed_version(db).await?.is_none()
    {
        return Err(ConnectError::NoPgvector(cause.to_string()));
    }
    require_recent(installed_version(db).await?.unwrap_or_default())
}

fn require_recent(found: String) -> Result<(), ConnectError> {
    let mut parts = found.split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    if version < OLDEST_PGVECTOR { Err(ConnectError::OldPgvector { found }) } else { Ok(()) }
}

async fn installed_version(db: &DatabaseConnection) -> Result<Option<String>, ConnectError> {
    let question =
        Statement::from_string(DbBackend::Postgres, "SELECT extversion FROM pg_extension WHERE extname = 'vector'");
    let failed = |cause| ConnectError::Failed { doing: "read pgvector's version", cause };
    let row = db.query_one_raw(question).await.map_err(failed)?;
    row.map(|row| row.try_get_by_index(0)).transpose().map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pgvector_without_iterative_scans_is_refused_with_the_sentence_that_mends_it() {
        for version in ["0.8.0", "0.8.5", "0.8", "0.10.0", "1.0", "1.0.0"] {
            assert!(require_recent(version.to_owned()).is_ok(), "{version}");
        }
        for version in ["0.7.4", "0.5", "0.0.9", "unknown"] {
            let refused = require_recent(version.to_owned()).expect_err(version).to_string();
            let sentence = "is too old: 0.8 or newer is needed; install it, then run: ALTER EXTENSION vector UPDATE";
            assert_eq!(refused, format!("pgvector {version} {sentence}"));
        }
    }
}
