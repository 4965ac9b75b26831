//! The operations that run on one socket, in turns: a busy one holds up no other.

use std::collections::HashMap;
use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response};
use futures_util::stream::{self, AbortHandle, BoxStream, SelectAll};
use futures_util::{FutureExt, StreamExt};
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::answers::{Answer, answers};
use super::ending::{DUPLICATE_ID, Ending};
use crate::error::{Code, Error};
use crate::graphql::server_error;
use crate::http::ServerState;
use crate::http::clients::{Client, Share};
use crate::http::operation;
use crate::http::rejection::Rejection;
use crate::http::request;
use crate::http::request::json::{self, Root};
use crate::store::DEFAULT_TENANT;

/// An operation's id with what it answers.
pub type Answered = (Arc<str>, Answer);

/// The operations of one socket.
pub struct Operations<'a> {
    server: &'a ServerState,
    client: Client,
    places: Arc<Semaphore>,
    open: HashMap<Arc<str>, AbortHandle>,
    streams: SelectAll<BoxStream<'static, Answered>>,
}

/// What an operation holds until it really ends, be it after the client has lost interest.
type Held = (OwnedSemaphorePermit, Share);

impl<'a> Operations<'a> {
    /// None yet.
    pub fn new(server: &'a ServerState, client: Client) -> Self {
        let places = Arc::new(Semaphore::new(server.app.config.http.subscription_limit));
        Self { server, client, places, open: HashMap::new(), streams: SelectAll::new() }
    }

    /// Begins one. Where it cannot be read, or there is no place for it, that is its answer.
    pub fn start(&mut self, id: String, payload: &RawValue) -> Result<(), Ending> {
        let id: Arc<str> = id.into();
        if self.open.contains_key(&id) {
            return Err(DUPLICATE_ID);
        }
        let begun = self.read(payload).and_then(|request| Ok((request, self.place()?)));
        let answers = match begun {
            Ok((request, held)) => answers(self.run(request, held)).boxed(),
            Err(rejection) => stream::iter([Answer::Error(vec![server_error(&rejection, None)])]).boxed(),
        };
        let (answers, abort) = stream::abortable(answers);
        self.open.insert(id.clone(), abort);
        self.streams.push(answers.map(move |answer| (id.clone(), answer)).boxed());
        Ok(())
    }

    /// Ends one, if it runs: nothing more is told of it.
    pub fn stop(&mut self, id: &str) {
        if let Some(abort) = self.open.remove(id) {
            abort.abort();
        }
    }

    /// The next answer of any of them; waits where none runs.
    pub async fn next(&mut self) -> Answered {
        let Some((id, answer)) = self.streams.next().await else { return std::future::pending().await };
        if answer.is_last() {
            self.open.remove(&id);
        }
        (id, answer)
    }

    /// What a client wants to run.
    fn read(&self, payload: &RawValue) -> Result<Request, Error> {
        const ROOT: Root = Root { name: "payload", prefix: "" };
        let limit = self.server.app.config.http.json_values_limit;
        request::operation::read(ROOT, json::value(ROOT, payload.get().as_bytes(), limit)?)
    }

    fn place(&self) -> Result<Held, Error> {
        let settings = &self.server.app.config.http;
        let permit = self.places.clone().try_acquire_owned().map_err(|_| {
            let of = "on this WebSocket (http.subscription_limit)";
            too_many(settings.subscription_limit, of)
        })?;
        let share = self.server.websockets.operations_by_client.take(self.client).ok_or_else(|| {
            let of = "from this address (http.subscription_client_limit)";
            too_many(settings.subscription_client_limit, of)
        })?;
        Ok((permit, share))
    }

    fn run(&self, request: Request, held: Held) -> BoxStream<'static, Response> {
        let server = self.server.clone();
        let admitted = match server.engine.admit(request) {
            Ok(admitted) => admitted,
            Err(refused) => return stream::iter([*refused]).boxed(),
        };
        if admitted.operation != Some(OperationType::Subscription) {
            let answer = async move { operation::execute(&server, admitted, held).await };
            return answer.map(|answer| answer.unwrap_or_else(Rejection::into_operation)).into_stream().boxed();
        }
        let data = crate::graphql::session_data(&server.app, &server.feeds, DEFAULT_TENANT);
        let responses = server.engine.follow(admitted, Some(Arc::new(data)));
        let keeping = move |response| {
            let _held = &held;
            response
        };
        responses.map(keeping).boxed()
    }
}

fn too_many(limit: usize, of: &str) -> Error {
    let expected = format!("at most {limit} operations at once {of}");
    Error::refused(Code::TooManySubscriptions, "id", "one more", expected)
}
