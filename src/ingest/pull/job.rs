//! What such a job is enqueued with, and what it depends on.

use fetch::Source;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use url::Url;
use uuid::Uuid;

use crate::queue::{INGEST, JobKind};

/// Kind of the job.
pub const KIND: JobKind = JobKind { schedulable: Some(provider), ..JobKind::new("ingest_source", INGEST, 1) };

/// What it is enqueued with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    /// Where to.
    pub collection_id: Uuid,
    /// Where from.
    pub source: Source,
    /// Whether documents whose source has gone are deleted.
    #[serde(default)]
    pub prune: bool,
}

/// What a payload says; none where this version cannot read it.
pub fn parse(payload: &Json) -> Option<Payload> {
    serde_json::from_value(payload.clone()).ok()
}

/// What such a job depends on: `http:` and the host, where all its URLs have the same.
fn provider(payload: &Json) -> Option<String> {
    let Payload { source: Source::Urls { urls }, .. } = parse(payload)? else { return None };
    let mut hosts = urls.iter().map(|url| host(url));
    let first = hosts.next()??;
    hosts.all(|host| host.as_ref() == Some(&first)).then_some(first)
}

/// The provider that a URL is of.
pub(super) fn host(url: &str) -> Option<String> {
    Some(format!("http:{}", Url::parse(url).ok()?.host_str()?))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_provider_is_the_host_that_all_urls_share() {
        let of = |source| Payload { collection_id: Uuid::nil(), source, prune: false };
        let of_urls = |urls: &[&str]| {
            let urls = urls.iter().map(|url| (*url).to_owned()).collect();
            provider(&json!(of(Source::Urls { urls })))
        };
        assert_eq!(of_urls(&["http://a.org/1", "https://a.org/2"]).as_deref(), Some("http:a.org"));
        assert_eq!(of_urls(&["http://a.org/1", "http://b.org/1"]), None);
        assert_eq!(provider(&json!(of(Source::Directory { path: "/srv".into() }))), None);
        assert_eq!(provider(&json!({ "source": 1 })), None);
    }

    #[test]
    fn a_payload_of_before_pruning_is_read() {
        let old = json!({ "collection_id": Uuid::nil(), "source": { "kind": "directory", "path": "/srv" } });
        let source = Source::Directory { path: "/srv".into() };
        assert_eq!(parse(&old), Some(Payload { collection_id: Uuid::nil(), source, prune: false }));
    }
}
