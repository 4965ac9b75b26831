//! Which host a request is for. A page whose name was made to mean this machine (DNS rebinding) is of the same origin as
//! what it asks; only the name in `Host` gives it away.

use axum::http::{HeaderMap, Uri, header};
use settings::{Authority, HostRule, host_of_setting};
use url::Host;

use crate::error::{Code, Error, Result};

/// The hosts that requests may be for.
#[derive(Debug)]
pub struct Hosts {
    rules: Vec<HostRule>,
    /// The name or address listened on; none for all addresses, which is no host to ask.
    own: Option<Host>,
}

const EXPECTED: &str = "a host of this server: localhost, an address of loopback, or one of http.allowed_hosts";

impl Hosts {
    /// Of the settings `http.allowed_hosts` and `http.host`.
    pub fn new(rules: Vec<HostRule>, listened_on: &str) -> Self {
        let is_host = |host: &Host| match host {
            Host::Domain(_) => true,
            Host::Ipv4(address) => !address.is_unspecified(),
            Host::Ipv6(address) => !address.is_unspecified(),
        };
        Self { rules, own: host_of_setting(listened_on).filter(is_host) }
    }

    /// The host that a request is for.
    ///
    /// # Errors
    /// `HOST_NOT_ALLOWED` for another one; `BAD_USER_INPUT` where there is none, more than one, or no sound one.
    pub fn check(&self, target: &Uri, headers: &HeaderMap) -> Result<Authority> {
        let asked = asked(target, headers)?;
        let is_own = self.own.as_ref().is_some_and(|own| *own == asked.host);
        if asked.is_loopback() || is_own || self.rules.iter().any(|rule| rule.admits(&asked)) {
            return Ok(asked);
        }
        Err(Error::refused(Code::HostNotAllowed, "host", asked.host, EXPECTED))
    }
}

/// The host of the header and the one of the request's target (HTTP/2, or the form that proxies use), which must agree:
/// what stands in front may have looked at the other one.
fn asked(target: &Uri, headers: &HeaderMap) -> Result<Authority> {
    let mut told = headers.get_all(header::HOST).iter();
    let (header, second) = (told.next(), told.next());
    if second.is_some() {
        return Err(Error::input("host", "more than one", "one"));
    }
    let header = header.map(|value| parse(value.as_bytes())).transpose()?;
    let target = target.authority().map(|value| parse(value.as_str().as_bytes())).transpose()?;
    match (target, header) {
        (Some(target), Some(header)) if target != header => {
            let got = format!("{} and {}", target.host, header.host);
            Err(Error::input("host", got, "the same host in the request's target and its header"))
        }
        (Some(asked), _) | (None, Some(asked)) => Ok(asked),
        (None, None) => Err(Error::input("host", "none", "one")),
    }
}

fn parse(value: &[u8]) -> Result<Authority> {
    let text = str::from_utf8(value).ok().filter(|text| text.is_ascii());
    text.and_then(Authority::parse)
        .ok_or_else(|| Error::input("host", String::from_utf8_lossy(value), "a host, and a port where there is one"))
}
