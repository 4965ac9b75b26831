//! `LISTEN`: one connection per process wakes whoever waits. Rows are the truth; a signal only says "look again",
//! so losing one costs at most a polling interval.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use sqlx::postgres::PgListener;
use tokio::sync::watch;

use super::{Doing, Store};
use crate::error::Result;

/// Channel told of new work; the payload is the queue's name.
pub const JOBS_CHANNEL: &str = "vectorforge_jobs";
/// Channel told of new events; the payload is the run's UUID.
pub const RUNS_CHANNEL: &str = "vectorforge_runs";

/// What can be waited for: a channel and its payload.
type Topic = (&'static str, String);

/// Hands signals to those who wait in this process. Holds an entry only for topics with a waiter.
#[derive(Debug, Clone, Default)]
pub struct Signals {
    topics: Arc<Mutex<HashMap<Topic, watch::Sender<()>>>>,
}

/// One waiter on one topic. Dropping the last one of a topic forgets the topic.
#[derive(Debug)]
pub struct Waiter {
    signals: Signals,
    topic: Topic,
    receiver: watch::Receiver<()>,
}

impl Signals {
    /// Joins a topic. Join first, then read the rows, then wait: nothing falls between.
    pub fn join(&self, channel: &'static str, payload: impl Into<String>) -> Waiter {
        let topic = (channel, payload.into());
        let receiver = self.lock().entry(topic.clone()).or_insert_with(|| watch::channel(()).0).subscribe();
        Waiter { signals: self.clone(), topic, receiver }
    }

    /// How many topics have a waiter.
    pub fn topic_count(&self) -> usize {
        self.lock().len()
    }

    /// Wakes the waiters of one topic.
    pub fn wake(&self, channel: &'static str, payload: &str) {
        if let Some(sender) = self.lock().get(&(channel, payload.to_owned())) {
            sender.send_replace(());
        }
    }

    fn wake_all(&self) {
        self.lock().values().for_each(|sender| sender.send_replace(()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Topic, watch::Sender<()>>> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens for ever. Ends only with an error that reconnecting does not mend.
    pub async fn listen(self, store: Store) -> Result<()> {
        let mut listener = PgListener::connect_with(store.pool()).await.doing("listen for signals")?;
        listener.listen_all([JOBS_CHANNEL, RUNS_CHANNEL]).await.doing("listen for signals")?;
        self.wake_all();
        loop {
            match listener.try_recv().await {
                Ok(Some(signal)) if signal.channel() == JOBS_CHANNEL => self.wake(JOBS_CHANNEL, signal.payload()),
                Ok(Some(signal)) => self.wake(RUNS_CHANNEL, signal.payload()),
                // The connection was lost and is open again: signals in between are gone, so everyone looks.
                Ok(None) => self.wake_all(),
                Err(cause) => {
                    tracing::warn!(%cause, "listening was interrupted");
                    tokio::time::sleep(RECONNECT_PAUSE).await;
                }
            }
        }
    }
}

/// Between two attempts to listen again.
const RECONNECT_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

impl Waiter {
    /// Waits for a signal since the last one seen. Safe to drop and call again.
    pub async fn signal(&mut self) {
        // The sender lives in the map as long as this waiter does.
        let _ = self.receiver.changed().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut topics = self.signals.lock();
        if topics.get(&self.topic).is_some_and(|sender| sender.receiver_count() == 1) {
            topics.remove(&self.topic);
        }
    }
}
