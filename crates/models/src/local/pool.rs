//! Threads that embed for async callers, in two lanes.
//!
//! A query finds a thread whatever bulk work there is, and the system lets it run first: bulk threads are nice. On two cores
//! with two bulk threads, half of the queries took over 22 ms instead of 10; with nice ones, 10 as without any.

use std::io;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use super::encode::{Embedding, Encode};
use super::error::EmbedError;
use super::lane::Lane;
use super::meter::Meter;

/// Estimated tokens of a pass of documents, a few hundredths of a second of computing: more would not be faster per token,
/// and callers would take turns less often.
const BULK_PASS_TOKENS: usize = 384;

/// Estimated tokens of a pass of queries, about four questions: together they take an eighth less than one by one. A query
/// waits only where all threads are at such passes, and then about ten milliseconds.
const QUERY_PASS_TOKENS: usize = 64;

/// How much nicer bulk threads are than the process: where all cores are busy, they get a tenth of what another thread
/// does, so that ingestion slows down but never stands still.
const BULK_NICENESS: i32 = 10;

/// Which lane texts wait in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Someone waits for the answer.
    Query,
    /// Background work.
    Bulk,
}

/// A fixed number of threads for each lane.
pub(crate) struct Pool {
    queries: Arc<Lane>,
    bulk: Arc<Lane>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    /// For the model of that name in metrics, starts so many threads for bulk work (zero is taken as one), and one more than that for queries: together they may
    /// use the core that bulk work leaves free.
    pub(crate) fn start(
        model: &str,
        queries: Arc<dyn Encode>,
        bulk: Arc<dyn Encode>,
        bulk_threads: usize,
    ) -> io::Result<Self> {
        let bulk_threads = bulk_threads.max(1);
        let queries = Arc::new(Lane::new(queries, QUERY_PASS_TOKENS, Meter::new(model, "query")));
        let bulk = Arc::new(Lane::new(bulk, BULK_PASS_TOKENS, Meter::new(model, "bulk")));
        // Into the pool one by one: should a thread not start, dropping the pool ends those that did.
        let mut pool = Self { queries, bulk, threads: Vec::new() };
        for index in 0..=bulk_threads {
            let lane = Arc::clone(&pool.queries);
            pool.threads.push(Builder::new().name(format!("embed-query-{index}")).spawn(move || lane.work())?);
        }
        for index in 0..bulk_threads {
            let lane = Arc::clone(&pool.bulk);
            let work = move || {
                be_nice();
                lane.work();
            };
            pool.threads.push(Builder::new().name(format!("embed-bulk-{index}")).spawn(work)?);
        }
        Ok(pool)
    }

    /// One embedding per text, in order. Waits while the lane is full; dropping the future takes back what was not begun.
    pub(crate) async fn embed(&self, texts: Vec<String>, priority: Priority) -> Result<Vec<Embedding>, EmbedError> {
        let lane = match priority {
            Priority::Query => &self.queries,
            Priority::Bulk => &self.bulk,
        };
        lane.embed(texts).await
    }
}

impl Drop for Pool {
    /// Closes the lanes and joins the threads, which takes as long as the passes already running.
    fn drop(&mut self) {
        self.queries.close();
        self.bulk.close();
        for thread in self.threads.drain(..) {
            // A thread catches the panics of its passes, so it has nothing to tell.
            let _ = thread.join();
        }
    }
}

/// Makes this thread alone nicer; other systems than Linux know no niceness of threads.
fn be_nice() {
    #[cfg(target_os = "linux")]
    // Where a sandbox forbids it, threads share the cores equally, and all else goes as it would.
    let _ = rustix::process::nice(BULK_NICENESS);
}
