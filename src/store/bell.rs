//! `NOTIFY`, sent after commits by one task per process, many at once. Not within the transactions: a transaction that
//! notifies holds a lock of the whole database until its commit is on disk, so that all such commits queue up behind
//! each other. What is lost with the process between commit and signal, the pollers find.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use tokio::sync::Notify;
use uuid::Uuid;

use super::listen::JOB_EVENTS_CHANNEL;
use super::{Doing, Store};
use crate::causes::warn_of;
use crate::error::Result;
use crate::lock::lock;

/// What can be waited for: a channel and its payload.
pub type Topic = (&'static str, String);

/// Jobs changed by one statement, up to which each is rung.
const JOBS_AT_ONCE: usize = 64;

/// Topics that are to be rung.
#[derive(Debug, Clone, Default)]
pub struct Bell {
    topics: Arc<Mutex<HashSet<Topic>>>,
    pulled: Arc<Notify>,
}

impl Bell {
    /// Rings a topic soon.
    pub fn ring(&self, channel: &'static str, payload: impl Into<String>) {
        self.ring_all([(channel, payload.into())]);
    }

    /// Rings a queue whose jobs changed, and the jobs themselves where they are few. Who follows one of many looks again
    /// by itself a little later: a signal per job would cost more than the jobs.
    pub fn ring_jobs(&self, queue: &str, jobs: impl ExactSizeIterator<Item = Uuid>) {
        let jobs = Some(jobs).filter(|jobs| jobs.len() <= JOBS_AT_ONCE).into_iter().flatten();
        let topics = std::iter::once(queue.to_owned()).chain(jobs.map(|job| job.to_string()));
        self.ring_all(topics.map(|payload| (JOB_EVENTS_CHANNEL, payload)));
    }

    pub(super) fn ring_all(&self, topics: impl IntoIterator<Item = Topic>) {
        let mut waiting = lock(&self.topics);
        waiting.extend(topics);
        if !waiting.is_empty() {
            self.pulled.notify_one();
        }
    }

    /// Sends for ever. A database that does not answer loses signals, which only wake: rows are the truth.
    pub async fn keep_ringing(self, store: Store) -> Result<()> {
        loop {
            self.pulled.notified().await;
            if let Err(error) = self.send(&store).await {
                warn_of!(error);
            }
        }
    }

    /// Sends what waits.
    pub async fn send(&self, store: &Store) -> Result<()> {
        let topics: Vec<Topic> = lock(&self.topics).drain().collect();
        if topics.is_empty() {
            return Ok(());
        }
        let (channels, payloads): (Vec<_>, Vec<_>) = bundles(topics).unzip();
        let statement = Statement::from_sql_and_values(
            DbBackend::Postgres,
            "SELECT pg_notify(channel, payload) FROM unnest($1::text[], $2::text[]) AS topics (channel, payload)",
            [channels.into(), payloads.into()],
        );
        store.db().execute_raw(statement).await.doing("wake who waits")?;
        Ok(())
    }
}

/// Between the payloads of one notification.
pub(super) const SEPARATOR: char = '\n';
/// PostgreSQL refuses a notification of 8,000 bytes.
const LONGEST: usize = 7_900;

/// Topics of one channel as few notifications: each costs every listening process more than what it carries.
fn bundles(topics: Vec<Topic>) -> impl Iterator<Item = (String, String)> {
    let mut bundles: Vec<(&str, String)> = Vec::new();
    let mut open: HashMap<&str, usize> = HashMap::new();
    for (channel, payload) in topics {
        match open.get(channel).map(|place| &mut bundles[*place].1) {
            Some(bundle) if bundle.len() + payload.len() < LONGEST => {
                bundle.push(SEPARATOR);
                bundle.push_str(&payload);
            }
            _ => {
                open.insert(channel, bundles.len());
                bundles.push((channel, payload));
            }
        }
    }
    bundles.into_iter().map(|(channel, bundle)| (channel.to_owned(), bundle))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_travel_together_by_channel_and_no_notification_is_too_long() {
        let topics: Vec<Topic> =
            (0..1_000).map(|n| (if n % 2 == 0 { "even" } else { "odd" }, format!("{n:036}"))).collect();
        let bundles: Vec<_> = bundles(topics.clone()).collect();
        assert_eq!(bundles.len(), 6);
        let mut carried = Vec::new();
        for (channel, bundle) in &bundles {
            assert!(bundle.len() <= LONGEST, "{} bytes", bundle.len());
            carried.extend(bundle.split(SEPARATOR).map(|payload| (channel.as_str(), payload.to_owned())));
        }
        carried.sort_by(|one, other| one.1.cmp(&other.1));
        assert_eq!(carried, topics);
    }
}
