//! Hosts and origins, compared as browsers compare them.

mod authority;
mod host_rule;
mod origin;

pub use authority::{Authority, host_of_setting};
pub use host_rule::HostRule;
pub use origin::Origin;
