//! Runs operations: the one way to the schema, over HTTP and WebSocket alike. What may run was admitted first; the
//! answer is completed and bounded.

use std::sync::Arc;

use async_graphql::parser::types::OperationType;
use async_graphql::{Data, Executor, Request, Response};
use futures_util::StreamExt;
use futures_util::future::ready;
use futures_util::stream::{self, BoxStream};

use super::aside::Aside;
use super::conformance::{self, Prepared, Types};
use super::document::{Admitted, Gate};
use super::fault::invalid;
use super::{AppSchema, answer, measure};

/// The cost from which on an operation is run aside: about a millisecond, against the tens of microseconds that moving to
/// another thread costs.
const COSTLY: usize = 4_096;

/// The schema with what is done before and after each operation.
#[derive(Clone)]
pub struct Engine<S = AppSchema> {
    schema: S,
    validator: S,
    types: Arc<Types>,
    gate: Arc<Gate>,
    aside: Aside,
}

impl<S: Executor> Engine<S> {
    /// Over a schema that validates fast, the same one with [`conformance::ValidateOnly`], its types, and a gate before
    /// it.
    pub fn new(schema: S, validator: S, types: Arc<Types>, gate: Gate) -> Self {
        Self { schema, validator, types, gate: Arc::new(gate), aside: Aside::default() }
    }

    /// The request with its parsed document, or the answer that refuses it. Done on the thread that serves: it takes a few
    /// milliseconds at most.
    pub fn admit(&self, request: Request) -> Result<Admitted, Box<Response>> {
        self.gate.admit(request).map_err(|refusal| Box::new(self.finish(refusal.into())))
    }

    /// The answer to an admitted query or mutation.
    pub async fn run(&self, admitted: Admitted) -> Response {
        if admitted.cost < COSTLY {
            return self.answer(admitted).await;
        }
        let engine = self.clone();
        self.aside.run(async move { engine.answer(admitted).await }).await
    }

    async fn answer(&self, admitted: Admitted) -> Response {
        let answered = async {
            let prepared = self.prepare(admitted).await?;
            if prepared.operation == OperationType::Subscription {
                let fault = invalid(None, "subscription", "a request over HTTP", "a WebSocket (graphql-transport-ws)");
                return Err(Response::from_errors(vec![fault]));
            }
            let (request, complete) = prepared.split();
            Ok(complete(self.schema.execute(request).await))
        };
        self.finish(answered.await.unwrap_or_else(|refusal: Response| refusal))
    }

    /// The answers to an admitted operation; of a subscription as they come.
    pub fn follow(&self, admitted: Admitted, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let (is_costly, operation) = (admitted.cost >= COSTLY, admitted.operation);
        let responses = self.clone().responses(admitted, session);
        if !is_costly {
            return stream::once(responses).flatten().boxed();
        }
        let aside = self.aside.clone();
        if operation == Some(OperationType::Subscription) {
            // Its events come one by one, and each costs little.
            return stream::once(async move { aside.run(responses).await }).flatten().boxed();
        }
        let all = async move { aside.run(async { responses.await.collect::<Vec<_>>().await }).await };
        stream::once(all).flat_map(stream::iter).boxed()
    }

    async fn responses(self, admitted: Admitted, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        let prepared = match self.prepare(admitted).await {
            Ok(prepared) => prepared,
            Err(refusal) => return stream::once(ready(self.finish(refusal))).boxed(),
        };
        let (request, complete) = prepared.split();
        let responses = self.schema.execute_stream(request, session);
        let finish = move |(turn, response)| match turn {
            0 => self.finish(complete(response)),
            _ => self.bounded(complete(response)),
        };
        responses.enumerate().map(finish).boxed()
    }

    /// What may run, or the answer that refuses it.
    async fn prepare(&self, admitted: Admitted) -> Result<Prepared, Response> {
        let Admitted { request, document, .. } = admitted;
        let prepared = conformance::prepare(&self.types, &self.validator, document, request).await;
        prepared.map_err(Response::from_errors)
    }

    /// What the first answer of every operation goes through, that it is counted by.
    fn finish(&self, response: Response) -> Response {
        let response = self.bounded(response);
        measure::count(&response);
        response
    }

    /// With a readable message and a code in every error, within the limits.
    fn bounded(&self, mut response: Response) -> Response {
        response.errors.iter_mut().for_each(conformance::in_our_words);
        answer::bounded(response, self.gate.limits())
    }
}

impl<S: Executor> Executor for Engine<S> {
    async fn execute(&self, request: Request) -> Response {
        match self.admit(request) {
            Ok(admitted) => self.run(admitted).await,
            Err(refused) => *refused,
        }
    }

    fn execute_stream(&self, request: Request, session: Option<Arc<Data>>) -> BoxStream<'static, Response> {
        match self.admit(request) {
            Ok(admitted) => self.follow(admitted, session),
            Err(refused) => stream::once(ready(*refused)).boxed(),
        }
    }
}
