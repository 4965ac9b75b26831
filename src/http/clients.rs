//! Clients by their address, and what one of them may hold of what all share.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::lock::lock;

/// Where a connection comes from. Behind a proxy that is the proxy: what it says of others cannot be trusted here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(IpAddr);

/// Bits of an IPv6 address within one customer's network: all its addresses are one client.
const HOST_BITS: u32 = 64;

impl Client {
    /// The client at an address.
    pub fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) if !address.is_loopback() => {
                Self(Ipv6Addr::from_bits(address.to_bits() >> HOST_BITS << HOST_BITS).into())
            }
            address => Self(address),
        }
    }
}

/// Counts what each client holds of one thing.
#[derive(Debug, Clone)]
pub struct Shares {
    limit: usize,
    held: Arc<Mutex<HashMap<Client, usize>>>,
}

/// A part of a client's share, given back when it is dropped.
#[derive(Debug)]
pub struct Share {
    client: Client,
    shares: Shares,
}

impl Shares {
    /// With a limit for each client; 0 for none.
    pub fn new(limit: usize) -> Self {
        Self { limit, held: Arc::default() }
    }

    /// One more for a client; `None` at its limit.
    pub fn take(&self, client: Client) -> Option<Share> {
        let mut held = self.held();
        let count = held.entry(client).or_default();
        if self.limit > 0 && *count >= self.limit {
            return None;
        }
        *count += 1;
        Some(Share { client, shares: self.clone() })
    }

    fn held(&self) -> MutexGuard<'_, HashMap<Client, usize>> {
        lock(&self.held)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.shares.held();
        match held.get_mut(&self.client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(held.remove(&self.client)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client::of(address.parse().expect("an address"))
    }

    #[test]
    fn a_share_that_is_given_back_can_be_taken_again_and_leaves_nothing_behind() {
        let shares = Shares::new(2);
        let (mine, other) = (client("192.0.2.1"), client("192.0.2.2"));
        let first = shares.take(mine);
        let second = shares.take(mine);
        assert!(first.is_some() && second.is_some());
        assert!(shares.take(mine).is_none());
        assert!(shares.take(other).is_some(), "another client has a share of its own");
        drop(first);
        assert!(shares.take(mine).is_some());
        drop(second);
        assert!(shares.held().is_empty());
    }

    #[test]
    fn no_limit_gives_any_number() {
        let shares = Shares::new(0);
        let held: Vec<_> = (0..1_000).map(|_| shares.take(client("192.0.2.1"))).collect();
        assert!(held.iter().all(Option::is_some));
    }

    #[test]
    fn a_client_is_an_address_or_a_network_of_ipv6() {
        for (one, other, is_same) in [
            ("192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::1", "2001:db8::1", false),
        ] {
            assert_eq!(client(one) == client(other), is_same, "{one} and {other}");
        }
    }
}
