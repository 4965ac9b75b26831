//! Bounds on an answer: bytes of its data, number of its errors.

use std::io;

use async_graphql::{PathSegment, Response, ServerError, Value};
use settings::GraphqlSettings;

use super::fault::{complete_codes, server_error};
use crate::error::{Code, Error};

/// The answer within its limits, each error with a code.
pub fn bounded(mut response: Response, limits: &GraphqlSettings) -> Response {
    if let Some(root) = overflowing(&response.data, limits.answer_limit_bytes) {
        response.data = Value::Null;
        response.errors.insert(0, too_large(root, limits.answer_limit_bytes));
    }
    let count = response.errors.len();
    if count > limits.errors_limit {
        response.errors.truncate(limits.errors_limit);
        response.errors.push(left_out(count, limits.errors_limit));
    }
    complete_codes(&mut response.errors);
    response
}

/// The root field with which the data go beyond the limit, as they would be written.
fn overflowing(data: &Value, limit: usize) -> Option<String> {
    let Value::Object(roots) = data else { return None };
    let mut room = Room(limit);
    roots.iter().find_map(|(name, value)| {
        // Nothing else fails: keys are text, and numbers are finite.
        let is_over = serde_json::to_writer(&mut room, &(name, value)).is_err();
        is_over.then(|| name.to_string())
    })
}

/// Takes so many bytes and keeps none.
struct Room(usize);

impl io::Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len()).ok_or(io::ErrorKind::StorageFull)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An error of that root field, as the operation has been executed.
fn too_large(root: String, limit: usize) -> ServerError {
    let expected = format!("at most {limit} bytes (graphql.answer_limit_bytes)");
    let refused = Error::refused(Code::AnswerTooLarge, &root, format!("more than {limit} bytes"), expected);
    let mut error = server_error(&refused, None);
    error.path = vec![PathSegment::Field(root)];
    error
}

fn left_out(count: usize, limit: usize) -> ServerError {
    let got = format!("{count} errors, of which {} were left out", count - limit);
    let expected = format!("at most {limit} (graphql.errors_limit)");
    server_error(&Error::refused(Code::TooManyErrors, "errors", got, expected), None)
}
