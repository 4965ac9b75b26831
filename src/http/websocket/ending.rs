//! How a WebSocket ends. <https://www.rfc-editor.org/rfc/rfc6455#section-7>

use std::borrow::Cow;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures_util::SinkExt;
use tokio_tungstenite::tungstenite::Error as Fault;
use tokio_tungstenite::tungstenite::error::ProtocolError;

/// Why, and who says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The client does not hear us any more.
    Gone,
    /// The client closes: it gets its own code back.
    ByClient,
    /// We close, with a code and a reason. A reason must fit a control frame, so none repeats what the client sent.
    ByUs(u16, Cow<'static, str>),
}

const fn by_us(code: u16, reason: &'static str) -> Ending {
    Ending::ByUs(code, Cow::Borrowed(reason))
}

/// Of WebSocket (RFC 6455, section 7.4.1).
pub const GOING_AWAY: Ending = by_us(1001, "the server is stopping");
const PROTOCOL_ERROR: Ending = by_us(1002, "Protocol error");
const NOT_TEXT: Ending = by_us(1007, "Text must be UTF-8");
const TOO_LONG: u16 = 1009;
const INTERNAL: Ending = by_us(1011, "Internal error");

/// Of `graphql-transport-ws`.
pub const INVALID_MESSAGE: Ending = by_us(4400, "Invalid message received");
pub const UNAUTHORIZED: Ending = by_us(4401, "Unauthorized");
pub const NOT_ACCEPTABLE: Ending = by_us(4406, "Subprotocol not acceptable");
pub const INIT_TIMEOUT: Ending = by_us(4408, "Connection initialisation timeout");
pub const DUPLICATE_ID: Ending = by_us(4409, "Subscriber already exists");
pub const SECOND_INIT: Ending = by_us(4429, "Too many initialisation requests");

impl Ending {
    /// Of a client whose bytes could not be read. `limit` is of its messages, in bytes.
    pub fn of_fault(fault: axum::Error, limit: usize) -> Self {
        // axum hands the fault on as it came from the same library, which the tests would miss if it did not.
        match fault.into_inner().downcast::<Fault>().map(|fault| *fault) {
            Ok(Fault::Capacity(_)) => {
                let reason = format!("Message longer than {limit} bytes (http.websocket_message_limit_bytes)");
                Self::ByUs(TOO_LONG, reason.into())
            }
            Ok(Fault::Utf8(_)) => NOT_TEXT,
            Ok(Fault::Protocol(ProtocolError::ResetWithoutClosingHandshake)) => Self::Gone,
            Ok(Fault::Protocol(_)) => PROTOCOL_ERROR,
            _ => Self::Gone,
        }
    }

    /// Of a message that could not be written as JSON.
    pub fn of_unwritten(cause: &serde_json::Error) -> Self {
        tracing::error!(%cause, "a message could not be written");
        INTERNAL
    }
}

/// How long a client may take to read our goodbye and to answer it.
const GOODBYE: Duration = Duration::from_secs(1);

/// Closes on both sides, so that the client learns the code and not only that the connection is gone.
pub async fn say_goodbye(mut socket: WebSocket, ending: Ending) {
    let words = async {
        match ending {
            Ending::Gone => {}
            // The answer was made when the client's frame was read, and waits to be sent.
            Ending::ByClient => drop(socket.flush().await),
            Ending::ByUs(code, reason) => {
                let frame = CloseFrame { code, reason: reason.as_ref().into() };
                if socket.send(Message::Close(Some(frame))).await.is_ok() {
                    while let Some(Ok(_)) = socket.recv().await {}
                }
            }
        }
    };
    let _ = tokio::time::timeout(GOODBYE, words).await;
}
