//! Following a log: each event once, in order, from any number on. One reader reads the end of the log for all who
//! follow it; who is further behind than its ring reaches reads pages of its own, at its own pace.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use metrics::counter;
use tokio::sync::watch;
use uuid::Uuid;

use super::log::{Head, Log};
use super::readers::Readers;
use super::ring::{End, Next, Ring};
use crate::error::{Error, Result};
use crate::graphql::fault::{self, OrFault};

/// The readers of logs of one kind.
pub type LogReaders<L> = Readers<Uuid, Ring<<L as Log>::Event>>;

/// Events read at once: bounds what a follower who is behind holds in memory.
const PAGE: usize = 128;

/// The events after a number, then the new ones, up to the last. After an error nothing more comes: the follower joins
/// again.
pub fn follow<L: Log, T: 'static>(
    readers: LogReaders<L>,
    log: L,
    after: i64,
    head: Head,
    shown: impl Fn(Arc<L::Event>) -> T + Send + 'static,
) -> impl Stream<Item = fault::Result<T>> {
    let end = join(&readers, &log, after, head);
    let follower = Follower { readers, log, after, end, past: VecDeque::new() };
    stream::unfold((Some(follower), shown), |(follower, shown)| async move {
        let mut follower = follower?;
        match follower.next().await {
            Ok(event) => Some((Ok(shown(event?)), (Some(follower), shown))),
            Err(error) => Some((Err(error).or_fault(), (None, shown))),
        }
    })
}

/// The end of a log. A reader that is started for it goes back to where its first follower stands, as far as the ring
/// reaches: then those who come right after find everything there.
fn join<L: Log>(readers: &LogReaders<L>, log: &L, after: i64, head: Head) -> watch::Receiver<Ring<L::Event>> {
    let limit = log.app().config.events.ring_limit;
    let reach = head.last.saturating_sub(i64::try_from(limit).unwrap_or(i64::MAX));
    let start = after.max(reach);
    let is_over = head.is_over && start >= head.last;
    readers.join(log.id(), Ring::new(start, limit), |ring| read(log.clone(), ring, start, is_over))
}

/// Reads a log from a number on for all who follow it.
async fn read<L: Log>(log: L, ring: watch::Sender<Ring<L::Event>>, at: i64, is_over: bool) {
    let end = match read_to_end(log, &ring, at, is_over).await {
        Ok(()) => End::Over,
        Err(error) => End::Failed(Arc::new(error)),
    };
    ring.send_modify(|ring| ring.end(end));
}

async fn read_to_end<L: Log>(
    log: L,
    ring: &watch::Sender<Ring<L::Event>>,
    mut at: i64,
    mut is_over: bool,
) -> Result<()> {
    let mut waiter = log.join();
    loop {
        let page = read_page(&log, at, "tail").await?;
        let length = page.len();
        if let Some((number, last)) = page.last() {
            (at, is_over) = (*number, L::may_be_last(last));
            ring.send_modify(|ring| ring.extend(page));
        }
        if length == PAGE {
            continue;
        }
        if is_over || (length == 0 && head(&log).await?.is_none()) {
            return Ok(());
        }
        let _ = tokio::time::timeout(jittered(log.app().config.events.poll), waiter.signal()).await;
    }
}

/// Around a time, so that those who began together do not all look together for ever.
pub(super) fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.75 + 0.5 * rand::random::<f64>())
}

/// Where a log stands now; asked in the subscriptions' share of the pool.
pub async fn head<L: Log>(log: &L) -> Result<Option<Head>> {
    let _turn = log.app().store.subscriptions().turn().await;
    log.head().await
}

/// Events with their numbers.
type Page<E> = Vec<(i64, Arc<E>)>;

async fn read_page<L: Log>(log: &L, after: i64, reader: &'static str) -> Result<Page<L::Event>> {
    let _turn = log.app().store.subscriptions().turn().await;
    counter!("vectorforge_event_reads_total", "log" => L::NAME, "reader" => reader).increment(1);
    let events = log.read(after, PAGE as u64).await?;
    Ok(events.into_iter().map(|event| (L::sequence(&event), Arc::new(event))).collect())
}

/// One who follows a log.
struct Follower<L: Log> {
    readers: LogReaders<L>,
    log: L,
    /// The number of the last event given.
    after: i64,
    end: watch::Receiver<Ring<L::Event>>,
    /// Read from before the ring, not given yet.
    past: VecDeque<(i64, Arc<L::Event>)>,
}

impl<L: Log> Follower<L> {
    /// The next event; `None` after the last one.
    async fn next(&mut self) -> Result<Option<Arc<L::Event>>, Arc<Error>> {
        loop {
            if let Some((number, event)) = self.past.pop_front() {
                return Ok(self.give(number, event));
            }
            let next = self.end.borrow_and_update().after(self.after);
            match next {
                Next::Event(number, event) => return Ok(self.give(number, event)),
                Next::Past => {
                    self.past = read_page(&self.log, self.after, "past").await?.into();
                    // The ring starts after events that are not there any more: they were removed.
                    if self.past.is_empty() {
                        return Ok(None);
                    }
                }
                Next::Later => self.end.changed().await.map_err(|_| lost())?,
                Next::Again => match head(&self.log).await? {
                    Some(head) => self.end = join(&self.readers, &self.log, self.after, head),
                    None => return Ok(None),
                },
                Next::Over => return Ok(None),
                Next::Failed(error) => return Err(error),
            }
        }
    }

    fn give(&mut self, number: i64, event: Arc<L::Event>) -> Option<Arc<L::Event>> {
        self.after = number;
        Some(event)
    }
}

fn lost() -> Error {
    Error::internal("follow events", anyhow::anyhow!("their reader was lost"))
}
