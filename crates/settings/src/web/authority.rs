//! Host and port, as browsers compare them.

use std::net::IpAddr;

use url::Host;

/// A host and, where one is told, a port. Hosts are lower case, in ASCII, and without the dot that may end a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authority {
    /// The name or address.
    pub host: Host,
    /// Without one, the one that the scheme implies.
    pub port: Option<u16>,
}

impl Authority {
    /// `None` where the text is anything but a host and a port: with a user, a zone, a path, a second host.
    pub fn parse(text: &str) -> Option<Self> {
        let end_of_host = match text.rfind(']') {
            Some(bracket) => bracket + 1,
            None => text.find(':').unwrap_or(text.len()),
        };
        let (host, rest) = text.split_at(end_of_host);
        let port = match rest.strip_prefix(':') {
            Some("") => None,
            Some(digits) => Some(port(digits)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        Some(Self { host: parse_host(host)?, port })
    }

    /// A host that only this machine reaches: no page can make such a name mean another one.
    pub fn is_loopback(&self) -> bool {
        match &self.host {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.to_canonical().is_loopback(),
        }
    }
}

/// A host as the setting `http.host` has it: without brackets.
pub fn host_of_setting(text: &str) -> Option<Host> {
    match text.parse() {
        Ok(IpAddr::V4(address)) => Some(Host::Ipv4(address)),
        Ok(IpAddr::V6(address)) => Some(Host::Ipv6(address)),
        Err(_) => parse_host(text),
    }
}

fn parse_host(text: &str) -> Option<Host> {
    // What is encoded would be decoded: no browser sends a host so.
    if text.contains('%') {
        return None;
    }
    match Host::parse(text).ok()? {
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
            (!name.is_empty() && name.bytes().all(is_name)).then(|| Host::Domain(name.to_owned()))
        }
        address => Some(address),
    }
}

/// Digits only: the parser of numbers would take a sign.
fn port(digits: &str) -> Option<u16> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_equal() {
        for (text, same, port) in [
            ("LocalHost.", "localhost", None),
            ("localhost:", "localhost", None),
            ("127.0.0.1:8000", "127.0.0.1", Some(8_000)),
            ("[::1]:80", "[0:0:0:0:0:0:0:1]", Some(80)),
            ("Bücher.example", "xn--bcher-kva.example", None),
        ] {
            let expected = Authority { port, ..Authority::parse(same).expect(same) };
            assert_eq!(Authority::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_more_or_less_than_a_host_and_a_port_is_none() {
        for text in [
            "",
            ".",
            ":80",
            "a:b",
            "a:+80",
            "a:65536",
            "a:80:90",
            "me@a",
            "me:pw@a",
            "a/b",
            "a?b",
            "a b",
            "a,b",
            "%61",
            "[::1",
            "::1",
            "[::1%25lo]",
            "[fe80::1%lo]",
            "[::1]x",
            "[a]",
            "http://a",
            "a\\b",
        ] {
            assert_eq!(Authority::parse(text), None, "{text}");
        }
    }

    #[test]
    fn only_names_and_addresses_of_this_machine_are_loopback() {
        for (text, expected) in [
            ("localhost", true),
            ("LOCALHOST.:9", true),
            ("127.8.9.1", true),
            ("[::1]", true),
            ("[::ffff:127.0.0.1]", true),
            ("localhost.example.org", false),
            ("localhost..", false),
            ("notlocalhost", false),
            ("127.0.0.1.example.org", false),
            ("0.0.0.0", false),
            ("[::]", false),
            ("10.0.0.1", false),
        ] {
            assert_eq!(Authority::parse(text).is_some_and(|it| it.is_loopback()), expected, "{text}");
        }
    }
}
