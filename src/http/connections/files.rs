//! Open files: each connection is one.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files of a process beside its connections: the pool, listeners, logs, uploads on their way.
const OTHERS: u64 = 256;

/// Lets this process open as many files as the system allows it; a login shell's 1,024 are for programs that use
/// `select`.
pub fn raise_limit(connections: usize) {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    if let Err(cause) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }) {
        tracing::warn!(%cause, "the limit of open files cannot be raised");
    }
    let Some(allowed) = getrlimit(Resource::Nofile).current else { return };
    if allowed < connections as u64 + OTHERS {
        tracing::warn!(allowed, connections, "the system allows fewer open files than http.connection_limit needs");
    }
}
