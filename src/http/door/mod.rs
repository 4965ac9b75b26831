//! Who may ask, told from the head of a request, before anything of it is read or run: the host it is for, and the web page
//! that sends it. Knows no users; clients other than browsers are not its matter.

mod host;
mod origin;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use settings::{Authority, HttpSettings, Origin};

use super::accept::answer_type_or_json;
use super::rejection::Rejection;
use crate::error::{Code, Error};
use host::Hosts;
use origin::{Caller, caller};

/// What the settings allow.
#[derive(Debug)]
pub struct Door {
    hosts: Hosts,
    origins: Vec<Origin>,
    preflight_age: Duration,
}

impl Door {
    /// Of the settings.
    pub fn new(settings: &HttpSettings) -> Self {
        Self {
            hosts: Hosts::new(settings.allowed_hosts.clone(), &settings.host),
            origins: settings.allowed_origins.clone(),
            preflight_age: settings.cors_max_age,
        }
    }
}

/// The methods of `/graphql`.
pub const METHODS: &str = "GET, POST, OPTIONS";

/// The middleware that refuses requests for other hosts: with 421, which is the status for "not a host I answer for"
/// (RFC 9110, 15.5.20).
pub async fn check_host(State(door): State<Arc<Door>>, mut request: Request, next: Next) -> Response {
    match door.hosts.check(request.uri(), request.headers()) {
        Ok(asked) => {
            request.extensions_mut().insert(asked);
            next.run(request).await
        }
        Err(error) => refuse(request.headers(), error),
    }
}

/// The middleware that refuses pages of other origins, and lets those that are allowed read the answer (CORS). Stands
/// behind [`check_host`].
pub async fn check_origin(State(door): State<Arc<Door>>, request: Request, next: Next) -> Response {
    let Some(asked) = request.extensions().get::<Authority>() else {
        return refuse(request.headers(), Error::internal("check the origin", anyhow::anyhow!("no host was checked")));
    };
    let allowed = match caller(request.headers(), asked, &door.origins) {
        Ok(Caller::Own) => None,
        Ok(Caller::Allowed(origin)) => Some(origin),
        Err(error) => return vary(refuse(request.headers(), error)),
    };
    let Some(origin) = allowed else { return vary(next.run(request).await) };
    let mut granted = HeaderMap::new();
    granted.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    if request.method() == Method::OPTIONS {
        granted.extend(door.preflight(request.headers()));
    }
    let mut response = next.run(request).await;
    response.headers_mut().extend(granted);
    vary(response)
}

impl Door {
    /// What a page of an allowed origin may send: it may do anything, so it gets the headers that it asks for.
    fn preflight(&self, asked: &HeaderMap) -> HeaderMap {
        let mut granted = HeaderMap::new();
        granted.insert(header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static(METHODS));
        granted.insert(header::ACCESS_CONTROL_MAX_AGE, self.preflight_age.as_secs().into());
        if let Some(headers) = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            granted.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, headers.clone());
        }
        granted
    }
}

/// `OPTIONS /graphql`: what browsers ask before they send what a form cannot. The middleware adds what is granted.
pub async fn options() -> impl IntoResponse {
    (StatusCode::NO_CONTENT, [(header::ALLOW, METHODS)])
}

/// Headers that a page of another origin cannot send before its browser has asked us: those that servers of the multipart
/// request specification look for.
const PREFLIGHT_HEADERS: [&str; 5] = [
    "graphql-require-preflight",
    "apollo-require-preflight",
    "x-apollo-operation-name",
    "graphql-preflight",
    "x-requested-with",
];

/// Refuses a form, which browsers send across origins unasked, unless it has a header that they do not.
///
/// # Errors
/// `PREFLIGHT_REQUIRED`.
pub fn require_preflight(headers: &HeaderMap) -> Result<(), Error> {
    let is_told = |name: &&str| headers.get(*name).is_some_and(|value| !value.as_bytes().trim_ascii().is_empty());
    if PREFLIGHT_HEADERS.iter().any(is_told) {
        return Ok(());
    }
    let expected = format!("one of {}, with any value, beside multipart/form-data", PREFLIGHT_HEADERS.join(", "));
    Err(Error::refused(Code::PreflightRequired, "headers", "none that makes a browser ask first", expected))
}

/// A cache must not give one origin's answer to another.
fn vary(mut response: Response) -> Response {
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    response
}

fn refuse(headers: &HeaderMap, error: Error) -> Response {
    Rejection::from(error).into_response(answer_type_or_json(headers))
}
