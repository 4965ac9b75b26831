//! PostgreSQL processes that outlived the VectorForge that started them.

use std::{fs, io, path::Path, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

use crate::{error::ServerError, start::Start, wait::wait_for};

/// What PostgreSQL writes about its running server.
pub(crate) const PID_FILE: &str = "postmaster.pid";
/// After a fast shutdown did not end them, an immediate one gets this long.
const IMMEDIATE_TIMEOUT: Duration = Duration::from_secs(5);

/// Stops every PostgreSQL process that works in `cluster`, then removes the stale pid file. The caller holds the data
/// directory's lock, so none of them has a living owner.
///
/// Without this a start could fail twice over: PostgreSQL refuses a cluster in use, and, seeing a foreign process with
/// the id in a stale pid file, takes it for a server. The file goes only when no process is left, because it also
/// keeps a new server off the shared memory of old ones.
pub(crate) fn stop_all(cluster: &Path, timeout: Duration, start: &Start) -> Result<(), ServerError> {
    let Some(found) = processes_in(cluster) else {
        return Ok(());
    };
    if let Some(first) = found.first() {
        tracing::warn!(pid = first.as_raw_pid(), count = found.len(), "stopping a PostgreSQL that outlived its owner");
        let stopped =
            stop_by(cluster, Signal::INT, timeout, start) || stop_by(cluster, Signal::QUIT, IMMEDIATE_TIMEOUT, start);
        start.check()?;
        if !stopped {
            return Err(ServerError::NotStopped { pid: first.as_raw_pid(), waited: timeout + IMMEDIATE_TIMEOUT });
        }
    }
    let pid_file = cluster.join(PID_FILE);
    match fs::remove_file(&pid_file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(ServerError::unwritable(pid_file)(error)),
        _ => Ok(()),
    }
}

/// Sends `signal` to all of them once, and says whether all ended in time, and before the start was abandoned.
fn stop_by(cluster: &Path, signal: Signal, timeout: Duration, start: &Start) -> bool {
    for pid in processes_in(cluster).unwrap_or_default() {
        // One that is gone already is what we want.
        let _ = kill_process(pid, signal);
    }
    let is_over = || match start.check() {
        Ok(()) => processes_in(cluster)?.is_empty().then_some(true),
        Err(_) => Some(false),
    };
    wait_for(timeout, is_over).unwrap_or(false)
}

/// Programs called `postgres` whose working directory is `cluster`: PostgreSQL's processes all go there first.
/// `None` where the system has no `/proc`; there PostgreSQL's own check of the pid file has to do.
fn processes_in(cluster: &Path) -> Option<Vec<Pid>> {
    let cluster = match cluster.canonicalize() {
        Ok(cluster) => cluster,
        Err(_) => return Some(Vec::new()),
    };
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let processes = entries.filter_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok().and_then(Pid::from_raw)?;
        let is_postgres = fs::read_to_string(entry.path().join("comm")).ok()?.trim() == "postgres";
        let works_here = fs::read_link(entry.path().join("cwd")).ok()? == cluster;
        (is_postgres && works_here).then_some(pid)
    });
    Some(processes.collect())
}
