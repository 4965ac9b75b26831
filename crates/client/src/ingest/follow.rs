//! Following runs to their end over one socket, which is made again when it drops.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::sleep;

use super::event::{IngestEvent, RunEvent, is_end};
use super::socket::{Socket, SocketError, SubscriptionMessage};
use crate::answer::ApiErrors;
use crate::api_client::ServerUrl;
use crate::error::ClientError;
use crate::retry::Retry;

const PROGRESS: &str = "subscription($run: ID!, $after: String) { ingestProgress(runId: $run, after: $after) {
    cursor kind document { id sourceUri error { code message } }
    run { state documentsTotal documentsDone documentsFailed chunksTotal chunksEmbedded }
} }";

/// A run that has not ended.
pub(super) struct OpenRun {
    pub id: String,
    /// Of the last event seen; a new subscription goes on after it.
    pub cursor: Option<String>,
    /// Free again once the run has ended.
    #[expect(dead_code, reason = "held for its drop")]
    pub slot: OwnedSemaphorePermit,
}

/// Tells what happens in runs.
pub(super) struct Follower {
    pub url: ServerUrl,
    pub events: mpsc::Sender<IngestEvent>,
    pub retry: Retry,
}

/// Where a follower stands; outlives its sockets.
struct Following {
    /// By id, which is also the id of the subscription.
    open: BTreeMap<String, OpenRun>,
    accepted: mpsc::Receiver<OpenRun>,
    more_may_come: bool,
    /// Sockets in a row that brought no event.
    vain: u32,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    ingest_progress: RunEvent,
}

impl Follower {
    /// Follows all runs that are accepted, until no more can come and all have ended.
    pub async fn follow(self, accepted: mpsc::Receiver<OpenRun>) -> Result<(), ClientError> {
        let mut following = Following { open: BTreeMap::new(), accepted, more_may_come: true, vain: 0 };
        // No socket before there is a run: an ingest where nothing is new needs none.
        while following.wait_for_work().await {
            match self.follow_over_one_socket(&mut following).await {
                Ok(()) => return Ok(()),
                Err(SocketError::Fatal(error)) => return Err(error),
                Err(SocketError::Dropped(cause)) => self.pause(&mut following, cause).await?,
            }
        }
        Ok(())
    }

    async fn pause(&self, following: &mut Following, cause: String) -> Result<(), ClientError> {
        let Some(pause) = self.retry.pause(following.vain) else {
            return Err(ClientError::Lost { url: self.url.to_string(), cause });
        };
        following.vain += 1;
        let line = format!("progress is cut off ({cause}); connecting again in {:.1} s", pause.as_secs_f64());
        self.emit(IngestEvent::Note(line)).await;
        sleep(pause).await;
        Ok(())
    }

    async fn follow_over_one_socket(&self, following: &mut Following) -> Result<(), SocketError> {
        let mut socket = Socket::connect(&self.url).await?;
        for run in following.open.values() {
            subscribe(&mut socket, run).await?;
        }
        while following.more_may_come || !following.open.is_empty() {
            tokio::select! {
                accepted = following.accepted.recv(), if following.more_may_come => match accepted {
                    Some(run) => {
                        // Kept before the socket is asked, so that a drop within it loses no run.
                        let run = following.open.entry(run.id.clone()).insert_entry(run);
                        subscribe(&mut socket, run.get()).await?;
                    }
                    None => following.more_may_come = false,
                },
                message = socket.next() => self.take(following, message?).await?,
            }
        }
        socket.close().await;
        Ok(())
    }

    async fn take(&self, following: &mut Following, message: SubscriptionMessage) -> Result<(), SocketError> {
        match message {
            SubscriptionMessage::Next { id, data } => {
                let Some(run) = following.open.get_mut(&id) else { return Ok(()) };
                let data = data.map_err(refused)?;
                let event = Data::deserialize(data).map_err(|error| self.foreign(&error))?.ingest_progress;
                run.cursor = Some(event.cursor.clone());
                following.vain = 0;
                if is_end(&event.run.state) {
                    following.open.remove(&id);
                }
                self.emit(IngestEvent::Event { run: id, event }).await;
                Ok(())
            }
            // After its last event a run is no longer among the open ones.
            SubscriptionMessage::Complete { id } if following.open.contains_key(&id) => {
                Err(SocketError::Dropped(format!("the server ended the progress of {id} before its end")))
            }
            SubscriptionMessage::Complete { .. } => Ok(()),
        }
    }

    fn foreign(&self, error: &serde_json::Error) -> SocketError {
        let got = format!("a progress event of another shape, {error}");
        SocketError::Fatal(ClientError::Protocol { url: self.url.to_string(), got })
    }

    async fn emit(&self, event: IngestEvent) {
        // Nobody listens only where the command is ending.
        let _ = self.events.send(event).await;
    }
}

impl Following {
    /// False where there is nothing to follow and nothing more will come.
    async fn wait_for_work(&mut self) -> bool {
        if self.open.is_empty() {
            let run = self.accepted.recv().await;
            self.open.extend(run.map(|run| (run.id.clone(), run)));
        }
        !self.open.is_empty()
    }
}

async fn subscribe(socket: &mut Socket, run: &OpenRun) -> Result<(), SocketError> {
    socket.subscribe(&run.id, PROGRESS, json!({ "run": run.id, "after": run.cursor })).await
}

/// A server that cannot read events just now may be able to in a moment.
fn refused(refusal: ApiErrors) -> SocketError {
    if refusal.is_passing() || refusal.has_code("TIMEOUT") {
        SocketError::Dropped(refusal.to_string())
    } else {
        SocketError::Fatal(ClientError::Refused(refusal))
    }
}
