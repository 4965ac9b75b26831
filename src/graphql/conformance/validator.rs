//! The library's rules over a document as it was written. It has no way to validate without running, so that a schema
//! of its own answers nothing instead.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextExecute};
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{Executor, Name, Request, Response, ServerError, Variables};

use super::rules::in_our_words;

/// Keeps a schema from running what it has validated.
pub struct ValidateOnly;

impl ExtensionFactory for ValidateOnly {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(ValidateOnly)
    }
}

#[async_trait::async_trait]
impl Extension for ValidateOnly {
    async fn execute(&self, _: &ExtensionContext<'_>, _: Option<&str>, _: NextExecute<'_>) -> Response {
        Response::default()
    }
}

/// What the library finds wrong.
pub async fn validate<S: Executor>(
    validator: &S,
    document: ExecutableDocument,
    operation: Option<&Name>,
    variables: Variables,
) -> Result<(), Vec<ServerError>> {
    let mut request = Request::new("").variables(variables);
    request.operation_name = operation.map(ToString::to_string);
    request.set_parsed_query(document);
    let response = validator.execute(request).await;
    if response.is_ok() { Ok(()) } else { Err(in_our_words(response.errors)) }
}
