//! Running one operation, however it came.

use async_graphql::Response;
use axum::http::StatusCode;

use super::ServerState;
use super::rejection::Rejection;
use crate::error::Error;
use crate::graphql::document::Admitted;
use crate::store::DEFAULT_TENANT;

/// Runs a query or mutation within `http.request_timeout_ms`. `held` is what it holds until it really ends.
pub async fn execute<T: Send + 'static>(
    server: &ServerState,
    mut admitted: Admitted,
    held: T,
) -> Result<Response, Rejection> {
    let limit = server.app.config.http.request_timeout;
    admitted.request.data = crate::graphql::request_data(&server.app, DEFAULT_TENANT);
    let engine = server.engine.clone();
    // A task of its own: a caller who hangs up does not tear a mutation apart between two statements.
    let executing = tokio::spawn(async move {
        let _held = held;
        engine.run(admitted).await
    });
    match tokio::time::timeout(limit, executing).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(panic)) => Err(Error::internal("run the operation", panic).into()),
        Err(_) => Err(Rejection::new(StatusCode::GATEWAY_TIMEOUT, Error::timeout("the request", limit))),
    }
}

/// Whether nothing was executed because the document or its variables were refused as a whole. Such an answer has no
/// `data`, not even null. <https://spec.graphql.org/draft/#sec-Response-Format>
pub fn is_refusal(response: &Response) -> bool {
    response.is_err() && response.errors.iter().all(|error| error.path.is_empty())
}
