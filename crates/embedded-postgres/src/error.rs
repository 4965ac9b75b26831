//! Why the embedded PostgreSQL did not start, run or stop: each one sentence that says what to do.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// A fault of the embedded server. `Display` is meant for the operator, whole and on its own.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No directory we looked in holds the PostgreSQL programs.
    #[error("PostgreSQL was not found in {searched}; run `make runtime`, or set DATABASE_URL to a server of your own")]
    RuntimeMissing {
        /// The directories, joined by commas.
        searched: String,
    },
    /// The programs are there but do not run.
    #[error(
        "{program} does not run: {reason}; remove the runtime directory and run `make runtime` again, \
         or set DATABASE_URL to a server of your own"
    )]
    RuntimeBroken {
        /// The program that was tried.
        program: PathBuf,
        /// What the system or the program said.
        reason: String,
    },
    /// Started by root where no unprivileged account exists.
    #[error(
        "PostgreSQL refuses to run as root, and there is no user \"postgres\" or \"nobody\" to run it as; \
         create one, or start VectorForge as an ordinary user"
    )]
    NoAccount,
    /// We may not create or change something in the data directory.
    #[error(
        "cannot write {path} in the data directory: {source}; set VECTORFORGE_DATA_DIR to a directory that can be written"
    )]
    Unwritable {
        /// What was to be written.
        path: PathBuf,
        /// The refusal.
        source: io::Error,
    },
    /// The account PostgreSQL runs as cannot enter a directory on the way to its data.
    #[error(
        "PostgreSQL runs as user {account}, which may not enter {blocked} on the way to {path}; allow it with \
         `chmod o+x`, or set VECTORFORGE_DATA_DIR to a directory that this user can reach"
    )]
    Unreachable {
        /// Name of the account.
        account: String,
        /// The directory that keeps it out.
        blocked: PathBuf,
        /// Where it has to get to.
        path: PathBuf,
    },
    /// Another server of ours holds the data directory.
    #[error("data directory {path} is in use by process {holder}; stop it or set VECTORFORGE_DATA_DIR")]
    InUse {
        /// The data directory.
        path: PathBuf,
        /// Process id of the holder, as it wrote it down.
        holder: String,
    },
    /// The cluster belongs to a user we cannot run as.
    #[error(
        "{path} belongs to user id {owner}, but PostgreSQL would run as {account}; start VectorForge as that user, \
         or set VECTORFORGE_DATA_DIR"
    )]
    WrongOwner {
        /// The cluster.
        path: PathBuf,
        /// User id of its owner.
        owner: u32,
        /// The account it would be served by.
        account: String,
    },
    /// Something else lies where the cluster belongs.
    #[error("{path} exists but holds no PostgreSQL cluster; move it away or set VECTORFORGE_DATA_DIR")]
    NotACluster {
        /// The place.
        path: PathBuf,
    },
    /// The cluster was written by another major version of PostgreSQL.
    #[error(
        "{path} was made by PostgreSQL {found}, but the runtime is PostgreSQL {expected}; dump it with the old version \
         and restore it, or set VECTORFORGE_DATA_DIR to a new directory"
    )]
    WrongMajor {
        /// The cluster.
        path: PathBuf,
        /// Major version in the cluster.
        found: String,
        /// Major version of the runtime.
        expected: String,
    },
    /// The asked-for TCP port cannot be had.
    #[error("cannot listen on 127.0.0.1:{port}: {source}; choose another port, or 0 for a free one")]
    Port {
        /// The port asked for.
        port: u16,
        /// The refusal.
        source: io::Error,
    },
    /// The directory for the socket is not safe to use.
    #[error(
        "cannot use {path} for the server's socket: {reason}; remove it, or set VECTORFORGE_DATA_DIR to a shorter path"
    )]
    SocketDir {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Making a new cluster failed.
    #[error("{program} could not create the database cluster ({status}): {output}")]
    Init {
        /// `initdb`, or `postgres` for the statements after it.
        program: &'static str,
        /// How it ended.
        status: ExitStatus,
        /// Its last lines.
        output: String,
    },
    /// PostgreSQL ended before it was ready.
    #[error("PostgreSQL did not start ({status}); {log} ends with: {tail}")]
    NotStarted {
        /// How it ended.
        status: ExitStatus,
        /// The log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// PostgreSQL was not ready in time.
    #[error(
        "PostgreSQL was not ready after {waited:?}; raise the start timeout if it is recovering; {log} ends with: {tail}"
    )]
    StartTimeout {
        /// The timeout that ran out.
        waited: Duration,
        /// The log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// PostgreSQL ended although nobody asked it to.
    #[error("PostgreSQL ended unexpectedly ({status}); {log} ends with: {tail}")]
    Died {
        /// How it ended.
        status: ExitStatus,
        /// The log file.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// A PostgreSQL process of this data directory does not end.
    #[error("PostgreSQL process {pid} did not end within {waited:?}; end it by hand with `kill -QUIT {pid}`")]
    NotStopped {
        /// Its process id.
        pid: i32,
        /// How long we waited, all signals together.
        waited: Duration,
    },
    /// Any other refusal of the operating system.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done, with the path.
        doing: String,
        /// The refusal.
        source: io::Error,
    },
    /// Nobody waits for the start any more, or the async runtime shut down while the server was starting or stopping.
    #[error("the process ended while PostgreSQL was starting or stopping")]
    Cancelled,
}

impl ServerError {
    /// An [`ServerError::Io`]; for `map_err`.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }

    /// An [`ServerError::Unwritable`]; for `map_err`.
    pub(crate) fn unwritable(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Unwritable { path, source }
    }
}
