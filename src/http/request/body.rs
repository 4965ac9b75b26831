//! A body, up to its limit.

use axum::body::{Body, Bytes, HttpBody};
use futures_util::{Stream, StreamExt, TryStreamExt};
use http_body_util::{BodyDataStream, LengthLimitError, Limited};

use crate::error::{Code, Error, Result};

/// The bytes of a body of at most `limit` bytes.
///
/// # Errors
/// At once where the body tells that it is longer; otherwise the stream does, when it comes to the limit.
pub fn stream(body: Body, limit: usize) -> Result<impl Stream<Item = Result<Bytes>> + Send + 'static> {
    if body.size_hint().lower() > limit as u64 {
        return Err(too_large(limit));
    }
    let stream = BodyDataStream::new(Limited::new(body, limit)).map_err(move |cause| {
        if cause.is::<LengthLimitError>() {
            return too_large(limit);
        }
        Error::input("request body", "a part of it only", "all of it")
    });
    Ok(stream)
}

/// All bytes of a stream.
pub async fn whole(stream: impl Stream<Item = Result<Bytes>>) -> Result<Vec<u8>> {
    let mut stream = std::pin::pin!(stream);
    let mut whole = Vec::new();
    while let Some(bytes) = stream.next().await {
        whole.extend_from_slice(&bytes?);
    }
    Ok(whole)
}

fn too_large(limit: usize) -> Error {
    let expected = format!("at most {limit} (http.body_limit_bytes)");
    Error::refused(Code::PayloadTooLarge, "request body", format!("more than {limit} bytes"), expected)
}
