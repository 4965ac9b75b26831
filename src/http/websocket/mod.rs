//! Operations over WebSocket, `graphql-transport-ws`: who gets a slot, what is said, and how it ends.
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md>
//!
//! The driver is our own: the engine's tells a document that was refused from an answer nowhere, confirms what a client
//! ended, and has no limits.

mod answers;
mod conversation;
mod ending;
mod message;
mod operations;

use std::sync::Arc;

use axum::extract::ws::{WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::Response;
use metrics::gauge;
use settings::HttpSettings;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::accept::JSON_TYPE;
use super::clients::{Client, Share, Shares};
use super::rejection::Rejection;
use super::{ServerState, graphql};
use ending::NOT_ACCEPTABLE;

/// The only protocol: its predecessor, `graphql-ws`, is retired.
const PROTOCOL: &str = "graphql-transport-ws";

/// What a socket sets aside for reading, in bytes: most messages are shorter, and most sockets are quiet.
const READ_BUFFER: usize = 4 << 10;

/// The slots of WebSockets, and what runs over them.
#[derive(Clone)]
pub struct WebSockets {
    slots: Arc<Semaphore>,
    by_client: Shares,
    operations_by_client: Shares,
    limit: usize,
}

/// One socket's slot, free again when it is dropped.
struct Slot {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

impl WebSockets {
    /// As many as the settings allow.
    pub fn new(settings: &HttpSettings) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(settings.websocket_limit)),
            by_client: Shares::new(settings.websocket_client_limit),
            operations_by_client: Shares::new(settings.subscription_client_limit),
            limit: settings.websocket_limit,
        }
    }

    /// WebSockets open now.
    pub fn open(&self) -> usize {
        self.limit - self.slots.available_permits()
    }

    /// A slot, or the rejection.
    fn take(&self, client: Client, settings: &HttpSettings) -> Result<Slot, Rejection> {
        let Some(share) = self.by_client.take(client) else {
            let expected =
                format!("at most {} from one address (http.websocket_client_limit)", settings.websocket_client_limit);
            return Err(graphql::busy(StatusCode::TOO_MANY_REQUESTS, "WebSockets", expected));
        };
        let Ok(permit) = self.slots.clone().try_acquire_owned() else {
            let expected = format!("at most {} (http.websocket_limit)", self.limit);
            return Err(graphql::busy(StatusCode::SERVICE_UNAVAILABLE, "WebSockets", expected));
        };
        gauge!("vectorforge_websockets").increment(1);
        Ok(Slot { _permit: permit, _share: share })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        gauge!("vectorforge_websockets").decrement(1);
    }
}

/// Takes the connection over, unless too many are open.
pub fn open(server: ServerState, client: Client, upgrade: WebSocketUpgrade) -> Response {
    let settings = &server.app.config.http;
    let slot = match server.websockets.take(client, settings) {
        Ok(slot) => slot,
        Err(rejection) => return rejection.into_response(JSON_TYPE),
    };
    let limit = settings.websocket_message_limit_bytes;
    let upgrade = upgrade.protocols([PROTOCOL]).read_buffer_size(READ_BUFFER).max_message_size(limit);
    upgrade.max_frame_size(limit).on_upgrade(move |socket| hold(server, client, socket, slot))
}

/// From the first message to the last.
async fn hold(server: ServerState, client: Client, mut socket: WebSocket, slot: Slot) {
    let ending = match socket.protocol() {
        None => NOT_ACCEPTABLE,
        Some(_) => {
            let talk = conversation::hold(&server, client, &mut socket);
            server.stop.run_until_cancelled(talk).await.unwrap_or(ending::GOING_AWAY)
        }
    };
    ending::say_goodbye(socket, ending).await;
    drop(slot);
}
