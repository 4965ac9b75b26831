//! What the embedded server can be told, and the PostgreSQL settings that follow from it.

use std::{path::PathBuf, time::Duration};

/// Recovery after a crash reads at most `max_wal_size` (1 GB) of log, which a slow disk does in less.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A fast shutdown writes `shared_buffers` out once.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Whether a commit survives a power cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Every commit is on disk before it is acknowledged.
    #[default]
    Full,
    /// Nothing waits for the disk: a power cut may lose the whole cluster. For tests only.
    None,
}

/// How to run the embedded server. [`ServerSettings::new`] gives the defaults.
#[derive(Clone, Debug)]
pub struct ServerSettings {
    /// Directory of the cluster, its log and its lock; created if absent.
    pub data_dir: PathBuf,
    /// Directories that may hold what `make runtime` fetched; the first one that holds PostgreSQL's programs is taken.
    pub runtime_dirs: Vec<PathBuf>,
    /// TCP port on 127.0.0.1, protected by a generated password; `Some(0)` takes a free one. Default `None`: Unix
    /// socket only, because every local user can connect to a loopback port, but only ours can enter the socket's
    /// directory.
    pub port: Option<u16>,
    /// Longest wait until the server is ready. Default 60 s: crash recovery is included.
    pub start_timeout: Duration,
    /// Longest wait for a fast shutdown before an immediate one. Default 20 s.
    pub stop_timeout: Duration,
    /// Default [`Durability::Full`].
    pub durability: Durability,
    /// Connections at once. Default 100, PostgreSQL's own: API, workers and a few `psql`.
    pub max_connections: u16,
    /// Further PostgreSQL settings as (name, value); they win over ours.
    pub extra: Vec<(String, String)>,
}

impl ServerSettings {
    /// Defaults for a server in `data_dir`, with the programs of one of these directories.
    pub fn new(data_dir: impl Into<PathBuf>, runtime_dirs: Vec<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            runtime_dirs,
            port: None,
            start_timeout: START_TIMEOUT,
            stop_timeout: STOP_TIMEOUT,
            durability: Durability::Full,
            max_connections: 100,
            extra: Vec::new(),
        }
    }

    /// The settings for PostgreSQL's command line, in order; a later one wins. Where it listens is not among them.
    pub(crate) fn options(&self) -> Vec<(String, String)> {
        let fixed = FIXED.iter();
        let durability = match self.durability {
            Durability::Full => [].iter(),
            Durability::None => NOT_DURABLE.iter(),
        };
        let mut options: Vec<(String, String)> =
            fixed.chain(durability).map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        options.push(("max_connections".to_owned(), self.max_connections.to_string()));
        options.extend(self.extra.iter().cloned());
        options
    }
}

/// Given at every start rather than written into `postgresql.conf`, so that a new version of VectorForge brings its
/// settings to old clusters.
const FIXED: &[(&str, &str)] = &[
    // A small machine also holds our process and its model in memory; the page cache does the rest.
    ("shared_buffers", "256MB"),
    // An HNSW graph that fits is built three times faster than one that spills at the default of 64 MB.
    ("maintenance_work_mem", "256MB"),
    // Leaves most cores to searches while an index is built.
    ("max_parallel_maintenance_workers", "2"),
    // Flash storage: a random page costs hardly more than the next one. The default of 4 hides index scans.
    ("random_page_cost", "1.1"),
    // A k-NN query looks costly to the planner, and compiling it takes longer than running it.
    ("jit", "off"),
    // No replica ever attaches, so bulk loads into new tables may skip the write-ahead log.
    ("wal_level", "minimal"),
    ("max_wal_senders", "0"),
    // What is stored and logged does not depend on the machine's time zone.
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    // One file, opened by us; a checkpoint line every five minutes would only fill it.
    ("logging_collector", "off"),
    ("log_destination", "stderr"),
    ("log_checkpoints", "off"),
    // Only the account that runs the server connects to the socket.
    ("unix_socket_permissions", "0700"),
    // Shown by `ps`, to tell this server from others.
    ("cluster_name", "vectorforge"),
];

const NOT_DURABLE: &[(&str, &str)] = &[("fsync", "off"), ("synchronous_commit", "off"), ("full_page_writes", "off")];

#[cfg(test)]
mod tests {
    use super::*;

    fn last<'a>(options: &'a [(String, String)], name: &str) -> Option<&'a str> {
        let mut matching = options.iter().rev().filter(|(n, _)| n == name);
        matching.next().map(|(_, value)| value.as_str())
    }

    #[test]
    fn an_extra_setting_wins_over_ours() {
        let mut settings = ServerSettings::new("data", Vec::new());
        assert_eq!(last(&settings.options(), "jit"), Some("off"));
        settings.extra = vec![("jit".into(), "on".into())];
        assert_eq!(last(&settings.options(), "jit"), Some("on"));
    }

    #[test]
    fn only_tests_give_up_durability() {
        let mut settings = ServerSettings::new("data", Vec::new());
        assert_eq!(last(&settings.options(), "fsync"), None);
        settings.durability = Durability::None;
        assert_eq!(last(&settings.options(), "fsync"), Some("off"));
    }
}
