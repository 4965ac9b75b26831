//! The server as seen over HTTP: its address, and asking it one operation.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use reqwest::{Client, Response, StatusCode, header, redirect};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use url::Url;

use super::answer::{Answer, ApiError};
use super::error::ClientError;
use super::terminal::snippet;

/// Longest time to an answer: a server that takes in 64 MiB on a slow disk needs tens of seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(120);

/// How much of an answer that is none of ours is shown, in characters.
const FOREIGN_ANSWER_CHARS: usize = 120;

/// Address of a server: `http` or `https`, a host, and the path before `/graphql` where a proxy adds one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerUrl(Url);

impl ServerUrl {
    /// Where operations are posted.
    pub(super) fn graphql(&self) -> Url {
        self.at("graphql")
    }

    /// Where subscriptions run: the same place, as `ws` or `wss`.
    pub(super) fn websocket(&self) -> Url {
        let mut url = self.at("graphql");
        let scheme = if self.is_tls() { "wss" } else { "ws" };
        // Between web schemes this is always allowed, and an `http` address would be refused at the handshake.
        let _ = url.set_scheme(scheme);
        url
    }

    /// Where the server tells whether it can work.
    pub(super) fn ready(&self) -> Url {
        self.at("readyz")
    }

    /// Whether the connection is encrypted.
    pub(super) fn is_tls(&self) -> bool {
        self.0.scheme() == "https"
    }

    fn at(&self, page: &str) -> Url {
        let mut url = self.0.clone();
        url.set_path(&format!("{}{page}", self.0.path()));
        url
    }
}

impl FromStr for ServerUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| format!("{error}; expected one as http://127.0.0.1:8000"))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(format!("got scheme {:?}, expected http or https", url.scheme()));
        }
        let has_extras = url.query().is_some() || url.fragment().is_some();
        if has_extras || !url.username().is_empty() || url.password().is_some() {
            return Err("expected scheme, host, port and path only: no user, password, query or fragment".to_owned());
        }
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str().trim_end_matches('/'))
    }
}

/// A server and the connections to it.
#[derive(Debug, Clone)]
pub(super) struct ApiClient {
    pub url: ServerUrl,
    http: Client,
}

#[derive(Serialize)]
struct Operation<'a, V> {
    query: &'a str,
    variables: V,
}

impl ApiClient {
    /// Prepares the client; connects to nothing yet.
    pub fn new(url: ServerUrl) -> Result<Self, ClientError> {
        let mut builder = http_client::builder()
            // A redirected POST would arrive as GET; who moved the server has to give its new address.
            .redirect(redirect::Policy::none())
            // The WebSocket goes through no proxy, so nothing else does.
            .no_proxy();
        if !url.is_tls() {
            // Loads no certificates: a small container may have none, and without TLS none are needed.
            builder = builder.tls_certs_only([]);
        }
        match builder.build() {
            Ok(http) => Ok(Self { url, http }),
            Err(error) => Err(ClientError::Unreachable { url: url.to_string(), cause: innermost(&error) }),
        }
    }

    /// Runs one query or mutation.
    ///
    /// # Errors
    /// [`ClientError::Refused`] where the answer holds errors, [`ClientError::Protocol`] where it has another shape
    /// than `T`, else what became of the connection.
    pub async fn ask<T: DeserializeOwned>(&self, query: &str, variables: impl Serialize) -> Result<T, ClientError> {
        let request = self
            .http
            .post(self.url.graphql())
            .header(header::ACCEPT, "application/graphql-response+json, application/json;q=0.9")
            .timeout(ANSWER_TIMEOUT)
            .json(&Operation { query, variables });
        let response = request.send().await.map_err(|error| self.failed(&error, ANSWER_TIMEOUT))?;
        let data = self.read(response).await?;
        serde_json::from_value(data).map_err(|error| self.foreign(format!("an answer of another shape, {error}")))
    }

    /// Status and body of a plain page.
    pub async fn get(&self, url: Url, limit: Duration) -> Result<(StatusCode, String), ClientError> {
        let read = async {
            let response = self.http.get(url).timeout(limit).send().await?;
            let status = response.status();
            Ok((status, response.text().await?))
        };
        read.await.map_err(|error| self.failed(&error, limit))
    }

    async fn read(&self, response: Response) -> Result<Json, ClientError> {
        let status = response.status();
        let body = response.bytes().await.map_err(|error| self.failed(&error, ANSWER_TIMEOUT))?;
        match serde_json::from_slice::<Answer>(&body) {
            Ok(answer) => answer.into_data().map_err(ClientError::Refused),
            // A proxy in front of the server refuses large bodies in its own words.
            Err(_) if status == StatusCode::PAYLOAD_TOO_LARGE => Err(ClientError::Refused(too_large().into())),
            Err(_) => Err(self.foreign(describe_response(status, &String::from_utf8_lossy(&body)))),
        }
    }

    /// The error for an answer that no VectorForge server gives.
    pub fn foreign(&self, got: String) -> ClientError {
        ClientError::Protocol { url: self.url.to_string(), got }
    }

    fn failed(&self, error: &reqwest::Error, limit: Duration) -> ClientError {
        let url = self.url.to_string();
        match root(error).downcast_ref::<std::io::Error>().map(std::io::Error::kind) {
            Some(std::io::ErrorKind::ConnectionRefused) => ClientError::NoServer { url },
            _ if error.is_connect() => ClientError::Unreachable { url, cause: innermost(error) },
            _ if error.is_timeout() => ClientError::NoAnswer { url, limit },
            _ => ClientError::BrokenOff { url, cause: innermost(error) },
        }
    }
}

/// Status and the begin of a body, for messages.
pub(super) fn describe_response(status: StatusCode, body: &str) -> String {
    match snippet(body, FOREIGN_ANSWER_CHARS) {
        body if body.is_empty() => format!("status {status}"),
        body => format!("status {status}, {body}"),
    }
}

/// The cause that has no further cause, as text.
pub(super) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    root(error).to_string()
}

fn root<'a>(mut error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

fn too_large() -> ApiError {
    let message = "more bytes in one request than the server takes".to_owned();
    ApiError { message, code: Some("PAYLOAD_TOO_LARGE".to_owned()), field: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_of_a_server_is_under_its_address() {
        for (address, graphql, websocket) in [
            ("http://127.0.0.1:8000", "http://127.0.0.1:8000/graphql", "ws://127.0.0.1:8000/graphql"),
            ("https://example.org/search/", "https://example.org/search/graphql", "wss://example.org/search/graphql"),
            ("https://example.org/search", "https://example.org/search/graphql", "wss://example.org/search/graphql"),
        ] {
            let url: ServerUrl = address.parse().unwrap();
            assert_eq!(url.graphql().as_str(), graphql);
            assert_eq!(url.websocket().as_str(), websocket);
            assert_eq!(url.to_string(), address.trim_end_matches('/'));
        }
    }

    #[test]
    fn an_address_that_cannot_be_a_server_is_refused() {
        for address in ["localhost:8000", "ftp://host", "http://", "http://me:secret@host", "http://host/?a=1", "8000"]
        {
            assert!(address.parse::<ServerUrl>().is_err(), "{address}");
        }
    }
}
