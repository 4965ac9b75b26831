//! The GraphiQL page and its files, served from memory so that it works without internet. Knows nothing of the schema.

use std::hash::{DefaultHasher, Hasher};

use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
const PLAIN_TEXT: &str = "text/plain; charset=utf-8";

/// Only what this binary serves itself. The editor and the menus of GraphiQL insert `<style>` elements and `style`
/// attributes, which is why styles, and styles only, may be inline; its style sheet holds three small `data:` images.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; \
     img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// Ask every time, and mostly be told 304: an update of the binary is seen at once, and nothing is sent twice.
const REVALIDATE: &str = "no-cache";

/// One file of the page.
struct Asset {
    path: &'static str,
    content_type: &'static str,
    body: &'static [u8],
}

/// An asset of `assets/graphiql/` under the address of the same name.
macro_rules! asset {
    ($file:literal, $content_type:expr) => {
        Asset {
            path: concat!("/assets/graphiql/", $file),
            content_type: $content_type,
            body: include_bytes!(concat!("../../assets/graphiql/", $file)),
        }
    };
}

const ASSETS: &[Asset] = &[
    Asset { path: "/", content_type: HTML, body: include_bytes!("../../assets/graphiql/index.html") },
    asset!("page.css", CSS),
    asset!("page.js", JAVASCRIPT),
    asset!("placeholders.js", JAVASCRIPT),
    asset!("examples.graphql", PLAIN_TEXT),
    asset!("graphiql.min.css", CSS),
    asset!("graphiql.min.js", JAVASCRIPT),
    asset!("react.production.min.js", JAVASCRIPT),
    asset!("react-dom.production.min.js", JAVASCRIPT),
    asset!("LICENSES.txt", PLAIN_TEXT),
];

/// `GET /` (the page) and `GET /assets/graphiql/{file}`. The page talks to `graphql` beside it, over HTTP and WebSocket.
pub fn routes<S: Clone + Send + Sync + 'static>() -> Router<S> {
    ASSETS.iter().fold(Router::new(), |router, asset| {
        let etag = asset.etag();
        router.route(asset.path, get(async move |request: HeaderMap| asset.answer(&etag, &request)))
    })
}

impl Asset {
    /// A strong validator: changes with the content.
    fn etag(&self) -> HeaderValue {
        let mut hasher = DefaultHasher::new();
        hasher.write(self.body);
        let tag = format!("\"{:016x}\"", hasher.finish());
        HeaderValue::from_str(&tag).expect("hex digits in quotes are a valid header value")
    }

    /// The file, or 304 without it where the client has it already.
    fn answer(&'static self, etag: &HeaderValue, request: &HeaderMap) -> Response {
        let validators = [(ETAG, etag.clone()), (CACHE_CONTROL, HeaderValue::from_static(REVALIDATE))];
        if is_known(etag, request) {
            return (StatusCode::NOT_MODIFIED, validators).into_response();
        }
        let description = [
            (CONTENT_TYPE, self.content_type),
            (CONTENT_SECURITY_POLICY, PAGE_POLICY),
            (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (validators, description, self.body).into_response()
    }
}

/// Whether `If-None-Match` names `etag`; a proxy that compresses turns a tag into a weak one (RFC 9110, 13.1.2).
fn is_known(etag: &HeaderValue, request: &HeaderMap) -> bool {
    request
        .get_all(IF_NONE_MATCH)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(|tag| tag.trim().trim_start_matches("W/"))
        .any(|tag| tag == "*" || tag.as_bytes() == etag.as_bytes())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::{HeaderName, Request};
    use tower::ServiceExt;

    use super::*;

    async fn ask(path: &str, headers: &[(HeaderName, &str)]) -> Response {
        let mut request = Request::get(path);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        let request = request.body(Body::empty()).unwrap();
        routes::<()>().oneshot(request).await.unwrap()
    }

    async fn text(response: Response) -> String {
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    /// Values of the attributes `src="…"` and `href="…"`.
    fn links(html: &str) -> Vec<&str> {
        html.split(['"', '\n'])
            .collect::<Vec<_>>()
            .windows(2)
            .filter(|pair| pair[0].ends_with("src=") || pair[0].ends_with("href="))
            .map(|pair| pair[1])
            .filter(|link| !link.starts_with("data:"))
            .collect()
    }

    #[tokio::test]
    async fn the_page_comes_with_headers_that_confine_it_to_this_server() {
        let response = ask("/", &[]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()[CONTENT_TYPE], HTML);
        assert_eq!(response.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
        assert_eq!(response.headers()[CACHE_CONTROL], "no-cache");
        let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("http"), "{policy}");
    }

    #[tokio::test]
    async fn every_file_the_page_links_to_is_served() {
        let html = text(ask("/", &[]).await).await;
        let links = links(&html);
        assert_eq!(links.len(), 6, "{links:?}");
        for link in links {
            let response = ask(&format!("/{link}"), &[]).await;
            assert_eq!(response.status(), StatusCode::OK, "{link}");
        }
    }

    #[tokio::test]
    async fn files_have_the_content_type_a_strict_browser_asks_for() {
        for (file, expected) in [
            ("page.js", JAVASCRIPT),
            ("placeholders.js", JAVASCRIPT),
            ("graphiql.min.js", JAVASCRIPT),
            ("graphiql.min.css", CSS),
            ("examples.graphql", PLAIN_TEXT),
        ] {
            let response = ask(&format!("/assets/graphiql/{file}"), &[]).await;
            assert_eq!(response.headers()[CONTENT_TYPE], expected, "{file}");
        }
    }

    #[tokio::test]
    async fn a_client_that_has_the_file_is_told_so_without_a_body() {
        let etag = ask("/assets/graphiql/page.js", &[]).await.headers()[ETAG].to_str().unwrap().to_owned();
        for known in [etag.clone(), format!("W/{etag}"), format!("\"other\", {etag}"), "*".to_owned()] {
            let response = ask("/assets/graphiql/page.js", &[(IF_NONE_MATCH, &known)]).await;
            assert_eq!(response.status(), StatusCode::NOT_MODIFIED, "{known}");
            assert_eq!(response.headers()[ETAG], etag.as_str());
            assert_eq!(text(response).await, "");
        }
    }

    #[tokio::test]
    async fn a_client_that_has_another_version_gets_the_file() {
        let response = ask("/assets/graphiql/page.js", &[(IF_NONE_MATCH, "\"0123456789abcdef\"")]).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert!(!text(response).await.is_empty());
    }

    #[tokio::test]
    async fn no_other_file_can_be_reached() {
        for path in
            ["/assets/graphiql/update.sh", "/assets/graphiql/../../Cargo.toml", "/assets/graphiql/", "/index.html"]
        {
            assert_eq!(ask(path, &[]).await.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[test]
    fn nothing_served_is_loaded_from_elsewhere() {
        for asset in ASSETS.iter().filter(|asset| [HTML, CSS].contains(&asset.content_type)) {
            let content = std::str::from_utf8(asset.body).unwrap();
            for remote in ["https://", "http://", "@import", "@font-face"] {
                assert!(!content.contains(remote), "{} contains {remote}", asset.path);
            }
        }
    }
}
