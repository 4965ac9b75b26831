//! Nobody hangs up on a client that still sends. Where a request is answered before its body was read, closing the
//! connection would destroy the answer on its way: clients see a reset instead of what they did wrong.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use http_body_util::BodyExt;
use tokio::sync::oneshot;

/// How much is read of a body that nobody wants.
#[derive(Clone, Copy)]
pub struct Patience {
    /// Bytes beyond those that were wanted. What tells beforehand that it is longer is not read at all.
    pub bytes: u64,
    /// Time.
    pub time: Duration,
}

/// The middleware: once there is an answer, reads and drops what is left of the body.
pub async fn linger(State(patience): State<Patience>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let waits = waits_for_us(request.headers());
    let (parts, body) = request.into_parts();
    let (back, mut returned) = oneshot::channel();
    let lent = Lent { body: Some(body), is_asked: false, back: Some(back) };
    let response = next.run(Request::from_parts(parts, Body::new(lent))).await;
    if let Ok((body, is_asked)) = returned.try_recv()
        && (is_asked || !waits)
    {
        let _ = tokio::time::timeout(patience.time, drop_rest(body, patience.bytes)).await;
    }
    response
}

/// Whether the client sends its body only once it was asked for.
fn waits_for_us(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

async fn drop_rest(mut body: Body, mut bytes: u64) {
    while !body.is_end_stream() && body.size_hint().lower() <= bytes {
        let Some(Ok(frame)) = body.frame().await else { return };
        let read = frame.data_ref().map_or(0, Bytes::len) as u64;
        let Some(left) = bytes.checked_sub(read) else { return };
        bytes = left;
    }
}

/// A body that comes back when it is dropped, and whether anything of it was asked for.
struct Lent {
    body: Option<Body>,
    is_asked: bool,
    back: Option<oneshot::Sender<(Body, bool)>>,
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        self.is_asked = true;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.as_ref().map_or_else(http_body::SizeHint::default, Body::size_hint)
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if let (Some(body), Some(back)) = (self.body.take(), self.back.take()) {
            let _ = back.send((body, self.is_asked));
        }
    }
}
