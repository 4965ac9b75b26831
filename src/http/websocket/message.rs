//! What either side says, and who may say what when.

use async_graphql::{Response, ServerError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value as Json};

use super::ending::{Ending, INVALID_MESSAGE};

/// Longest id of an operation, in bytes: clients count, or use UUIDs.
const ID_LIMIT: usize = 256;

/// What comes with greetings and pings.
type Details = Map<String, Json>;

/// A message from the client.
pub enum FromClient {
    /// A greeting; what comes with it has no meaning here.
    ConnectionInit,
    /// Wants a `pong` with the same details.
    Ping { payload: Option<Details> },
    /// Answers a `ping`, or tells that the client lives.
    Pong,
    /// Begins an operation; what it is, is read as over HTTP.
    Subscribe { id: String, payload: Box<RawValue> },
    /// Ends an operation.
    Complete { id: String },
}

/// Any message, its payload as it was written.
#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(rename = "type")]
    kind: String,
    id: Option<String>,
    #[serde(borrow)]
    payload: Option<&'a RawValue>,
}

impl FromClient {
    /// Reads one.
    pub fn read(bytes: &[u8]) -> Result<Self, Ending> {
        let Envelope { kind, id, payload } = read(bytes)?;
        let id = id.filter(|id| !id.is_empty() && id.len() <= ID_LIMIT).ok_or(INVALID_MESSAGE);
        let details = |payload: Option<&RawValue>| payload.map(details).transpose();
        Ok(match kind.as_str() {
            "connection_init" => details(payload).map(|_| Self::ConnectionInit)?,
            "ping" => Self::Ping { payload: details(payload)? },
            "pong" => details(payload).map(|_| Self::Pong)?,
            "subscribe" => Self::Subscribe { id: id?, payload: payload.ok_or(INVALID_MESSAGE)?.to_owned() },
            "complete" => Self::Complete { id: id? },
            _ => return Err(INVALID_MESSAGE),
        })
    }
}

fn read<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Ending> {
    serde_json::from_slice(bytes).map_err(|_| INVALID_MESSAGE)
}

fn details<T: DeserializeOwned>(payload: &RawValue) -> Result<T, Ending> {
    read(payload.get().as_bytes())
}

/// A message to the client.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ToClient<'a> {
    /// Answers the greeting.
    ConnectionAck,
    /// Answers a `ping`.
    Pong {
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Details>,
    },
    /// A result of an operation.
    Next { id: &'a str, payload: &'a Response },
    /// Ends an operation that could not be run.
    Error { id: &'a str, payload: &'a [ServerError] },
    /// Ends an operation that ran.
    Complete { id: &'a str },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_read(message: &str) -> bool {
        FromClient::read(message.as_bytes()).is_ok()
    }

    #[test]
    fn messages_of_the_protocol_are_read() {
        for message in [
            r#"{"type":"connection_init"}"#,
            r#"{"type":"connection_init","payload":{"token":"t"}}"#,
            r#"{"type":"connection_init","payload":null}"#,
            r#"{"type":"ping"}"#,
            r#"{"type":"pong","payload":{}}"#,
            r#"{"id":"1","type":"subscribe","payload":{"query":"{ x }","variables":null,"operationName":null}}"#,
            r#"{"payload":{"query":"{ x }","extensions":{}},"type":"subscribe","id":"1"}"#,
            r#"{"type":"complete","id":"1"}"#,
        ] {
            assert!(is_read(message), "{message}");
        }
    }

    #[test]
    fn other_messages_are_refused() {
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(ID_LIMIT + 1));
        for message in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"type":"shout"}"#,
            r#"{"type":"start","id":"1","payload":{"query":"{ x }"}}"#,
            r#"{"type":"connection_terminate"}"#,
            r#"{"type":"connection_init","payload":1}"#,
            r#"{"type":"ping","payload":"x"}"#,
            r#"{"type":"subscribe","payload":{"query":"{ x }"}}"#,
            r#"{"type":"subscribe","id":"","payload":{"query":"{ x }"}}"#,
            r#"{"type":"subscribe","id":1,"payload":{"query":"{ x }"}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"complete"}"#,
            &long,
        ] {
            assert!(!is_read(message), "{message}");
        }
    }

    #[test]
    fn a_pong_has_a_payload_only_where_the_ping_had_one() {
        let written = |payload| serde_json::to_string(&ToClient::Pong { payload }).expect("JSON");
        assert_eq!(written(None), r#"{"type":"pong"}"#);
        let details = serde_json::json!({ "a": 1 }).as_object().cloned();
        assert_eq!(written(details), r#"{"type":"pong","payload":{"a":1}}"#);
    }
}
