//! Which hosts may be asked, as a setting says it.

use super::Authority;

/// A host that requests may be for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// Any host: where something in front of the server checks it.
    Any,
    /// This one, at this port or, without one, at any.
    One(Authority),
}

impl HostRule {
    /// `*`, or a host with or without a port.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "*" { Some(Self::Any) } else { Authority::parse(text).map(Self::One) }
    }

    /// Whether requests may be for this host.
    pub fn admits(&self, asked: &Authority) -> bool {
        match self {
            Self::Any => true,
            Self::One(rule) => rule.host == asked.host && (rule.port.is_none() || rule.port == asked.port),
        }
    }
}
