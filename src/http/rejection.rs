//! Requests that the engine never saw, refused in the engine's form.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value as Json, json};

use super::accept::{JSON_TYPE, content_type};
use crate::error::{Code, Error};
use crate::graphql::server_error;

/// Why a request is not run.
#[derive(Debug)]
pub struct Rejection {
    status: StatusCode,
    error: Box<Error>,
    /// What the status wants to be told beside it.
    header: Option<(HeaderName, HeaderValue)>,
}

impl From<Error> for Rejection {
    fn from(error: Error) -> Self {
        Self::new(status(error.code), error)
    }
}

impl Rejection {
    /// With another status than its code's.
    pub fn new(status: StatusCode, error: Error) -> Self {
        Self { status, error: Box::new(error), header: None }
    }

    /// With a header.
    pub fn with(mut self, name: HeaderName, value: &'static str) -> Self {
        self.header = Some((name, HeaderValue::from_static(value)));
        self
    }

    /// None of our media types is taken.
    pub fn not_acceptable() -> Response {
        let error = Error::input("accept", "none of ours", "application/graphql-response+json or application/json");
        Self::new(StatusCode::NOT_ACCEPTABLE, error).into_response(JSON_TYPE)
    }

    /// The answer to one operation among others.
    pub fn into_operation(self) -> async_graphql::Response {
        async_graphql::Response::from_errors(vec![server_error(&self.error, None)])
    }

    /// The answer.
    pub fn into_response(self, answer_type: &'static str) -> Response {
        let Self { status, error, header } = self;
        if !error.code.is_callers() && error.cause.is_some() && error.claim_log() {
            tracing::error!(code = error.code.as_str(), cause = error.causes(), "{error}");
        }
        let body = json!({ "errors": [{ "message": error.message, "extensions": extensions(&error) }] });
        let content_type = [(header::CONTENT_TYPE, content_type(answer_type))];
        let mut response = (status, content_type, body.to_string()).into_response();
        response.headers_mut().extend(header);
        response
    }
}

fn extensions(error: &Error) -> Map<String, Json> {
    let told = [
        ("code", Some(error.code.as_str())),
        ("field", error.field.as_deref()),
        ("got", error.got.as_deref()),
        ("expected", error.expected.as_deref()),
    ];
    told.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.into()))).collect()
}

fn status(code: Code) -> StatusCode {
    match code {
        // Clients that send hashes look into answers of success only.
        Code::PersistedQueryNotSupported => StatusCode::OK,
        Code::ForeignOrigin | Code::PreflightRequired => StatusCode::FORBIDDEN,
        // Twice or no host at all is a bad request; a sound one of somebody else is misdirected.
        Code::HostNotAllowed => StatusCode::MISDIRECTED_REQUEST,
        Code::PayloadTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Code::Timeout => StatusCode::REQUEST_TIMEOUT,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        Code::StorageFull => StatusCode::INSUFFICIENT_STORAGE,
        Code::Internal => StatusCode::INTERNAL_SERVER_ERROR,
        _ => StatusCode::BAD_REQUEST,
    }
}
