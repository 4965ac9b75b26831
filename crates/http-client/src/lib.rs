//! What is alike wherever a server is asked over HTTP: the cryptography, the name that we give, and the patience for a
//! connection. Whom to ask, and what for, is others' matter.

use std::time::Duration;

use reqwest::{Client, ClientBuilder};

/// Longest time to a connection: far hosts need a second, so this is patience enough.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A client to be, with TLS by ring. Redirects and proxies are as the library has them.
pub fn builder() -> ClientBuilder {
    // Refused where the process has a provider already; that one serves as well.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Client::builder().user_agent(concat!("vectorforge/", env!("CARGO_PKG_VERSION"))).connect_timeout(CONNECT_TIMEOUT)
}
