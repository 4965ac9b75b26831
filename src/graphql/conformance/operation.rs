//! Which operation of a document runs. <https://spec.graphql.org/September2025/#GetOperation()>
//!
//! async-graphql 7.2.1 looks for an operation named "" where a client leaves the name empty, as several do.

use async_graphql::parser::types::{ExecutableDocument, OperationDefinition};
use async_graphql::{Name, Positioned, Request, ServerError};

use crate::graphql::fault::invalid;

/// Operations that a refusal names.
const NAMED_LIMIT: usize = 10;

/// The operation that a request asks for, with its name.
pub fn select<'a>(
    document: &'a ExecutableDocument,
    request: &mut Request,
) -> Result<(Option<&'a Name>, &'a Positioned<OperationDefinition>), ServerError> {
    request.operation_name = request.operation_name.take().filter(|name| !name.is_empty());
    let mut operations = document.operations.iter();
    let asked = request.operation_name.as_deref();
    let found = match asked {
        Some(asked) => operations.find(|(name, _)| name.is_some_and(|name| name == asked)),
        None => operations.next().filter(|_| operations.next().is_none()),
    };
    found.ok_or_else(|| unknown(document, asked))
}

fn unknown(document: &ExecutableDocument, asked: Option<&str>) -> ServerError {
    let mut names: Vec<&str> = document.operations.iter().filter_map(|(name, _)| name).map(Name::as_str).collect();
    names.sort_unstable();
    let expected = match names.len() {
        0 => "none, for the operation has no name".to_owned(),
        1..=NAMED_LIMIT => format!("one of {}", names.join(", ")),
        _ => format!("one of {} and {} others", names[..NAMED_LIMIT].join(", "), names.len() - NAMED_LIMIT),
    };
    invalid(None, "operationName", asked.unwrap_or("none"), &expected)
}
