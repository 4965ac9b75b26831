//! What a body says that it is.

use axum::http::{HeaderMap, StatusCode, header};

use crate::error::Error;
use crate::http::header::Item;
use crate::http::rejection::Rejection;

/// A kind of body that is read.
#[derive(Debug, PartialEq, Eq)]
pub enum Media {
    Json,
    /// A multipart form, with what stands between its parts.
    Form {
        boundary: String,
    },
}

/// Longest boundary that RFC 2046 (5.1.1) allows, in bytes.
const BOUNDARY_LIMIT: usize = 70;

impl Media {
    /// Of a request's headers. A browser sends `text/plain` and forms across origins without asking: of these only
    /// multipart is read, with a header of its own.
    ///
    /// # Errors
    /// 415 for another type, charset or content coding; 400 for a form without a sound boundary.
    pub fn of(headers: &HeaderMap) -> Result<Self, Rejection> {
        let item = Item::parse(told(headers)?);
        let charsets = item.all("charset");
        if charsets
            .iter()
            .any(|charset| !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("utf8"))
        {
            return Err(unsupported(&format!("charset {}", charsets.join(", ")), "charset utf-8"));
        }
        let media = match item.name.as_str() {
            "application/json" | "application/graphql+json" => Self::Json,
            "multipart/form-data" => Self::Form { boundary: boundary(&item)? },
            "" => return Err(unsupported("none", TYPES)),
            other => return Err(unsupported(other, TYPES)),
        };
        plain(headers)?;
        Ok(media)
    }
}

const TYPES: &str = "application/json or multipart/form-data";

/// The one content type.
fn told(headers: &HeaderMap) -> Result<&str, Rejection> {
    let mut told = headers.get_all(header::CONTENT_TYPE).iter();
    let (value, second) = (told.next(), told.next());
    if second.is_some() {
        return Err(unsupported("more than one", TYPES));
    }
    let Some(value) = value else { return Ok("") };
    value.to_str().map_err(|_| unsupported(&String::from_utf8_lossy(value.as_bytes()), TYPES))
}

fn boundary(item: &Item) -> Result<String, Rejection> {
    match item.all("boundary")[..] {
        [boundary] if (1..=BOUNDARY_LIMIT).contains(&boundary.len()) && boundary.is_ascii() => Ok(boundary.to_owned()),
        [boundary] => {
            let expected = format!("1 to {BOUNDARY_LIMIT} characters of ASCII");
            Err(Error::input("content-type.boundary", boundary, expected).into())
        }
        [] => Err(Error::input("content-type.boundary", "none", "what stands between the parts").into()),
        _ => Err(Error::input("content-type.boundary", "more than one", "one").into()),
    }
}

/// No compression: a body of a kilobyte could become one of a gigabyte.
fn plain(headers: &HeaderMap) -> Result<(), Rejection> {
    for coding in headers.get_all(header::CONTENT_ENCODING) {
        let coding = String::from_utf8_lossy(coding.as_bytes());
        if !coding.trim().is_empty() && !coding.trim().eq_ignore_ascii_case("identity") {
            let error = Error::input("content-encoding", coding, "none (identity): bodies are not compressed");
            let rejection = Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
            return Err(rejection.with(header::ACCEPT_ENCODING, "identity"));
        }
    }
    Ok(())
}

fn unsupported(got: &str, expected: &str) -> Rejection {
    let error = Error::input("content-type", got, expected);
    let rejection = Rejection::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error);
    rejection.with(header::ACCEPT, "application/json, multipart/form-data")
}
