//! The queues of the product. Each has workers of its own.

/// Queue of jobs that take documents in.
pub const INGEST: &str = "ingest";
/// Queue of jobs that look after indexes and deleted collections: apart, so that a long build holds up no ingest.
pub const MAINTENANCE: &str = "maintenance";

/// Every queue, in order of their names.
pub const NAMES: [&str; 2] = [INGEST, MAINTENANCE];

/// A queue and how many of its jobs this process runs at once.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// Its name.
    pub name: &'static str,
    /// Jobs at once.
    pub concurrency: usize,
}

impl Queue {
    /// The queues of a worker process that ingests so many documents at once.
    pub fn all(workers: usize) -> [Self; 2] {
        [
            Self { name: INGEST, concurrency: workers },
            // An index build takes all the memory it is given; a purge can wait behind it.
            Self { name: MAINTENANCE, concurrency: 1 },
        ]
    }
}
