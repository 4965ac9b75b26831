//! Following numbered events: each once, in order, from any number on.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, Stream};
use uuid::Uuid;

use crate::app::App;
use crate::error::Result;
use crate::graphql::fault::{self, OrFault};
use crate::store::entity::run_event::{self, EventKind};
use crate::store::jobs::EventRow;
use crate::store::listen::{JOB_EVENTS_CHANNEL, RUNS_CHANNEL, Waiter};
use crate::store::{TenantId, jobs, runs};

/// Where events are read. A later one never has a lower number.
pub trait Log: Send + 'static {
    /// What is read.
    type Event: Send;

    /// Joins the signal that tells of more.
    fn join(&self) -> Waiter;

    /// The longest wait for a signal.
    fn poll(&self) -> Duration;

    /// Events after a number, in order, at most `limit`.
    fn read(&self, after: i64, limit: u64) -> impl Future<Output = Result<Vec<Self::Event>>> + Send;

    /// Whether what the events are of is there: where it was removed, nothing more can come.
    fn is_there(&self) -> impl Future<Output = Result<bool>> + Send;

    /// The event's number.
    fn sequence(event: &Self::Event) -> i64;

    /// Whether it may be the last one: it is, where nothing follows.
    fn may_be_last(event: &Self::Event) -> bool;
}

/// A run's events.
pub struct RunLog {
    /// Where to read.
    pub app: Arc<App>,
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub run: Uuid,
}

impl Log for RunLog {
    type Event = run_event::Model;

    fn join(&self) -> Waiter {
        self.app.signals.join(RUNS_CHANNEL, self.run.to_string())
    }

    fn poll(&self) -> Duration {
        self.app.config.events.poll
    }

    async fn read(&self, after: i64, limit: u64) -> Result<Vec<run_event::Model>> {
        runs::events(self.app.store.db(), self.tenant, self.run, after, limit).await
    }

    async fn is_there(&self) -> Result<bool> {
        Ok(!runs::by_ids(self.app.store.db(), self.tenant, &[self.run]).await?.is_empty())
    }

    fn sequence(event: &run_event::Model) -> i64 {
        event.sequence
    }

    fn may_be_last(event: &run_event::Model) -> bool {
        event.kind == EventKind::RunFinished
    }
}

/// A job's events.
pub struct JobLog {
    /// Where to read.
    pub app: Arc<App>,
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub job: Uuid,
}

impl Log for JobLog {
    type Event = EventRow;

    fn join(&self) -> Waiter {
        self.app.signals.join(JOB_EVENTS_CHANNEL, self.job.to_string())
    }

    fn poll(&self) -> Duration {
        self.app.config.events.poll
    }

    async fn read(&self, after: i64, limit: u64) -> Result<Vec<EventRow>> {
        jobs::events(self.app.store.db(), self.tenant, self.job, after, limit).await
    }

    async fn is_there(&self) -> Result<bool> {
        Ok(!jobs::by_ids(self.app.store.db(), self.tenant, &[self.job]).await?.is_empty())
    }

    fn sequence(event: &EventRow) -> i64 {
        event.sequence
    }

    fn may_be_last(event: &EventRow) -> bool {
        event.state.is_terminal()
    }
}

/// The events after a number, then the new ones, up to the last. After an error nothing more comes: the reader joins
/// again.
pub fn follow<L: Log, T: 'static>(
    log: L,
    after: i64,
    is_at_end: bool,
    shown: impl Fn(L::Event) -> T + Send + 'static,
) -> impl Stream<Item = fault::Result<T>> {
    let place = Place { waiter: log.join(), log, after, unsent: VecDeque::new(), is_at_end, is_over: false };
    stream::unfold((place, shown), |(mut place, shown)| async move {
        let next = place.next().await?;
        Some((next.map(&shown).or_fault(), (place, shown)))
    })
}

/// A reader's place in a log.
struct Place<L: Log> {
    log: L,
    after: i64,
    waiter: Waiter,
    unsent: VecDeque<L::Event>,
    is_at_end: bool,
    is_over: bool,
}

/// Events read at once: bounds what a slow reader holds in memory.
const BATCH: u64 = 256;

impl<L: Log> Place<L> {
    /// The next event; `None` after the last one.
    async fn next(&mut self) -> Option<Result<L::Event>> {
        while self.unsent.is_empty() {
            if self.is_over {
                return None;
            }
            if let Err(error) = self.read().await {
                self.is_over = true;
                return Some(Err(error));
            }
            if self.unsent.is_empty() && !self.is_over {
                let _ = tokio::time::timeout(self.log.poll(), self.waiter.signal()).await;
            }
        }
        let event = self.unsent.pop_front()?;
        self.after = L::sequence(&event);
        self.is_at_end = L::may_be_last(&event);
        Some(Ok(event))
    }

    async fn read(&mut self) -> Result<()> {
        self.unsent = self.log.read(self.after, BATCH).await?.into();
        self.is_over = self.unsent.is_empty() && (self.is_at_end || !self.log.is_there().await?);
        Ok(())
    }
}
