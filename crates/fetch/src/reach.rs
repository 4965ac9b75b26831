//! Which web addresses may be fetched: at once by how they are written, and again by what their names resolve to.

use std::io;
use std::net::{IpAddr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

use crate::address::is_public;
use crate::fault::FetchFault;

/// How far a fetch may reach.
///
/// A server that fetches what strangers name must not become their way into its own network. So the rule is applied
/// where it cannot be talked around: to addresses in a URL and in each redirect, however they are spelled, and to what
/// a name resolves to at the very connection, not at a check before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public addresses of the internet only.
    Public,
    /// Also this machine and its networks.
    Anywhere,
    /// For tests, which have no public address to fetch from.
    #[cfg(test)]
    Only(IpAddr),
}

impl Reach {
    /// As the operator set it.
    #[must_use]
    pub fn new(allow_private_addresses: bool) -> Self {
        if allow_private_addresses { Self::Anywhere } else { Self::Public }
    }

    /// Reads a URL that may be fetched, without its fragment, as far as can be told without asking for its name.
    ///
    /// # Errors
    /// [`FetchFaultKind::Permanent`] where it is no URL, otherwise [`FetchFaultKind::NotAllowed`].
    ///
    /// [`FetchFaultKind::Permanent`]: crate::FetchFaultKind::Permanent
    /// [`FetchFaultKind::NotAllowed`]: crate::FetchFaultKind::NotAllowed
    pub fn check(self, url: &str) -> Result<Url, FetchFault> {
        let mut url = Url::parse(url).map_err(|error| FetchFault::permanent(format!("it is no URL: {error}")))?;
        self.check_parsed(&url)?;
        url.set_fragment(None);
        Ok(url)
    }

    pub(crate) fn check_parsed(self, url: &Url) -> Result<(), FetchFault> {
        if !matches!(url.scheme(), "http" | "https") {
            return Err(FetchFault::not_allowed(format!("only http and https are fetched, not {}", url.scheme())));
        }
        // Not repeated: a password may be among them.
        if !url.username().is_empty() || url.password().is_some() {
            return Err(FetchFault::not_allowed("a user or a password in it is not sent"));
        }
        // The parser has turned every spelling of an address, such as 2130706433 or 0x7f.1, to the address.
        let literal: Option<IpAddr> = match url.host() {
            Some(Host::Ipv4(address)) => Some(address.into()),
            Some(Host::Ipv6(address)) => Some(address.into()),
            Some(Host::Domain(_)) | None => None,
        };
        match literal {
            Some(address) if !self.allows(address) => Err(not_public(&address.to_string())),
            _ => Ok(()),
        }
    }

    fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_public(address),
            Self::Anywhere => true,
            #[cfg(test)]
            Self::Only(only) => address == only,
        }
    }

    /// The allowed ones of a name's addresses.
    fn filter(self, name: &str, found: impl Iterator<Item = SocketAddr>) -> Result<Vec<SocketAddr>, FetchFault> {
        let (allowed, others): (Vec<_>, Vec<_>) = found.partition(|address| self.allows(address.ip()));
        if allowed.is_empty() && !others.is_empty() { Err(not_public(name)) } else { Ok(allowed) }
    }
}

/// The machine's own resolver, held to the rule: what it gives is what is connected to.
impl Resolve for Reach {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = *self;
        Box::pin(async move {
            // The port is the URL's, which the connector puts in.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = reach.filter(name.as_str(), found)?;
            if allowed.is_empty() {
                return Err(io::Error::other("the name has no address").into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn not_public(host: &str) -> FetchFault {
    FetchFault::not_allowed(format!("{host} is not on the public internet, and other addresses are not allowed"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::FetchFaultKind;

    #[test]
    fn a_url_of_the_web_may_be_fetched_without_its_fragment() {
        for (given, read) in [
            ("https://example.org", "https://example.org/"),
            ("HTTP://EXAMPLE.org:8080/a?b=c#d", "http://example.org:8080/a?b=c"),
            ("http://1.1.1.1/", "http://1.1.1.1/"),
            ("http://[2606:4700::1111]/", "http://[2606:4700::1111]/"),
        ] {
            assert_eq!(Reach::Public.check(given).unwrap().as_str(), read);
        }
    }

    #[test]
    fn an_address_of_our_own_network_is_refused_however_it_is_spelled() {
        for url in [
            "http://127.0.0.1/",
            "http://127.1/",
            "http://2130706433/",
            "http://0x7f.0.0.1/",
            "http://0177.0.0.1/",
            "http://127.0.0.1./",
            "http://%31%32%37.0.0.1/",
            "http://１２７.0.0.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://[::ffff:7f00:1]/",
            "http://169.254.169.254/latest/meta-data/",
            "http://0/",
            "https://10.0.0.1:8443/",
        ] {
            let refused = Reach::Public.check(url).unwrap_err();
            assert_eq!(refused.kind, FetchFaultKind::NotAllowed, "{url}");
            assert!(Reach::Anywhere.check(url).is_ok(), "{url} where the operator allows it");
        }
    }

    #[test]
    fn other_schemes_and_passwords_are_refused_and_not_repeated() {
        for url in ["file:///etc/passwd", "ftp://example.org/", "gopher://x/", "data:text/plain,a", "https://me:pw@x/"]
        {
            let refused = Reach::Anywhere.check(url).unwrap_err();
            assert_eq!(refused.kind, FetchFaultKind::NotAllowed, "{url}");
            assert!(!refused.message.contains("pw"), "{refused}");
        }
        for text in ["", "example.org", "http://", "http://[::1", "http://a b/"] {
            let refused = Reach::Anywhere.check(text).unwrap_err();
            assert_eq!(refused.kind, FetchFaultKind::Permanent { status: None }, "{text:?}");
        }
    }

    #[test]
    fn of_a_names_addresses_only_the_public_ones_are_connected_to() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let filter = |texts: &[&str]| Reach::Public.filter("name", addresses(texts).into_iter());
        assert_eq!(filter(&["10.0.0.1:0", "1.1.1.1:0", "[::1]:0"]), Ok(addresses(&["1.1.1.1:0"])));
        assert_eq!(filter(&["10.0.0.1:0", "[::1]:0"]).unwrap_err().kind, FetchFaultKind::NotAllowed);
    }
}
