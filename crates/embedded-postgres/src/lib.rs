//! A PostgreSQL of our own, for machines without one: `initdb` once, started and stopped with the process.
//!
//! ```text
//! <data_dir>/lock            held while we run: one server per directory
//!            postgres/       the cluster; appears whole, by a rename
//!            postgres.log    PostgreSQL's log
//!            socket/         its Unix socket, mode 0700 (in /tmp if this path is too long for a socket)
//!            runtime-…/      copy of the programs, only where root's PostgreSQL account cannot reach them
//! ```
//! Reads in this order: `settings`, `runtime` (the programs), `account` (who runs them), `lock`, `orphan` (what a
//! crash left), `cluster` (initdb), `socket`, `log`, `process`. All of it blocks, so [`Server`] moves it off the async
//! threads.
//!
//! This crate never connects to the server: what is in the database is the business of others.

mod account;
mod child;
mod cluster;
mod error;
mod launch;
mod lock;
mod log;
mod orphan;
mod process;
mod runtime;
mod settings;
mod socket;
mod start;
mod wait;

use std::{fmt, fs, path::Path};

use lock::DirLock;
use log::Log;
use process::Process;
use socket::Endpoint;
use start::Start;

pub use error::ServerError;
pub use settings::{Durability, ServerSettings};

/// The role that connects: an ordinary one that owns [`DATABASE`] and may create others.
pub const ROLE: &str = "vectorforge";
/// The database it owns; `vector` is installed in it, and in every database made later.
pub const DATABASE: &str = "vectorforge";

/// A running PostgreSQL that is ours alone. [`Server::stop`] ends it; so does dropping it, which blocks the thread
/// for as long, and so does the end of this process, even by SIGKILL (on Linux).
///
/// Run under a service manager that signals only the main process (systemd: `KillMode=mixed`), or PostgreSQL begins
/// to refuse connections before the last requests are answered.
pub struct Server {
    // Dropped in this order: the lock is free only when the process has ended.
    process: Process,
    lock: DirLock,
    endpoint: Endpoint,
    log: Log,
    url: String,
    password: Option<String>,
}

impl Server {
    /// Starts PostgreSQL in `settings.data_dir`, making the cluster at the first time, and returns when it accepts
    /// connections. What an earlier run left behind, orphans included, is cleared away.
    ///
    /// Dropping the future interrupts the start, also a long recovery: a thread that blocks ends what it has begun.
    ///
    /// # Errors
    /// Every [`ServerError`] but `Died`; nothing runs then.
    pub async fn start(settings: ServerSettings) -> Result<Self, ServerError> {
        let start = Start::default();
        let _abandoned_by_drop = start.guard();
        blocking(move || launch::launch(&settings, &start)).await
    }

    /// Connection string over the Unix socket, as [`ROLE`] to [`DATABASE`]. Holds no secret.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Connection string over TCP if a port was asked for. **Holds the password.**
    pub fn tcp_url(&self) -> Option<String> {
        let password = self.password.as_ref()?;
        Some(self.endpoint.tcp_url(ROLE, password, DATABASE))
    }

    /// Directory of the Unix socket.
    pub fn socket_dir(&self) -> &Path {
        &self.endpoint.socket_dir
    }

    /// TCP port on 127.0.0.1, if one was asked for.
    pub fn port(&self) -> Option<u16> {
        self.endpoint.tcp.then_some(self.endpoint.port)
    }

    /// Process id of the server.
    pub fn pid(&self) -> u32 {
        self.process.pid().as_raw_pid().unsigned_abs()
    }

    /// Resolves with [`ServerError::Died`] if PostgreSQL ends by itself, also if it has already; never once
    /// [`Server::stop`] was called. The future outlives the borrow, so a task may hold it.
    pub fn exited(&self) -> impl Future<Output = ServerError> + Send + use<> {
        let died = self.process.died();
        let log = self.log.clone();
        async move { ServerError::Died { status: died.await, tail: log.tail(), log: log.path().to_owned() } }
    }

    /// Stops PostgreSQL: a fast shutdown, which ends open sessions and writes a checkpoint; an immediate one if that
    /// takes longer than the stop timeout.
    ///
    /// # Errors
    /// [`ServerError::NotStopped`] if both failed.
    pub async fn stop(self) -> Result<(), ServerError> {
        blocking(move || {
            let stopped = self.process.stop();
            // Empty now. What a crash left in it stays for the next start, which needs it empty no more than we do.
            let _ = fs::remove_dir(&self.endpoint.socket_dir);
            drop(self.lock);
            stopped
        })
        .await
    }
}

/// Without the password.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("pid", &self.pid()).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

/// Runs `work` to its end on a thread that may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ServerError> + Send + 'static,
) -> Result<T, ServerError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(failed) => match failed.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(ServerError::Cancelled),
        },
    }
}
