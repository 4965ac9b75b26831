//! Web pages, fetched with patience for their servers and none for what leads into our own network.

use std::error::Error;
use std::time::{Duration, SystemTime};

use http_client::CONNECT_TIMEOUT;
use reqwest::{Client, ClientBuilder, Response, StatusCode, header, redirect};
use url::Url;

use crate::fault::{FetchFault, FetchFaultKind};
use crate::retry_after::retry_after;
use crate::{Fetched, Reach};

/// Redirects that are followed: from `http` to `https`, to `www`, to a language, and two to spare.
const REDIRECT_LIMIT: usize = 5;

/// Fetches web pages. Cheap to clone; its clones share their connections.
#[derive(Debug, Clone)]
pub struct Fetcher {
    http: Client,
    reach: Reach,
    timeout: Duration,
}

impl Fetcher {
    /// Prepares the client; connects to nothing yet. `timeout` is for one page, from its name's resolution to the last
    /// byte.
    ///
    /// # Errors
    /// Where TLS cannot be set up.
    pub fn new(reach: Reach, timeout: Duration) -> Result<Self, FetchFault> {
        let with_certificates = builder(reach, timeout).build();
        // A small container may have no certificates: then `http` works still, and `https` says what it misses.
        let http = with_certificates.or_else(|_| builder(reach, timeout).tls_certs_only([]).build());
        match http {
            Ok(http) => Ok(Self { http, reach, timeout }),
            Err(error) => Err(FetchFault::transient(format!("could not set up TLS: {}", innermost(&error)))),
        }
    }

    /// Fetches a page of at most `limit_bytes`.
    ///
    /// # Errors
    /// What kind of fault each status is: 429, and 503 with `Retry-After`, ask for patience; 408 and other 5xx are
    /// transient, as is whatever goes wrong with the connection; all else but success is permanent.
    pub async fn fetch(&self, url: &str, limit_bytes: usize) -> Result<Fetched, FetchFault> {
        let url = self.reach.check(url)?;
        let sent = self.http.get(url.clone()).send().await;
        let response = successful(&url, sent.map_err(|error| self.failed(&url, &error))?)?;
        let content_type = text_of(&response, header::CONTENT_TYPE).map(str::to_owned);
        let bytes = self.body(&url, response, limit_bytes).await?;
        Ok(Fetched { name: name(&url), source_uri: url.into(), content_type, bytes })
    }

    async fn body(&self, url: &Url, mut response: Response, limit: usize) -> Result<Vec<u8>, FetchFault> {
        let too_large =
            || FetchFault::new(FetchFaultKind::TooLarge, format!("{} has more than {limit} bytes", shown(url)));
        let announced = response.content_length().unwrap_or(0);
        if announced > u64::try_from(limit).unwrap_or(u64::MAX) {
            return Err(too_large());
        }
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(url, &error))? {
            if chunk.len() > limit - bytes.len() {
                return Err(too_large());
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }

    /// A refusal of our own, from a redirect or a name, comes wrapped in errors of the client.
    fn failed(&self, url: &Url, error: &reqwest::Error) -> FetchFault {
        if let Some(refusal) = causes(error).find_map(|cause| cause.downcast_ref::<FetchFault>()) {
            return refusal.clone();
        }
        let page = shown(url);
        FetchFault::transient(match error {
            error if error.is_connect() => format!("could not connect to {page}: {}", innermost(error)),
            error if error.is_timeout() => format!("{page} took longer than {} ms", self.timeout.as_millis()),
            error => format!("the connection to {page} broke off: {}", innermost(error)),
        })
    }
}

fn builder(reach: Reach, timeout: Duration) -> ClientBuilder {
    let policy = redirect::Policy::custom(move |attempt| {
        if attempt.previous().len() > REDIRECT_LIMIT {
            let message = format!("{} is the end of too many redirects", shown(attempt.url()));
            return attempt.error(FetchFault::permanent(message));
        }
        match reach.check_parsed(attempt.url()) {
            Ok(()) => attempt.follow(),
            Err(refused) => attempt.error(refused),
        }
    });
    http_client::builder()
        .connect_timeout(CONNECT_TIMEOUT.min(timeout))
        .timeout(timeout)
        .redirect(policy)
        // A page may be linked from where its server shall not know of.
        .referer(false)
        .dns_resolver(reach)
        // A proxy would resolve names by itself, past the rule.
        .no_proxy()
}

/// The response, if it carries the page.
#[expect(clippy::disallowed_methods, reason = "compared with a time that the page's server tells")]
fn successful(url: &Url, response: Response) -> Result<Response, FetchFault> {
    let status = response.status();
    let code = Some(status.as_u16());
    let wait = text_of(&response, header::RETRY_AFTER).and_then(|value| retry_after(value, SystemTime::now()));
    let kind = match status {
        // Bytes in an encoding that nobody asked for would be taken for text.
        status if status.is_success() => match text_of(&response, header::CONTENT_ENCODING) {
            None | Some("identity") => return Ok(response),
            Some(encoding) => {
                let message = format!("{} came encoded as {encoding:?}, which was not asked for", shown(url));
                return Err(FetchFault::new(FetchFaultKind::Permanent { status: code }, message));
            }
        },
        StatusCode::TOO_MANY_REQUESTS => FetchFaultKind::RateLimited { retry_after: wait },
        StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => FetchFaultKind::RateLimited { retry_after: wait },
        StatusCode::REQUEST_TIMEOUT => FetchFaultKind::Transient { status: code },
        status if status.is_server_error() => FetchFaultKind::Transient { status: code },
        _ => FetchFaultKind::Permanent { status: code },
    };
    Err(FetchFault::new(kind, format!("{} answered with status {status}", shown(url))))
}

fn text_of(response: &Response, name: header::HeaderName) -> Option<&str> {
    response.headers().get(name)?.to_str().ok()
}

/// The last part of the path that is not empty, as it is written.
fn name(url: &Url) -> String {
    let mut parts = url.path().rsplit('/');
    parts.find(|part| !part.is_empty()).unwrap_or_default().to_owned()
}

/// The URL as messages show it: neither with its query nor its fragment, in which tokens stand.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.set_fragment(None);
    url.into()
}

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// The cause that has no further cause, as text.
fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().map(ToString::to_string).unwrap_or_default()
}
