//! Following a queue: the latest state, whenever it differs from the last one sent.

use std::sync::Arc;

use futures_util::stream::{self, Stream};
use tokio::time::Instant;

use crate::app::App;
use crate::graphql::fault::{self, OrFault};
use crate::graphql::types::queue::{Fingerprint, QueueUpdate};
use crate::store::listen::{JOB_EVENTS_CHANNEL, Waiter};

/// The states of a queue after one that was seen. After an error nothing more comes: the reader joins again.
pub fn follow(
    app: Arc<App>,
    queue: String,
    seen: Option<Fingerprint>,
) -> impl Stream<Item = fault::Result<QueueUpdate>> {
    let waiter = app.signals.join(JOB_EVENTS_CHANNEL, &*queue);
    let place = Some(Place { app, queue, seen, waiter, read_at: None });
    stream::unfold(place, |place| async move {
        let mut place = place?;
        match place.next().await {
            Ok(update) => Some((Ok(update), Some(place))),
            Err(error) => Some((Err(error).or_fault(), None)),
        }
    })
}

/// A reader's place.
struct Place {
    app: Arc<App>,
    queue: String,
    seen: Option<Fingerprint>,
    waiter: Waiter,
    read_at: Option<Instant>,
}

impl Place {
    async fn next(&mut self) -> crate::error::Result<QueueUpdate> {
        loop {
            self.pause().await;
            self.read_at = Some(Instant::now());
            let (fingerprint, update) = QueueUpdate::read(&self.app, &self.queue).await?;
            if self.seen.replace(fingerprint) != Some(fingerprint) {
                return Ok(update);
            }
        }
    }

    /// Until there may be something new, but not before the interval is over.
    async fn pause(&mut self) {
        let Some(read_at) = self.read_at else { return };
        let settings = &self.app.config.events;
        let _ = tokio::time::timeout(settings.poll, self.waiter.signal()).await;
        tokio::time::sleep_until(read_at + settings.queue_interval).await;
    }
}
