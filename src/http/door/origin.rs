//! Which web page asks. Browsers tell by `Origin` and `Sec-Fetch-Site`, which pages cannot change; other clients send
//! neither, and are let in.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::authority::Authority;
use crate::error::{Code, Error, Result};

/// Where a page came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    /// With the port that the scheme implies where none is told.
    authority: Authority,
}

/// Who asks.
pub enum Caller {
    /// No page, or one of this server.
    Own,
    /// A page of an origin that the settings allow: it may read the answer.
    Allowed(HeaderValue),
}

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

const EXPECTED: &str = "none, this server's own, or one of http.allowed_origins";

impl Origin {
    /// `None` for anything but a scheme, a host and a port; so for `null`, which is the origin of pages that hide theirs.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let is_scheme = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if scheme.is_empty() || !scheme.chars().all(is_scheme) {
            return None;
        }
        let authority = Authority::parse(rest)?;
        let port = authority.port.or(implied_port(&scheme));
        Some(Self { authority: Authority { port, ..authority }, scheme })
    }

    /// Whether it is the origin of what is asked at this host. Who ends TLS in front of the server does not tell it, so
    /// either scheme may be its own.
    fn is_of(&self, asked: &Authority) -> bool {
        let implied = implied_port(&self.scheme);
        let port = asked.port.or(implied);
        implied.is_some() && self.authority == Authority { port, host: asked.host.clone() }
    }
}

fn implied_port(scheme: &str) -> Option<u16> {
    match scheme {
        "http" => Some(80),
        "https" => Some(443),
        _ => None,
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_of_a_host_where_name_and_port_agree() {
        for (origin, host, expected) in [
            ("http://localhost:8000", "localhost:8000", true),
            ("HTTP://LOCALHOST.:8000", "localhost:8000", true),
            ("https://search.example.org", "search.example.org", true),
            ("https://search.example.org:443", "search.example.org", true),
            ("http://search.example.org", "search.example.org:80", true),
            ("http://localhost:3000", "localhost:8000", false),
            ("http://localhost", "localhost:8000", false),
            ("http://127.0.0.1:8000", "localhost:8000", false),
            ("http://localhost.example.org:8000", "localhost:8000", false),
            ("ftp://localhost:8000", "localhost:8000", false),
            ("app://localhost", "localhost", false),
        ] {
            let origin_of = |text| Origin::parse(text).unwrap_or_else(|| panic!("{text} is an origin"));
            assert_eq!(origin_of(origin).is_of(&Authority::parse(host).expect(host)), expected, "{origin} {host}");
        }
    }

    #[test]
    fn what_hides_or_garbles_its_origin_has_none() {
        for text in [
            "null",
            "",
            "*",
            "localhost:8000",
            "http://",
            "://a",
            "http://a/",
            "http://me@a",
            "http://a http://b",
            "http://a,http://b",
            "http://a?b",
            "file://",
            "ht tp://a",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }
}
