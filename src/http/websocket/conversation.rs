//! What is said on one socket: messages in, answers out, pings in between.

use axum::extract::ws::{Message, WebSocket};
use tokio::time::{Instant, interval_at, sleep};

use super::answers::Answer;
use super::ending::{Ending, INIT_TIMEOUT, SECOND_INIT, UNAUTHORIZED};
use super::message::{FromClient, ToClient};
use super::operations::{Answered, Operations};
use crate::http::ServerState;
use crate::http::clients::Client;

/// Pings that may go unanswered before the client counts as gone.
const MISSED_PINGS: u32 = 2;

/// Talks until there is a reason to end. Nothing is read from a client while it does not read.
pub async fn hold(server: &ServerState, client: Client, socket: &mut WebSocket) -> Ending {
    let operations = Operations::new(server, client);
    let limit = server.app.config.http.websocket_message_limit_bytes;
    let mut talk = Conversation { socket, operations, is_greeted: false, limit };
    match talk.go_on(server).await {
        Ok(never) => match never {},
        Err(ending) => ending,
    }
}

struct Conversation<'a> {
    socket: &'a mut WebSocket,
    operations: Operations<'a>,
    /// Whether `connection_init` came.
    is_greeted: bool,
    /// Of the client's messages, in bytes.
    limit: usize,
}

impl Conversation<'_> {
    async fn go_on(&mut self, server: &ServerState) -> Result<std::convert::Infallible, Ending> {
        let settings = &server.app.config.http;
        let init_deadline = sleep(settings.websocket_init_timeout);
        let mut pings = interval_at(Instant::now() + settings.websocket_keepalive, settings.websocket_keepalive);
        let mut unanswered = 0;
        tokio::pin!(init_deadline);
        loop {
            tokio::select! {
                () = &mut init_deadline, if !self.is_greeted => return Err(INIT_TIMEOUT),
                _ = pings.tick() => {
                    unanswered += 1;
                    if unanswered > MISSED_PINGS {
                        return Err(Ending::Gone);
                    }
                    self.send(Message::Ping(Vec::new().into())).await?;
                }
                answered = self.operations.next() => self.send_answer(answered).await?,
                heard = self.socket.recv() => {
                    unanswered = 0;
                    match heard {
                        Some(Ok(message)) => self.hear(message).await?,
                        Some(Err(fault)) => return Err(Ending::of_fault(fault, self.limit)),
                        None => return Err(Ending::Gone),
                    }
                }
            }
        }
    }

    async fn hear(&mut self, message: Message) -> Result<(), Ending> {
        let message = match message {
            Message::Text(text) => FromClient::read(text.as_bytes())?,
            Message::Binary(bytes) => FromClient::read(&bytes)?,
            // The library answers pings.
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(Ending::ByClient),
        };
        match message {
            FromClient::ConnectionInit if self.is_greeted => Err(SECOND_INIT),
            FromClient::ConnectionInit => {
                self.is_greeted = true;
                self.reply(&ToClient::ConnectionAck).await
            }
            FromClient::Ping { payload } => self.reply(&ToClient::Pong { payload }).await,
            FromClient::Pong => Ok(()),
            FromClient::Subscribe { .. } if !self.is_greeted => Err(UNAUTHORIZED),
            FromClient::Subscribe { id, payload } => self.operations.start(id, &payload),
            FromClient::Complete { id } => {
                self.operations.stop(&id);
                Ok(())
            }
        }
    }

    async fn send_answer(&mut self, (id, answer): Answered) -> Result<(), Ending> {
        let id = &*id;
        match &answer {
            Answer::Next(payload) => self.reply(&ToClient::Next { id, payload }).await,
            Answer::Error(payload) => self.reply(&ToClient::Error { id, payload }).await,
            Answer::Complete => self.reply(&ToClient::Complete { id }).await,
        }
    }

    async fn reply(&mut self, message: &ToClient<'_>) -> Result<(), Ending> {
        let text = serde_json::to_string(message).map_err(|cause| Ending::of_unwritten(&cause))?;
        self.send(Message::Text(text.into())).await
    }

    async fn send(&mut self, message: Message) -> Result<(), Ending> {
        self.socket.send(message).await.map_err(|_| Ending::Gone)
    }
}
