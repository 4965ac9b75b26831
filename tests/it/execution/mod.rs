//! Execution as the specification says, over a schema made to fail in every place, and over our own.
//! <https://spec.graphql.org/September2025/>

mod conditions;
mod defaults;
mod nulls;
mod order;
mod refusals;
mod rules;
mod schema;
mod served;
mod subscriptions;
mod types;

use std::sync::Arc;

use async_graphql::{Executor, Request, Response, ValidationMode, Variables};
use futures_util::StreamExt;
use serde_json::{Value as Json, json};
use vectorforge::graphql::document::Gate;
use vectorforge::graphql::{Engine, Types, ValidateOnly};

use crate::support::app::settings;

use schema::TestSchema;

/// The engine over the test schema.
fn engine() -> Engine<TestSchema> {
    let schema = schema::builder().validation_mode(ValidationMode::Fast).finish();
    let types = Arc::new(Types::of(&schema.sdl()));
    let gate = Gate::new(settings(Vec::new()).graphql, &schema);
    Engine::new(schema, schema::builder().extension(ValidateOnly).finish(), types, gate)
}

fn request(query: &str, variables: Json) -> Request {
    Request::new(query).variables(Variables::from_json(variables))
}

/// The answer as JSON text shows it, so that order counts.
fn text(response: &Response) -> String {
    serde_json::to_string(&response.data).expect("an answer is JSON")
}

/// Runs an operation that must not fail; gives its data as text.
async fn data(query: &str, variables: Json) -> String {
    let response = engine().execute(request(query, variables)).await;
    assert!(response.is_ok(), "{query}: {:?}", response.errors);
    text(&response)
}

/// Runs an operation of which something fails; gives its data as text, and the paths of its errors in order of their
/// texts.
async fn partial(query: &str) -> (String, Vec<String>) {
    let response = engine().execute(request(query, json!({}))).await;
    let mut paths: Vec<String> = response.errors.iter().map(|error| json!(error.path).to_string()).collect();
    paths.sort();
    (text(&response), paths)
}

/// The first error of an operation that must not run: its message and code.
async fn refusal(query: &str, variables: Json) -> (String, String) {
    let response = engine().execute(request(query, variables)).await;
    assert_eq!(text(&response), "null", "{query}");
    first_error(&response)
}

fn first_error(response: &Response) -> (String, String) {
    let error = response.errors.first().unwrap_or_else(|| panic!("no error in {response:?}"));
    assert!(error.path.is_empty(), "{error:?}");
    let code = vectorforge::graphql::code_of(error).unwrap_or_default();
    (error.message.clone(), code.to_owned())
}

/// All that a stream gives, as texts; a refusal as its message.
async fn events(query: &str) -> Vec<String> {
    let stream = engine().execute_stream(request(query, json!({})), None);
    let shown = |response: Response| if response.is_ok() { text(&response) } else { first_error(&response).0 };
    stream.map(shown).collect().await
}
