//! The rules of `graphql-transport-ws` that the engine leaves to its host: who may speak when, and what is answered.
//! <https://github.com/graphql/graphql-over-http/blob/main/rfcs/GraphQLOverWebSocket.md>

use std::collections::{HashMap, HashSet};

use async_graphql::http::ClientMessage;
use serde::Deserialize;

/// Close code and reason; a reason must fit a control frame, so none repeats what the client sent.
pub type Refusal = (u16, &'static str);

const INVALID_MESSAGE: Refusal = (4400, "Invalid message received");
const UNAUTHORIZED: Refusal = (4401, "Unauthorized");
const DUPLICATE_ID: Refusal = (4409, "Subscriber already exists");
const SECOND_INIT: Refusal = (4429, "Too many initialisation requests");

/// What one connection has said so far.
#[derive(Debug, Default)]
pub struct Rules {
    is_greeted: bool,
    /// Operations that run.
    open: HashSet<String>,
    /// Operations that the client ended. The engine confirms each once; that is for nobody, and would end an operation
    /// that the client has begun under the same id meanwhile.
    ended: HashMap<String, u32>,
}

impl Rules {
    /// Whether `connection_init` came.
    pub fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// The client's message, or the close that it earns.
    pub fn admit(&mut self, bytes: &[u8]) -> Result<ClientMessage, Refusal> {
        let message = ClientMessage::from_bytes(bytes).map_err(|_| INVALID_MESSAGE)?;
        match &message {
            ClientMessage::ConnectionInit { .. } if self.is_greeted => return Err(SECOND_INIT),
            ClientMessage::ConnectionInit { .. } => self.is_greeted = true,
            ClientMessage::Start { .. } if !self.is_greeted => return Err(UNAUTHORIZED),
            ClientMessage::Start { id, .. } if !self.open.insert(id.clone()) => return Err(DUPLICATE_ID),
            ClientMessage::Stop { id } if self.open.remove(id) => *self.ended.entry(id.clone()).or_default() += 1,
            _ => {}
        }
        Ok(message)
    }

    /// Notes what the engine answers; false where the client must not see it.
    pub fn shows(&mut self, answer: &str) -> bool {
        let Some(id) = completed(answer) else { return true };
        match self.ended.get_mut(&id) {
            None => {
                self.open.remove(&id);
                return true;
            }
            Some(1) => drop(self.ended.remove(&id)),
            Some(confirmations) => *confirmations -= 1,
        }
        false
    }
}

/// The operation that an answer ends. Long answers are not read for it: the engine writes the type first.
fn completed(answer: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Complete {
        id: String,
    }
    answer.starts_with(r#"{"type":"complete","#).then(|| serde_json::from_str::<Complete>(answer).ok())?.map(|it| it.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &[u8] = br#"{"type":"connection_init"}"#;
    const SUBSCRIBE: &[u8] = br#"{"type":"subscribe","id":"a","payload":{"query":"{ x }"}}"#;
    const COMPLETE: &[u8] = br#"{"type":"complete","id":"a"}"#;
    const COMPLETED: &str = r#"{"type":"complete","id":"a"}"#;

    fn greeted() -> Rules {
        let mut rules = Rules::default();
        assert!(rules.admit(INIT).is_ok());
        rules
    }

    #[test]
    fn an_id_is_free_again_once_either_side_has_ended_its_operation() {
        let mut rules = greeted();
        assert!(rules.admit(SUBSCRIBE).is_ok());
        assert_eq!(rules.admit(SUBSCRIBE).err(), Some(DUPLICATE_ID));
        assert!(rules.shows(COMPLETED), "the server ended it");
        assert!(rules.admit(SUBSCRIBE).is_ok());
        assert!(rules.admit(COMPLETE).is_ok(), "the client ended it");
        assert!(rules.admit(SUBSCRIBE).is_ok());
    }

    #[test]
    fn the_confirmation_of_what_the_client_ended_does_not_end_its_next_operation() {
        let mut rules = greeted();
        for message in [SUBSCRIBE, COMPLETE, SUBSCRIBE, COMPLETE, SUBSCRIBE] {
            assert!(rules.admit(message).is_ok());
        }
        assert_eq!([rules.shows(COMPLETED), rules.shows(COMPLETED), rules.shows(COMPLETED)], [false, false, true]);
        assert!(rules.open.is_empty() && rules.ended.is_empty());
    }

    #[test]
    fn data_that_looks_like_an_end_is_shown_and_ends_nothing() {
        let mut rules = greeted();
        assert!(rules.admit(SUBSCRIBE).is_ok() && rules.admit(COMPLETE).is_ok());
        assert!(rules.shows(r#"{"type":"next","id":"a","payload":{"data":{"type":"complete","id":"a"}}}"#));
        assert!(!rules.shows(COMPLETED));
    }
}
