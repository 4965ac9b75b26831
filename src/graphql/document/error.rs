//! Why a document is not admitted, as the error that its sender gets.

use async_graphql::{Pos, Response, ServerError};

use super::super::fault::server_error;
use crate::error::{Code, Error};

/// What a document's field is called in its refusals.
const FIELD: &str = "query";

/// An error, and where in the text it is.
#[derive(Debug)]
pub struct DocumentError {
    error: Error,
    at: Option<Pos>,
}

/// Result of a pass over a document.
pub type Result<T> = std::result::Result<T, Box<DocumentError>>;

impl DocumentError {
    /// The text is no document.
    pub fn syntax(at: Pos, got: impl std::fmt::Display, expected: impl Into<String>) -> Box<Self> {
        Box::new(Self { error: Error::refused(Code::InvalidDocument, FIELD, got, expected), at: Some(at) })
    }

    /// The document goes beyond a limit, which is a setting.
    pub fn limit(code: Code, got: impl std::fmt::Display, limit: usize, unit: &str, setting: &str) -> Box<Self> {
        let expected = format!("at most {limit} {unit} (graphql.{setting})");
        Box::new(Self { error: Error::refused(code, FIELD, got, expected), at: None })
    }
}

impl From<Box<DocumentError>> for ServerError {
    fn from(error: Box<DocumentError>) -> Self {
        server_error(&error.error, error.at)
    }
}

impl From<Box<DocumentError>> for Response {
    fn from(error: Box<DocumentError>) -> Self {
        Self::from_errors(vec![error.into()])
    }
}
