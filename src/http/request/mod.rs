//! How a request is read: from a query string, JSON or a multipart form to an operation. Runs nothing, and knows nothing of
//! the schema.

mod body;
pub mod json;
mod media;
mod multipart;
pub mod operation;
pub mod query_string;

use async_graphql::Request;
use axum::body::Body;
use axum::http::HeaderMap;
use settings::Config;

use self::media::Media;
use super::door::require_preflight;
use super::rejection::Rejection;
use crate::error::{Error, Result};

pub use multipart::{FormLimits, read_form};

/// Reads the body of a POST.
///
/// # Errors
/// Why it is not read; the rest of the body is then still to come.
pub async fn read(config: &Config, headers: &HeaderMap, body: Body) -> Result<Request, Rejection> {
    let media = Media::of(headers)?;
    if matches!(media, Media::Form { .. }) {
        require_preflight(headers)?;
    }
    let limit = config.http.request_timeout;
    let reading = tokio::time::timeout(limit, read_as(media, config, body));
    let read = reading.await.unwrap_or_else(|_| Err(Error::timeout("the request's body", limit)));
    Ok(read?)
}

async fn read_as(media: Media, config: &Config, body: Body) -> Result<Request> {
    let bytes = body::stream(body, config.http.body_limit_bytes)?;
    let values = config.http.json_values_limit;
    match media {
        Media::Json => {
            let root = json::Root { name: "request body", prefix: "" };
            operation::read(root, json::value(root, &body::whole(bytes).await?, values)?)
        }
        Media::Form { boundary } => {
            let limits = FormLimits { files: config.ingest.documents_limit, values };
            read_form(&boundary, bytes, limits).await
        }
    }
}
