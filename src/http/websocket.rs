//! Subscriptions over WebSocket, `graphql-transport-ws`.
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md>

use std::time::Duration;

use async_graphql::http::{ClientMessage, WebSocket as Engine, WebSocketProtocols, WsMessage};
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, interval_at, sleep};

use super::Server;
use super::rules::Rules;
use crate::store::DEFAULT_TENANT;

/// Close codes: of WebSocket (RFC 6455, section 7.4.1), and of the protocol.
const GOING_AWAY: u16 = 1001;
const NOT_ACCEPTABLE: u16 = 4406;
const INIT_TIMEOUT: u16 = 4408;

/// The only protocol: its predecessor, `graphql-ws`, is retired.
const PROTOCOL: &str = "graphql-transport-ws";

/// Largest message from a client: operations are small, documents do not come this way.
const MESSAGE_LIMIT: usize = 1 << 20;

/// Messages from a client that wait to be read: a client that sends faster is not read from meanwhile.
const WAITING_MESSAGES: usize = 16;

/// Pings that may go unanswered before the client counts as gone.
const MISSED_PINGS: u32 = 2;

/// Takes the connection over, unless too many are open.
pub fn open(server: Server, upgrade: WebSocketUpgrade) -> Response {
    let Ok(place) = server.websockets.clone().try_acquire_owned() else {
        let message = "too many WebSockets are open (http.websocket_limit)";
        return (StatusCode::SERVICE_UNAVAILABLE, message).into_response();
    };
    upgrade
        .protocols([PROTOCOL])
        .max_message_size(MESSAGE_LIMIT)
        .on_upgrade(move |socket| async move { hold(server, socket, place).await })
}

async fn hold(server: Server, socket: WebSocket, _place: OwnedSemaphorePermit) {
    gauge!("vectorforge_websockets").increment(1);
    if socket.protocol().is_some() {
        converse(server, socket).await;
    } else {
        close(&mut socket.split().0, NOT_ACCEPTABLE, "Subprotocol not acceptable").await;
    }
    gauge!("vectorforge_websockets").decrement(1);
}

/// Hands messages to the engine and its answers to the client, until either ends or the process stops.
async fn converse(server: Server, socket: WebSocket) {
    let (mut to_client, mut from_client) = socket.split();
    let (to_engine, mut inbox) = mpsc::channel(WAITING_MESSAGES);
    let messages = futures_util::stream::poll_fn(move |cx| inbox.poll_recv(cx)).map(Ok);
    let mut engine = Engine::from_message_stream(server.schema.clone(), messages, WebSocketProtocols::GraphQLWS)
        .connection_data(crate::graphql::request_data(&server.app, DEFAULT_TENANT));
    let settings = &server.app.config.http;
    let mut rules = Rules::default();
    let init_deadline = sleep(settings.websocket_init_timeout);
    let mut pings = interval_at(Instant::now() + settings.websocket_keepalive, settings.websocket_keepalive);
    let mut unanswered = 0;
    tokio::pin!(init_deadline);
    loop {
        tokio::select! {
            () = server.stop.cancelled() => {
                return close(&mut to_client, GOING_AWAY, "the server is stopping").await;
            }
            () = &mut init_deadline, if !rules.is_greeted() => {
                return close(&mut to_client, INIT_TIMEOUT, "Connection initialisation timeout").await;
            }
            _ = pings.tick() => {
                unanswered += 1;
                if unanswered > MISSED_PINGS || to_client.send(Message::Ping(Vec::new().into())).await.is_err() {
                    return;
                }
            }
            answer = engine.next() => {
                let sent = match answer {
                    Some(WsMessage::Text(text)) if !rules.shows(&text) => Ok(()),
                    Some(WsMessage::Text(text)) => to_client.send(Message::Text(text.into())).await,
                    Some(WsMessage::Close(code, reason)) => return close(&mut to_client, code, &reason).await,
                    None => return,
                };
                if sent.is_err() {
                    return;
                }
            }
            heard = read(&mut from_client, &to_engine, &mut rules) => {
                unanswered = 0;
                match heard {
                    Ok(()) => {}
                    Err(Ending::Gone) => return,
                    Err(Ending::Refused(code, reason)) => return close(&mut to_client, code, reason).await,
                }
            }
        }
    }
}

/// Why nothing more is read from a client.
enum Ending {
    Gone,
    /// Close code and reason.
    Refused(u16, &'static str),
}

/// Passes one message on once the engine has room. Cancelling it loses nothing: room is waited for before the message is
/// taken.
async fn read(
    from_client: &mut (impl StreamExt<Item = Result<Message, axum::Error>> + Unpin),
    to_engine: &mpsc::Sender<ClientMessage>,
    rules: &mut Rules,
) -> Result<(), Ending> {
    let room = to_engine.reserve().await.map_err(|_| Ending::Gone)?;
    let bytes = match from_client.next().await {
        Some(Ok(Message::Text(text))) => text.into(),
        Some(Ok(Message::Binary(bytes))) => bytes,
        Some(Ok(Message::Ping(_) | Message::Pong(_))) => return Ok(()),
        Some(Ok(Message::Close(_)) | Err(_)) | None => return Err(Ending::Gone),
    };
    let message = rules.admit(&bytes).map_err(|(code, reason)| Ending::Refused(code, reason))?;
    room.send(message);
    Ok(())
}

/// How long a client may take to read our goodbye.
const GOODBYE: Duration = Duration::from_secs(1);

async fn close(to_client: &mut SplitSink<WebSocket, Message>, code: u16, reason: &str) {
    let frame = CloseFrame { code, reason: reason.into() };
    let _ = tokio::time::timeout(GOODBYE, to_client.send(Message::Close(Some(frame)))).await;
}
