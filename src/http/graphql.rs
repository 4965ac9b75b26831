//! GraphQL over HTTP. <https://graphql.github.io/graphql-over-http/draft/>
//!
//! `application/json` is answered with 200 whenever the request could be read; `application/graphql-response+json`
//! with 400 where nothing was executed. `GET` runs queries only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_graphql::http::MultipartOptions;
use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response};
use async_graphql_axum::GraphQLProtocol;
use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response as HttpResponse};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use serde_json::json;

use super::{Server, websocket};
use crate::error::Code;
use crate::store::DEFAULT_TENANT;

/// Longest request body in bytes.
#[derive(Clone, Copy)]
pub struct BodyLimit(pub usize);

/// What is said to a WebSocket client that offers no protocol of ours.
const UNKNOWN_PROTOCOL: &str = "sec-websocket-protocol: expected graphql-transport-ws";

/// The answer's media type under the current draft.
const RESPONSE_TYPE: &str = "application/graphql-response+json";
/// The older one, which every client reads.
const JSON_TYPE: &str = "application/json";

/// `GET /graphql`: a query, or the opening of a WebSocket.
pub async fn get(State(server): State<Server>, RawQuery(query): RawQuery, parts: Parts) -> HttpResponse {
    let mut parts = parts;
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &server).await {
        return match GraphQLProtocol::from_request_parts(&mut parts, &server).await {
            Ok(_) => websocket::open(server, upgrade),
            Err(_) => refuse(JSON_TYPE, StatusCode::BAD_REQUEST, Code::BadUserInput, UNKNOWN_PROTOCOL),
        };
    }
    let Some(answer_type) = negotiate(&parts.headers) else { return not_acceptable() };
    let query = query.unwrap_or_default();
    let mut request = match async_graphql::http::parse_query_string(&query) {
        Ok(request) => request,
        Err(cause) => return refuse(answer_type, StatusCode::BAD_REQUEST, Code::BadUserInput, &cause.to_string()),
    };
    request.operation_name = operation_name(&query);
    run(server, request, answer_type, Reading::Get).await
}

/// The parameter of that name, which the engine looks for as `operation_name`.
fn operation_name(query: &str) -> Option<String> {
    let mut parameters = url::form_urlencoded::parse(query.as_bytes());
    parameters.find(|(name, value)| name == "operationName" && !value.is_empty()).map(|(_, value)| value.into_owned())
}

/// `POST /graphql`: any operation, as JSON or as a multipart upload.
pub async fn post(
    State(server): State<Server>,
    Extension(limit): Extension<BodyLimit>,
    headers: HeaderMap,
    body: Body,
) -> HttpResponse {
    let Some(answer_type) = negotiate(&headers) else { return not_acceptable() };
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !is_readable(content_type) {
        let message = "content-type: expected application/json or multipart/form-data";
        return refuse(answer_type, StatusCode::UNSUPPORTED_MEDIA_TYPE, Code::BadUserInput, message);
    }
    match read(&server, content_type, body, limit).await {
        Ok(request) => run(server, request, answer_type, Reading::Post).await,
        Err(refusal) => refusal.into_response(answer_type),
    }
}

/// `GET /schema.graphql`
pub async fn sdl() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], crate::graphql::sdl())
}

/// A browser sends `text/plain` and forms across origins without asking; none of them is read, except multipart with
/// the header below.
fn is_readable(content_type: Option<&str>) -> bool {
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    matches!(essence.as_str(), "application/json" | "application/graphql+json" | "multipart/form-data")
}

/// The media type to answer in; `None` where the caller takes none of ours.
fn negotiate(headers: &HeaderMap) -> Option<&'static str> {
    let accepted: Vec<String> = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|range| range.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
        .filter(|range| !range.is_empty())
        .collect();
    let takes = |names: &[&str]| accepted.iter().any(|range| names.contains(&range.as_str()));
    if takes(&[RESPONSE_TYPE]) {
        Some(RESPONSE_TYPE)
    } else if accepted.is_empty() || takes(&[JSON_TYPE, "application/*", "*/*"]) {
        Some(JSON_TYPE)
    } else {
        None
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Get,
    Post,
}

/// Why a body was not read.
struct Refusal(StatusCode, Code, String);

impl Refusal {
    fn into_response(self, answer_type: &'static str) -> HttpResponse {
        refuse(answer_type, self.0, self.1, &self.2)
    }
}

