//! GraphQL over HTTP. <https://graphql.github.io/graphql-over-http/draft/>
//!
//! `application/json` is answered with 200 whenever the request could be read; `application/graphql-response+json`
//! with 400 where nothing was executed. `GET` runs queries only.

use async_graphql::parser::types::OperationType;
use async_graphql::{Request, Response};
use async_graphql_axum::GraphQLProtocol;
use axum::Extension;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{FromRequestParts, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header, request::Parts};
use axum::response::{IntoResponse, Response as HttpResponse};
use serde_json::json;

use super::accept::{JSON_TYPE, RESPONSE_TYPE, answer_type, content_type};
use super::clients::Client;
use super::rejection::Rejection;
use super::{ServerState, operation, request, websocket};
use crate::error::{Code, Error};

/// `GET /graphql`: a query, or the opening of a WebSocket.
pub async fn get(
    State(server): State<ServerState>,
    Extension(client): Extension<Client>,
    RawQuery(query): RawQuery,
    parts: Parts,
) -> HttpResponse {
    let mut parts = parts;
    if let Ok(upgrade) = WebSocketUpgrade::from_request_parts(&mut parts, &server).await {
        return match GraphQLProtocol::from_request_parts(&mut parts, &server).await {
            Ok(_) => websocket::open(server, client, upgrade),
            Err(_) => unknown_protocol(&parts.headers).into_response(JSON_TYPE),
        };
    }
    let Some(answer_type) = answer_type(&parts.headers) else { return Rejection::not_acceptable() };
    let values_limit = server.app.config.http.json_values_limit;
    match request::query_string::read(&query.unwrap_or_default(), values_limit) {
        Ok(request) => run(server, request, answer_type, Reading::Get).await,
        Err(error) => Rejection::from(error).into_response(answer_type),
    }
}

/// `POST /graphql`: any operation, as JSON or as a multipart upload.
pub async fn post(State(server): State<ServerState>, headers: HeaderMap, body: Body) -> HttpResponse {
    let Some(answer_type) = answer_type(&headers) else { return Rejection::not_acceptable() };
    match request::read(&server.app.config, &headers, body).await {
        Ok(request) => run(server, request, answer_type, Reading::Post).await,
        Err(rejection) => rejection.into_response(answer_type),
    }
}

/// `GET /schema.graphql`
pub async fn sdl() -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], crate::graphql::sdl())
}

fn unknown_protocol(headers: &HeaderMap) -> Rejection {
    let offered = headers.get(header::SEC_WEBSOCKET_PROTOCOL).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let got = offered.unwrap_or("none".into());
    Rejection::from(Error::input("sec-websocket-protocol", got, "graphql-transport-ws"))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Reading {
    Get,
    Post,
}

async fn run(server: ServerState, request: Request, answer_type: &'static str, reading: Reading) -> HttpResponse {
    let admitted = match server.engine.admit(request) {
        Ok(admitted) => admitted,
        Err(refused) => return answer(answer_type, &refused),
    };
    // What the request does not name, the engine refuses.
    if reading == Reading::Get && admitted.operation.is_some_and(|operation| operation != OperationType::Query) {
        let expected = "a query: mutations go by POST, subscriptions by WebSocket";
        let error = Error::input("query", "another operation by GET", expected);
        let rejection = Rejection::new(StatusCode::METHOD_NOT_ALLOWED, error).with(header::ALLOW, "POST");
        return rejection.into_response(answer_type);
    }
    match operation::execute(&server, admitted, ()).await {
        Ok(response) => answer(answer_type, &response),
        Err(rejection) => rejection.into_response(answer_type),
    }
}

fn answer(answer_type: &'static str, response: &Response) -> HttpResponse {
    let is_refused = operation::is_refusal(response);
    let status = match answer_type {
        RESPONSE_TYPE if is_refused => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    };
    let written = if is_refused {
        serde_json::to_vec(&json!({ "errors": response.errors }))
    } else {
        serde_json::to_vec(response)
    };
    let body = written.unwrap_or_else(|cause| {
        tracing::error!(%cause, "an answer could not be written");
        br#"{"errors":[{"message":"internal error","extensions":{"code":"INTERNAL"}}]}"#.to_vec()
    });
    (status, [(header::CONTENT_TYPE, content_type(answer_type))], body).into_response()
}

/// A request on a connection beyond the limit.
pub async fn too_many_connections(State(server): State<ServerState>) -> HttpResponse {
    let expected = format!("at most {} (http.connection_limit)", server.app.config.http.connection_limit);
    busy(StatusCode::SERVICE_UNAVAILABLE, "connections", expected).into_response(JSON_TYPE)
}

/// A rejection for want of a slot, which others will give back.
pub fn busy(status: StatusCode, what: &str, expected: String) -> Rejection {
    let error = Error::refused(Code::TooManyConnections, what, "one more", expected);
    Rejection::new(status, error).with(header::RETRY_AFTER, "1")
}
