//! `LISTEN`: one connection per process wakes whoever waits. Rows are the truth; a signal only says "look again",
//! so losing one costs at most a polling interval.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use sqlx::postgres::PgListener;
use tokio::sync::watch;

use super::bell::{SEPARATOR, Topic};
use super::{Doing, Store};
use crate::causes::warn_of;
use crate::error::Result;
use crate::lock::lock;

/// Channel told of new work; the payload is the queue's name, [`DUE`] or [`LOST`].
pub const JOBS_CHANNEL: &str = "vectorforge_jobs";
/// On [`JOBS_CHANNEL`]: a job will be due, perhaps before any other.
pub const DUE: &str = "~due";
/// On [`JOBS_CHANNEL`]: someone lost a lease by another's hand.
pub const LOST: &str = "~lost";
/// Channel told of changes of jobs; the payload is the job's UUID or the queue's name.
pub const JOB_EVENTS_CHANNEL: &str = "vectorforge_job_events";
/// Channel told of new events; the payload is the run's UUID.
pub const RUNS_CHANNEL: &str = "vectorforge_runs";

/// On any channel: all who wait there. For what concerns more of them than could be told one by one.
pub const EVERYONE: &str = "~all";

/// All of them.
const CHANNELS: [&str; 3] = [JOBS_CHANNEL, JOB_EVENTS_CHANNEL, RUNS_CHANNEL];

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

    /// Wakes the waiters of one topic, or of all topics of the channel.
    pub fn wake(&self, channel: &'static str, payload: &str) {
        if payload == EVERYONE {
            let topics = self.lock();
            let waiting = topics.iter().filter(|((other, _), _)| *other == channel);
            waiting.for_each(|(_, sender)| sender.send_replace(()));
        } else if let Some(sender) = self.lock().get(&(channel, payload.to_owned())) {
            sender.send_replace(());
        }
    }

    fn wake_all(&self) {
        self.lock().values().for_each(|sender| sender.send_replace(()));
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Topic, watch::Sender<()>>> {
        lock(&self.topics)
    }

    /// Listens for ever. Ends only where the first connection fails.
    pub async fn listen(self, store: Store) -> Result<()> {
        let mut listener = Self::connect(&store).await?;
        self.wake_all();
        loop {
            match listener.try_recv().await {
                Ok(Some(signal)) => {
                    let channel = CHANNELS.into_iter().find(|channel| *channel == signal.channel());
                    if let Some(channel) = channel {
                        signal.payload().split(SEPARATOR).for_each(|payload| self.wake(channel, payload));
                    }
                }
                // The connection was lost and is open again: signals in between are gone, so everyone looks.
                Ok(None) => self.wake_all(),
                Err(cause) => {
                    tracing::warn!(%cause, "listening was interrupted");
                    listener = self.connect_again(&store).await;
                }
            }
        }
    }

    async fn connect(store: &Store) -> Result<PgListener> {
        let mut listener = PgListener::connect_with(store.pool()).await.doing("listen for signals")?;
        listener.listen_all(CHANNELS).await.doing("listen for signals")?;
        Ok(listener)
    }

    /// A new listener: the driver keeps a connection that broke in a way it does not know.
    async fn connect_again(&self, store: &Store) -> PgListener {
        loop {
            tokio::time::sleep(RECONNECT_PAUSE).await;
            match Self::connect(store).await {
                Ok(listener) => {
                    self.wake_all();
                    return listener;
                }
                Err(error) => warn_of!(error),
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
