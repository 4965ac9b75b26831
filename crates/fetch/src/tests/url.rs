//! Pages from a server of this process, and what it must not lead to.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Path;
use axum::http::{HeaderName, HeaderValue, Request, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt, stream};
use tokio::net::TcpListener;

use crate::{FetchFault, FetchFaultKind, Fetched, Fetcher, Reach};

const TIMEOUT: Duration = Duration::from_secs(10);
const LIMIT: usize = 100;

/// Serves on a free port of this address until the test ends.
async fn serve(address: &str) -> SocketAddr {
    let listener = TcpListener::bind((address, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let pages = Router::new()
        .route("/", get(|| async { "root" }))
        .route("/docs/page.md", get(|| async { ([(header::CONTENT_TYPE, "text/markdown; charset=utf-8")], "# page") }))
        .route("/status/{code}", get(status))
        .route("/status/{code}/{retry_after}", get(status_with_wait))
        .route("/to", get(redirect))
        .route("/hops/{left}", get(hop))
        .route("/bytes/{count}", get(|Path(count): Path<usize>| async move { vec![b'a'; count] }))
        .route("/endless", get(endless))
        .route("/slow", get(slow))
        .route("/gzip", get(|| async { ([(header::CONTENT_ENCODING, "gzip")], "??") }))
        .route("/headers", get(|request: Request<Body>| async move { names(&request) }));
    tokio::spawn(async move { axum::serve(listener, pages).await });
    address
}

async fn status(Path(code): Path<u16>) -> StatusCode {
    StatusCode::from_u16(code).unwrap()
}

async fn status_with_wait(Path((code, wait)): Path<(u16, String)>) -> impl IntoResponse {
    (StatusCode::from_u16(code).unwrap(), [(header::RETRY_AFTER, wait)])
}

fn names(request: &Request<Body>) -> String {
    let mut names: Vec<_> = request.headers().keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names.join(" ")
}

/// To the address in the query.
async fn redirect(request: Request<Body>) -> Response {
    let to = HeaderValue::from_str(request.uri().query().unwrap()).unwrap();
    (StatusCode::FOUND, [(header::LOCATION, to)]).into_response()
}

async fn hop(Path(left): Path<usize>) -> Response {
    let to = if left == 0 { "/docs/page.md".to_owned() } else { format!("/hops/{}", left - 1) };
    (StatusCode::MOVED_PERMANENTLY, [(HeaderName::from_static("location"), to)]).into_response()
}

async fn endless() -> Body {
    Body::from_stream(stream::repeat_with(|| Ok::<_, Infallible>(Bytes::from("aaaa"))))
}

/// A first byte at once, and then nothing.
async fn slow() -> Body {
    let first = stream::once(async { Ok::<_, Infallible>(Bytes::from("a")) });
    Body::from_stream(first.chain(stream::pending()))
}

fn fetcher(reach: Reach) -> Fetcher {
    Fetcher::new(reach, TIMEOUT).unwrap()
}

async fn fetch(url: &str) -> Result<Fetched, FetchFault> {
    fetcher(Reach::Anywhere).fetch(url, LIMIT).await
}

async fn fault(url: &str) -> FetchFaultKind {
    fetch(url).await.expect_err(url).kind
}

#[tokio::test]
async fn a_page_comes_with_what_names_it_and_its_content_type() {
    let server = serve("127.0.0.1").await;
    let url = format!("http://{server}/docs/page.md?version=2");
    let fetched = fetch(&format!("{url}#part")).await.unwrap();
    let expected = Fetched {
        source_uri: url,
        name: "page.md".to_owned(),
        content_type: Some("text/markdown; charset=utf-8".to_owned()),
        bytes: b"# page".to_vec(),
    };
    assert_eq!(fetched, expected);
    assert_eq!(fetch(&format!("http://{server}")).await.unwrap().name, "");
}

#[tokio::test]
async fn each_status_has_its_kind_of_fault() {
    let server = serve("127.0.0.1").await;
    for code in [304, 400, 401, 403, 404, 410, 451] {
        let permanent = FetchFaultKind::Permanent { status: Some(code) };
        assert_eq!(fault(&format!("http://{server}/status/{code}")).await, permanent);
    }
    for code in [408, 500, 502, 503, 504] {
        let transient = FetchFaultKind::Transient { status: Some(code) };
        assert_eq!(fault(&format!("http://{server}/status/{code}")).await, transient);
    }
    let limited = FetchFaultKind::RateLimited { retry_after: None };
    assert_eq!(fault(&format!("http://{server}/status/429")).await, limited);
}

#[tokio::test]
async fn a_server_is_given_the_time_it_asks_for() {
    let server = serve("127.0.0.1").await;
    let past = "Sun, 06 Nov 1994 08:49:37 GMT".replace(' ', "%20");
    let day = 24 * 60 * 60;
    for (code, wait, seconds) in [(429, "120", 120), (503, "7", 7), (429, "9999999", day), (503, &past, 0)] {
        let limited = FetchFaultKind::RateLimited { retry_after: Some(Duration::from_secs(seconds)) };
        assert_eq!(fault(&format!("http://{server}/status/{code}/{wait}")).await, limited, "{code} {wait}");
    }
    let transient = FetchFaultKind::Transient { status: Some(503) };
    assert_eq!(fault(&format!("http://{server}/status/503/soon")).await, transient);
}

#[tokio::test]
async fn five_redirects_are_followed_and_no_sixth() {
    let server = serve("127.0.0.1").await;
    let page = fetch(&format!("http://{server}/hops/4")).await.unwrap();
    assert_eq!(page.bytes, b"# page");
    assert_eq!(page.source_uri, format!("http://{server}/hops/4"), "it is known by the name it was asked by");
    assert_eq!(fault(&format!("http://{server}/hops/5")).await, FetchFaultKind::Permanent { status: None });
}

#[tokio::test]
async fn a_redirect_leads_to_no_address_scheme_or_password_that_is_not_allowed() {
    let allowed = serve("127.0.0.1").await;
    let private = serve("127.0.0.2").await;
    let only = fetcher(Reach::Only(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    for to in [
        format!("http://{private}/"),
        format!("//{private}/"),
        format!("http://2130706434:{}/", private.port()),
        format!("http://[::ffff:127.0.0.2]:{}/", private.port()),
        format!("http://me:pw@{allowed}/"),
        "http://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let refused = only.fetch(&format!("http://{allowed}/to?{to}"), LIMIT).await.expect_err(&to);
        assert_eq!(refused.kind, FetchFaultKind::NotAllowed, "{to}: {refused}");
    }
    let elsewhere = only.fetch(&format!("http://{allowed}/to?file:///etc/passwd"), LIMIT).await.unwrap_err();
    assert_eq!(elsewhere.kind, FetchFaultKind::Permanent { status: Some(302) }, "not even followed");
    let within = only.fetch(&format!("http://{allowed}/to?http://{allowed}/"), LIMIT).await.unwrap();
    assert_eq!(within.bytes, b"root");
    let anywhere = fetch(&format!("http://{allowed}/to?http://{private}/")).await.unwrap();
    assert_eq!(anywhere.bytes, b"root", "where the operator allows it");
}

#[tokio::test]
async fn a_name_of_our_own_network_is_refused_when_it_is_resolved() {
    let port = serve("127.0.0.1").await.port();
    for host in ["localhost", "LOCALHOST"] {
        let url = format!("http://{host}:{port}/");
        let refused = fetcher(Reach::Public).fetch(&url, LIMIT).await.unwrap_err();
        assert_eq!(refused.kind, FetchFaultKind::NotAllowed, "{refused}");
    }
    assert_eq!(fetch(&format!("http://localhost:{port}/")).await.unwrap().bytes, b"root");
    let redirected = fetcher(Reach::Only("127.0.0.1".parse().unwrap()));
    let url = format!("http://127.0.0.1:{port}/to?http://localhost:{port}/");
    // A machine may give its name both addresses; only the allowed one is connected to.
    assert_eq!(redirected.fetch(&url, LIMIT).await.unwrap().bytes, b"root");
}

#[tokio::test]
async fn a_page_of_ipv6_is_fetched_where_it_is_allowed() {
    // Not every machine that runs the tests has IPv6.
    if TcpListener::bind("[::1]:0").await.is_err() {
        return;
    }
    let url = format!("http://{}/", serve("::1").await);
    assert_eq!(fetch(&url).await.unwrap().bytes, b"root");
    let refused = fetcher(Reach::Public).fetch(&url, LIMIT).await.unwrap_err();
    assert_eq!(refused.kind, FetchFaultKind::NotAllowed);
}

#[tokio::test]
async fn a_page_of_more_bytes_than_the_limit_is_refused_also_where_it_does_not_tell_its_length() {
    let server = serve("127.0.0.1").await;
    assert_eq!(fetch(&format!("http://{server}/bytes/{LIMIT}")).await.unwrap().bytes.len(), LIMIT);
    assert_eq!(fault(&format!("http://{server}/bytes/{}", LIMIT + 1)).await, FetchFaultKind::TooLarge);
    assert_eq!(fault(&format!("http://{server}/endless")).await, FetchFaultKind::TooLarge);
}

#[tokio::test]
async fn a_page_that_never_ends_is_given_up_in_time() {
    let server = serve("127.0.0.1").await;
    let impatient = Fetcher::new(Reach::Anywhere, Duration::from_millis(200)).unwrap();
    let given_up = impatient.fetch(&format!("http://{server}/slow?token=x"), LIMIT).await.unwrap_err();
    assert_eq!(given_up.kind, FetchFaultKind::Transient { status: None });
    assert_eq!(given_up.message, format!("http://{server}/slow took longer than 200 ms"));
}

#[tokio::test]
async fn a_server_that_is_not_there_may_come_back() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let fault = fetch(&format!("http://{nobody}/")).await.unwrap_err();
    assert_eq!(fault.kind, FetchFaultKind::Transient { status: None });
    assert!(fault.message.starts_with("could not connect to"), "{fault}");
}

#[tokio::test]
async fn a_page_in_an_encoding_that_was_not_asked_for_is_refused() {
    let server = serve("127.0.0.1").await;
    assert_eq!(fault(&format!("http://{server}/gzip")).await, FetchFaultKind::Permanent { status: Some(200) });
}

#[tokio::test]
async fn a_server_is_told_nothing_of_us_but_the_name_of_the_program() {
    let server = serve("127.0.0.1").await;
    let told = fetch(&format!("http://{server}/to?/headers")).await.unwrap().bytes;
    assert_eq!(String::from_utf8(told).unwrap(), "accept host user-agent");
}