async fn read(server: &Server, content_type: Option<&str>, body: Body, limit: BodyLimit) -> Result<Request, Refusal> {
    let too_large = || {
        let message =
            format!("request body: got more than {} bytes, which is the limit (http.body_limit_bytes)", limit.0);
        Refusal(StatusCode::PAYLOAD_TOO_LARGE, Code::PayloadTooLarge, message)
    };
    let is_over = Arc::new(AtomicBool::new(false));
    let bytes = limited(body, limit, is_over.clone());
    let config = &server.app.config;
    let options = MultipartOptions::default()
        .max_file_size(config.http.body_limit_bytes)
        .max_num_files(config.ingest.documents_limit);
    let reading = async_graphql::http::receive_body(content_type, bytes.into_async_read(), options);
    match tokio::time::timeout(config.http.request_timeout, reading).await {
        Ok(Ok(request)) => Ok(request),
        _ if is_over.load(Ordering::Relaxed) => Err(too_large()),
        Ok(Err(cause)) => Err(Refusal(StatusCode::BAD_REQUEST, Code::BadUserInput, format!("request body: {cause}"))),
        Err(_) => {
            let message = "request body: did not arrive within http.request_timeout_ms".to_owned();
            Err(Refusal(StatusCode::REQUEST_TIMEOUT, Code::Timeout, message))
        }
    }
}

/// The body up to its limit; `is_over` tells that it went on beyond.
fn limited(body: Body, limit: BodyLimit, is_over: Arc<AtomicBool>) -> BoxStream<'static, std::io::Result<Bytes>> {
    let body = http_body_util::Limited::new(body, limit.0);
    http_body_util::BodyDataStream::new(body)
        .map_err(move |cause| {
            is_over.fetch_or(cause.is::<http_body_util::LengthLimitError>(), Ordering::Relaxed);
            std::io::Error::other(cause)
        })
        .boxed()
}

async fn run(server: Server, mut request: Request, answer_type: &'static str, reading: Reading) -> HttpResponse {
    if reading == Reading::Get && !is_query(&mut request) {
        let message = "GET runs queries only: send mutations by POST, subscriptions by WebSocket";
        let mut response = refuse(answer_type, StatusCode::METHOD_NOT_ALLOWED, Code::BadUserInput, message);
        response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
        return response;
    }
    let limit = server.app.config.http.request_timeout;
    request.data = crate::graphql::request_data(&server.app, DEFAULT_TENANT);
    // A task of its own: a caller who hangs up does not tear a mutation apart between two statements.
    let executing = tokio::spawn(async move { server.schema.execute(request).await });
    match tokio::time::timeout(limit, executing).await {
        Ok(Ok(response)) => answer(answer_type, &response),
        Ok(Err(panic)) => {
            tracing::error!(cause = %panic, "a request panicked");
            refuse(answer_type, StatusCode::INTERNAL_SERVER_ERROR, Code::Internal, "internal error")
        }
        Err(_) => {
            let message = format!("the request took longer than its limit of {} ms", limit.as_millis());
            refuse(answer_type, StatusCode::GATEWAY_TIMEOUT, Code::Timeout, &message)
        }
    }
}

/// Whether the operation to be run is a query. A document that does not parse, nests too deep, or does not say which
/// operation to run is left to the engine, which says why and runs nothing.
fn is_query(request: &mut Request) -> bool {
    let name = request.operation_name.clone();
    if crate::graphql::is_too_deep(&request.query) {
        return true;
    }
    let Ok(document) = request.parsed_query() else { return true };
    if name.is_none() && document.operations.iter().len() > 1 {
        return true;
    }
    let operation = document.operations.iter().find(|(candidate, _)| {
        name.is_none() || candidate.is_some_and(|candidate| Some(candidate.as_str()) == name.as_deref())
    });
    operation.is_none_or(|(_, operation)| operation.node.ty == OperationType::Query)
}

fn answer(answer_type: &'static str, response: &Response) -> HttpResponse {
    // Nothing was executed where the document or its variables were refused as a whole.
    let is_refused = response.is_err() && response.errors.iter().all(|error| error.path.is_empty());
    let status = match answer_type {
        RESPONSE_TYPE if is_refused => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    // Such an answer has no `data`, not even null. <https://spec.graphql.org/draft/#sec-Response-Format>
    let written = if is_refused {
        serde_json::to_vec(&json!({ "errors": response.errors }))
    } else {
        serde_json::to_vec(response)
    };
    let body = written.unwrap_or_else(|cause| {
        tracing::error!(%cause, "an answer could not be written");
        br#"{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL"}}]}"#.to_vec()
    });
    (status, [(header::CONTENT_TYPE, charset(answer_type))], body).into_response()
}

/// A request that the engine never saw, refused in the engine's form.
fn refuse(answer_type: &'static str, status: StatusCode, code: Code, message: &str) -> HttpResponse {
    let body = json!({ "errors": [{ "message": message, "extensions": { "code": code.as_str() } }] });
    (status, [(header::CONTENT_TYPE, charset(answer_type))], body.to_string()).into_response()
}

fn not_acceptable() -> HttpResponse {
    let message = "accept: expected application/graphql-response+json or application/json";
    refuse(JSON_TYPE, StatusCode::NOT_ACCEPTABLE, Code::BadUserInput, message)
}

fn charset(answer_type: &'static str) -> String {
    format!("{answer_type}; charset=utf-8")
}
