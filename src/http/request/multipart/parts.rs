//! The parts of a form, one after the other.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use axum::body::Bytes;
use futures_util::Stream;
use multer::{Field, Multipart};

use crate::error::{Error, Result};

/// How many bytes the parser gets at once: it takes whatever it can get, and would hold a form that is there in full.
const STEP: usize = 8 << 10;

/// Longest head of a part, and longest text before the first one, in bytes. The parser looks for their end from the start
/// again at each step, so that without a limit its work would grow with the square.
const HEAD_LIMIT: usize = 8 << 10;

/// A form that is being read.
pub struct Parts<'a> {
    form: Multipart<'a>,
    /// Bytes that the parser took since it last gave something for them.
    taken: Arc<AtomicUsize>,
}

/// A part whose bytes are still to come.
pub struct Part<'a> {
    field: Field<'a>,
    taken: Arc<AtomicUsize>,
}

impl<'a> Parts<'a> {
    /// Over the bytes of a form.
    pub fn new(boundary: &str, bytes: impl Stream<Item = Result<Bytes>> + Send + 'a) -> Self {
        let taken = Arc::new(AtomicUsize::new(0));
        let paced = Paced { bytes: Box::pin(bytes), rest: Bytes::new(), is_due: true, taken: taken.clone() };
        Self { form: Multipart::new(paced, boundary), taken }
    }

    /// The next part; the one before must have been read to its end.
    pub async fn next(&mut self) -> Result<Option<Part<'a>>> {
        let field = self.form.next_field().await.map_err(in_our_words)?;
        self.taken.store(0, Ordering::Relaxed);
        Ok(field.map(|field| Part { field, taken: self.taken.clone() }))
    }

    /// All bytes of the next part, which must have this name.
    pub async fn text(&mut self, name: &str) -> Result<Vec<u8>> {
        const ORDER: &str = "the parts operations, map, and then the files";
        let Some(mut part) = self.next().await? else {
            return Err(Error::input(name, "a form without such a part", ORDER));
        };
        let found = part.name()?;
        if found != name {
            return Err(Error::input(name, format!("a part {found} in its place"), ORDER));
        }
        let mut text = Vec::new();
        while let Some(bytes) = part.chunk().await? {
            text.extend_from_slice(&bytes);
        }
        Ok(text)
    }
}

impl Part<'_> {
    /// The name that every part has.
    pub fn name(&self) -> Result<String> {
        let name = self.field.name().filter(|name| !name.is_empty());
        let expected = "Content-Disposition: form-data; name=\"…\"";
        name.map(str::to_owned).ok_or_else(|| Error::input("request body", "a part without a name", expected))
    }

    /// The name of its file; empty where it has none.
    pub fn filename(&self) -> String {
        self.field.file_name().unwrap_or_default().to_owned()
    }

    /// What it says that it is.
    pub fn content_type(&self) -> Option<String> {
        self.field.content_type().map(ToString::to_string)
    }

    /// Its next bytes.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let chunk = self.field.chunk().await.map_err(in_our_words)?;
        self.taken.store(0, Ordering::Relaxed);
        Ok(chunk)
    }
}

/// The bytes in small steps, each only after the parser has looked at the one before.
struct Paced<'a> {
    bytes: Pin<Box<dyn Stream<Item = Result<Bytes>> + Send + 'a>>,
    rest: Bytes,
    is_due: bool,
    taken: Arc<AtomicUsize>,
}

impl Stream for Paced<'_> {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes>>> {
        if !std::mem::replace(&mut self.is_due, true) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.rest.is_empty() {
            match std::task::ready!(self.bytes.as_mut().poll_next(cx)) {
                Some(Ok(bytes)) => self.rest = bytes,
                end => return Poll::Ready(end),
            }
        }
        if self.taken.load(Ordering::Relaxed) >= HEAD_LIMIT {
            let got = format!("more than {HEAD_LIMIT} bytes before a part, or in its headers");
            return Poll::Ready(Some(Err(Error::input("request body", got, "parts with short headers"))));
        }
        let step = self.rest.len().min(STEP);
        let step = self.rest.split_to(step);
        self.taken.fetch_add(step.len(), Ordering::Relaxed);
        self.is_due = false;
        Poll::Ready(Some(Ok(step)))
    }
}

/// The stream's own fault, or what is wrong with the form.
fn in_our_words(fault: multer::Error) -> Error {
    const EXPECTED: &str = "a multipart form as RFC 7578 has it";
    let malformed = |got: &str| Error::input("request body", got, EXPECTED);
    match fault {
        multer::Error::StreamReadFailed(cause) => match cause.downcast::<Error>() {
            Ok(error) => *error,
            Err(_) => malformed("a part of it only"),
        },
        multer::Error::IncompleteFieldData { .. } => malformed("a form that ends within a part"),
        multer::Error::ReadHeaderFailed(_)
        | multer::Error::DecodeHeaderName { .. }
        | multer::Error::DecodeHeaderValue { .. }
        | multer::Error::IncompleteHeaders => malformed("a part whose headers are malformed or too many"),
        _ => malformed("a form whose parts do not stand between its boundaries, or that ends too early"),
    }
}
