//! Which web page asks. Browsers tell by `Origin` and `Sec-Fetch-Site`, which pages cannot change; other clients send
//! neither, and are let in.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};
use settings::{Authority, Origin};

use crate::error::{Code, Error, Result};

/// Who asks.
pub enum Caller {
    /// No page, or one of this server.
    Own,
    /// A page of an origin that the settings allow: it may read the answer.
    Allowed(HeaderValue),
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const EXPECTED: &str = "none, this server's own, or one of http.allowed_origins";

/// Who asks, at a host that may be asked.
///
/// # Errors
/// `FOREIGN_ORIGIN` for a page of another origin that is not among `allowed`.
pub fn caller(headers: &HeaderMap, asked: &Authority, allowed: &[Origin]) -> Result<Caller> {
    let mut told = headers.get_all(header::ORIGIN).iter();
    let (value, second) = (told.next(), told.next());
    if second.is_some() {
        return Err(foreign("origin", "more than one"));
    }
    if let Some(value) = value {
        let origin = value.to_str().ok().and_then(Origin::parse);
        match origin {
            Some(origin) if allowed.contains(&origin) => return Ok(Caller::Allowed(value.clone())),
            Some(origin) if origin.is_of(asked) => {}
            _ => return Err(foreign("origin", &String::from_utf8_lossy(value.as_bytes()))),
        }
    }
    // Requests that show no origin, such as those of images and links, or one that only looks like ours.
    for site in headers.get_all(SEC_FETCH_SITE) {
        if !matches!(site.as_bytes(), b"same-origin" | b"none") {
            return Err(foreign("sec-fetch-site", &String::from_utf8_lossy(site.as_bytes())));
        }
    }
    Ok(Caller::Own)
}

fn foreign(field: &str, got: &str) -> Error {
    let got = if got.is_empty() { "an empty one" } else { got };
    let expected =
        if field == "origin" { EXPECTED } else { "same-origin or none, or an origin of http.allowed_origins" };
    Error::refused(Code::ForeignOrigin, field, got, expected)
}
