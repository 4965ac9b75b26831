//! Where web pages come from, as browsers tell it.

use super::Authority;

/// Where a page came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    scheme: String,
    /// With the port that the scheme implies where none is told.
    authority: Authority,
}

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
    pub fn is_of(&self, asked: &Authority) -> bool {
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
