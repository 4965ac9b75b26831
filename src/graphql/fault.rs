//! Our errors as GraphQL errors: message, and in `extensions` the code, the field, what came, what was expected.

use std::fmt;

use async_graphql::{ErrorExtensionValues, ErrorExtensions, Pos, ServerError, Value};

use crate::error::{Code, Error, shorten};

/// Result of a resolver: our error on the left of `?`, GraphQL's on the right.
pub type Result<T> = std::result::Result<T, async_graphql::Error>;

impl ErrorExtensions for Error {
    fn extend(&self) -> async_graphql::Error {
        if !self.code.is_callers() && self.claim_log() {
            tracing::error!(code = self.code.as_str(), cause = self.causes(), "{self}");
        }
        async_graphql::Error::new(&self.message).extend_with(|_, extensions| {
            extensions.set("code", self.code.as_str());
            set(extensions, "field", self.field.as_deref());
            set(extensions, "got", self.got.as_deref());
            set(extensions, "expected", self.expected.as_deref());
        })
    }
}

fn set(extensions: &mut ErrorExtensionValues, name: &str, value: Option<&str>) {
    if let Some(value) = value {
        extensions.set(name, value);
    }
}

/// Turns our results into resolvers' results.
pub trait OrFault<T> {
    /// The value, or the error with its extensions.
    fn or_fault(self) -> Result<T>;
}

impl<T> OrFault<T> for crate::error::Result<T> {
    fn or_fault(self) -> Result<T> {
        self.map_err(|error| error.extend())
    }
}

impl<T> OrFault<T> for std::result::Result<T, std::sync::Arc<Error>> {
    fn or_fault(self) -> Result<T> {
        self.map_err(|error| error.extend())
    }
}

/// Our error where no resolver gives it, and where in the document it is.
pub fn server_error(error: &Error, at: Option<Pos>) -> ServerError {
    let error = error.extend();
    let mut shown = ServerError::new(error.message, at);
    shown.extensions = error.extensions;
    shown
}

/// The code of an error; `None` where the GraphQL engine made it.
pub fn code_of(error: &ServerError) -> Option<&str> {
    match error.extensions.as_ref()?.get("code")? {
        Value::String(code) => Some(code),
        _ => None,
    }
}

/// A document or its variables that cannot run: names the place, what came and what was expected.
pub fn invalid(pos: Option<Pos>, field: &str, got: impl fmt::Display, expected: &str) -> ServerError {
    refused(Code::InvalidDocument.as_str(), pos, field, got, expected)
}

/// As [`invalid`], with a code of its own.
pub fn refused(code: &str, pos: Option<Pos>, field: &str, got: impl fmt::Display, expected: &str) -> ServerError {
    let got = shorten(&got.to_string());
    let error = ServerError::new(format!("{field}: got {got}, expected {expected}"), pos);
    let mut error = with_code(error, code);
    if let Some(extensions) = &mut error.extensions {
        set(extensions, "field", Some(field));
        set(extensions, "got", Some(&got));
        set(extensions, "expected", Some(expected));
    }
    error
}

/// The error with a code.
pub fn with_code(mut error: ServerError, code: &str) -> ServerError {
    error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code);
    error
}

/// Longest message of the engine's, in characters: it quotes the line that it cannot parse, however long that is.
const MESSAGE_LIMIT: usize = 500;

/// Gives a code to each error that the GraphQL engine made: an argument that a field refused, or a document that
/// was refused as a whole.
pub fn complete_codes(errors: &mut [ServerError]) {
    for error in errors.iter_mut().filter(|error| code_of(error).is_none()) {
        let code = if error.path.is_empty() { Code::InvalidDocument } else { Code::BadUserInput };
        if let Some((end, _)) = error.message.char_indices().nth(MESSAGE_LIMIT) {
            error.message.truncate(end);
            error.message.push('…');
        }
        error.extensions.get_or_insert_with(ErrorExtensionValues::default).set("code", code.as_str());
    }
}
