//! One WebSocket with subscriptions, by the `graphql-transport-ws` protocol.
//!
//! <https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md>

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use http_client::CONNECT_TIMEOUT;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::ClientRequestBuilder;
use tokio_tungstenite::tungstenite::error::{Error as WsError, ProtocolError};
use tokio_tungstenite::tungstenite::http::StatusCode;
use tokio_tungstenite::tungstenite::{self, Bytes};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::answer::{Answer, ApiError, ApiErrors};
use crate::api_client::{ServerUrl, describe_response, innermost};
use crate::error::ClientError;
use crate::terminal::plain;

const PROTOCOL: &str = "graphql-transport-ws";

/// Where the server has too many sockets of ours.
const BUSY: StatusCode = StatusCode::TOO_MANY_REQUESTS;

/// Silence after which the server is asked for a sign of life; twice this without one, and the connection is given up.
/// A network that went away tells nobody, so without asking the client would wait for ever.
const SILENCE: Duration = Duration::from_secs(20);

/// Why a socket is of no more use.
#[derive(Debug)]
pub(super) enum SocketError {
    /// A new one may do.
    Dropped(String),
    /// A new one would meet the same.
    Fatal(ClientError),
}

/// What the server tells about a subscription.
#[derive(Debug)]
pub(super) enum SubscriptionMessage {
    /// One event.
    Next {
        /// Of which subscription.
        id: String,
        /// The data, or why there is none.
        data: Result<Json, ApiErrors>,
    },
    /// The subscription ended.
    Complete {
        /// Which.
        id: String,
    },
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Incoming {
    ConnectionAck,
    Ping,
    Pong,
    Next { id: String, payload: Answer },
    Error { id: String, payload: Vec<ApiError> },
    Complete { id: String },
}

/// A socket after its handshake.
pub(super) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    url: ServerUrl,
    was_silent: bool,
}

impl Socket {
    /// Connects and waits for the server's acknowledgement.
    pub async fn connect(url: &ServerUrl) -> Result<Self, SocketError> {
        let connecting = async {
            let uri = url.websocket().as_str().parse().map_err(|_| foreign(url, "no address of a WebSocket"))?;
            let request = ClientRequestBuilder::new(uri).with_sub_protocol(PROTOCOL);
            let connected = tokio_tungstenite::connect_async(request).await;
            let (stream, _) = connected.map_err(|error| failed_handshake(url, error))?;
            let mut socket = Self { stream, url: url.clone(), was_silent: false };
            socket.send(&json!({ "type": "connection_init" })).await?;
            match socket.incoming().await? {
                Incoming::ConnectionAck => Ok(socket),
                _ => Err(foreign(url, "another WebSocket message than connection_ack")),
            }
        };
        let late = |_| SocketError::Dropped(format!("no WebSocket within {} s", CONNECT_TIMEOUT.as_secs()));
        timeout(CONNECT_TIMEOUT, connecting).await.map_err(late)?
    }

    /// Starts a subscription; `id` is any text that no other open one has.
    pub async fn subscribe(&mut self, id: &str, query: &str, variables: Json) -> Result<(), SocketError> {
        let payload = json!({ "query": query, "variables": variables });
        self.send(&json!({ "type": "subscribe", "id": id, "payload": payload })).await
    }

    /// The next message. Can be dropped and called again without losing anything.
    pub async fn next(&mut self) -> Result<SubscriptionMessage, SocketError> {
        loop {
            match self.incoming().await? {
                Incoming::Next { id, payload } => {
                    return Ok(SubscriptionMessage::Next { id, data: payload.into_data() });
                }
                Incoming::Error { id, payload } => {
                    return Ok(SubscriptionMessage::Next { id, data: Err(ApiErrors { errors: payload }) });
                }
                Incoming::Complete { id } => return Ok(SubscriptionMessage::Complete { id }),
                Incoming::Ping => self.send(&json!({ "type": "pong" })).await?,
                Incoming::ConnectionAck | Incoming::Pong => {}
            }
        }
    }

    /// Says goodbye; nothing depends on its being heard.
    pub async fn close(mut self) {
        let _ = timeout(CONNECT_TIMEOUT, self.stream.close(None)).await;
    }

    async fn send(&mut self, message: &Json) -> Result<(), SocketError> {
        let message = tungstenite::Message::text(message.to_string());
        self.stream.send(message).await.map_err(|error| dropped(&error))
    }

    async fn incoming(&mut self) -> Result<Incoming, SocketError> {
        loop {
            match self.message().await? {
                tungstenite::Message::Text(text) => {
                    let read = serde_json::from_str(&text);
                    return read.map_err(|error| foreign(&self.url, &format!("a WebSocket message, {error}")));
                }
                tungstenite::Message::Close(frame) => {
                    let (code, reason) = frame.map_or((1005, String::new()), |f| (f.code.into(), plain(&f.reason)));
                    return Err(closed(&self.url, code, &reason));
                }
                // The library answers pings.
                _ => {}
            }
        }
    }

    async fn message(&mut self) -> Result<tungstenite::Message, SocketError> {
        loop {
            match timeout(SILENCE, self.stream.next()).await {
                Ok(Some(Ok(message))) => {
                    self.was_silent = false;
                    return Ok(message);
                }
                Ok(Some(Err(error))) => return Err(dropped(&error)),
                Ok(None) => return Err(SocketError::Dropped("the server closed it".to_owned())),
                Err(_) if self.was_silent => {
                    return Err(SocketError::Dropped(format!("no sign of life for {} s", 2 * SILENCE.as_secs())));
                }
                Err(_) => {
                    self.was_silent = true;
                    let ping = tungstenite::Message::Ping(Bytes::new());
                    self.stream.send(ping).await.map_err(|error| dropped(&error))?;
                }
            }
        }
    }
}

fn dropped(error: &WsError) -> SocketError {
    SocketError::Dropped(innermost(error))
}

fn foreign(url: &ServerUrl, got: &str) -> SocketError {
    SocketError::Fatal(ClientError::Protocol { url: url.to_string(), got: plain(got) })
}

/// Codes from 4400 are the protocol's own: the client did something wrong. Only 4408, too late, may go better.
fn closed(url: &ServerUrl, code: u16, reason: &str) -> SocketError {
    match code {
        4400..=4407 | 4409..=4499 => foreign(url, &format!("the WebSocket was closed with {code} {reason}")),
        _ => SocketError::Dropped(format!("the server closed it with {code} {reason}").trim_end().to_owned()),
    }
}

fn failed_handshake(url: &ServerUrl, error: WsError) -> SocketError {
    match error {
        // A server that starts or stops or has no place now, or the proxy before it.
        WsError::Http(response) if response.status().is_server_error() || response.status() == BUSY => {
            SocketError::Dropped(format!("status {}", response.status()))
        }
        WsError::Http(response) => {
            let body = response.body().as_deref().map(String::from_utf8_lossy).unwrap_or_default();
            foreign(url, &format!("to a WebSocket: {}", describe_response(response.status(), &body)))
        }
        WsError::Protocol(ProtocolError::HandshakeIncomplete) => dropped(&error),
        WsError::Protocol(_) | WsError::Url(_) | WsError::HttpFormat(_) => {
            foreign(url, &format!("to a WebSocket: {error}"))
        }
        _ => dropped(&error),
    }
}
