//! Following a queue: the latest state, whenever it differs from the last one sent. One reader looks for all followers.

use std::sync::Arc;

use futures_util::stream::{self, Stream};
use metrics::counter;
use tokio::sync::watch;
use tokio::time::Instant;

use super::events::jittered;
use super::readers::Readers;
use crate::app::App;
use crate::error::{Error, Result};
use crate::graphql::fault::{self, OrFault};
use crate::graphql::types::queue::{Fingerprint, QueueUpdate};
use crate::store::listen::JOB_EVENTS_CHANNEL;

/// The readers of queues, by their names.
pub type QueueReaders = Readers<String, Latest>;

/// What a queue was like when it was last read; `None` before.
pub type Latest = Option<Result<(Fingerprint, QueueUpdate), Arc<Error>>>;

/// The states of a queue after one that was seen. After an error nothing more comes: the follower joins again.
pub fn follow(
    readers: &QueueReaders,
    app: &Arc<App>,
    queue: String,
    seen: Option<Fingerprint>,
) -> impl Stream<Item = fault::Result<QueueUpdate>> + use<> {
    let app = app.clone();
    let latest = readers.join(queue.clone(), None, |latest| read(app, queue, latest));
    stream::unfold(Some((latest, seen)), |follower| async move {
        let (mut latest, seen) = follower?;
        match next(&mut latest, seen).await {
            Ok((fingerprint, update)) => Some((Ok(update), Some((latest, Some(fingerprint))))),
            Err(error) => Some((Err(error).or_fault(), None)),
        }
    })
}

/// The latest state, once it differs from the one seen.
async fn next(
    latest: &mut watch::Receiver<Latest>,
    seen: Option<Fingerprint>,
) -> Result<(Fingerprint, QueueUpdate), Arc<Error>> {
    let is_news = |latest: &Latest| match latest {
        None => false,
        Some(Ok((fingerprint, _))) => seen != Some(*fingerprint),
        Some(Err(_)) => true,
    };
    let lost = || Arc::new(Error::internal("follow the queue", anyhow::anyhow!("its reader was lost")));
    let found = latest.wait_for(is_news).await.map_err(|_| lost())?;
    found.clone().unwrap_or_else(|| Err(lost()))
}

/// Reads a queue for all who follow it, until it cannot.
async fn read(app: Arc<App>, queue: String, latest: watch::Sender<Latest>) {
    let settings = &app.config.events;
    let mut waiter = app.signals.join(JOB_EVENTS_CHANNEL, &*queue);
    loop {
        let read_at = Instant::now();
        let state = read_once(&app, &queue).await.map_err(Arc::new);
        let is_failure = state.is_err();
        latest.send_if_modified(|latest| publish(latest, state));
        if is_failure {
            return;
        }
        let _ = tokio::time::timeout(jittered(settings.poll), waiter.signal()).await;
        tokio::time::sleep_until(read_at + settings.queue_interval).await;
    }
}

/// False where it is the same as before.
fn publish(latest: &mut Latest, state: Result<(Fingerprint, QueueUpdate), Arc<Error>>) -> bool {
    let is_same = match (&latest, &state) {
        (Some(Ok((before, _))), Ok((now, _))) => before == now,
        _ => false,
    };
    if !is_same {
        *latest = Some(state);
    }
    !is_same
}

async fn read_once(app: &Arc<App>, queue: &str) -> Result<(Fingerprint, QueueUpdate)> {
    let _turn = app.store.subscriptions().turn().await;
    counter!("vectorforge_event_reads_total", "log" => "queue", "reader" => "tail").increment(1);
    QueueUpdate::read(app, queue).await
}
