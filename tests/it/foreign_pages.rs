//! What a web page that the user visits may do here: nothing, unless it is ours or its origin is allowed.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::TestApp;
use crate::support::raw::{Answer, exchange, post, request};

const CREATE: &str = "mutation { createCollection(input: { name: \"stolen\" }) { collection { id } } }";
const MADE: &str = "SELECT count(*) FROM collections";
const JSON: (&str, &str) = ("content-type", "application/json");

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn serving() -> TestApp {
    TestApp::builder().without_workers().start().await
}

/// A query under this `Host`, with these headers besides.
async fn ask(app: &TestApp, host: &str, headers: Headers<'_>) -> Answer {
    let headers = [&[("host", host), JSON], headers].concat();
    let body = json!({ "query": "{ __typename }" }).to_string();
    exchange(&app.address, request("POST /graphql", &headers, &body)).await
}

/// A form that runs a mutation, as a page sends it; `{}` files.
async fn send_form(app: &TestApp, headers: Headers<'_>) -> Answer {
    let part =
        |name: &str, text: &str| format!("--b\r\ncontent-disposition: form-data; name=\"{name}\"\r\n\r\n{text}\r\n");
    let operations = json!({ "query": CREATE }).to_string();
    let body = format!("{}{}--b--\r\n", part("operations", &operations), part("map", "{}"));
    let headers = [&[("content-type", "multipart/form-data; boundary=b")], headers].concat();
    post(&app.address, &headers, body).await
}

/// Opens a WebSocket; gives the answer to its first request, which is all there is where it opened.
async fn open_websocket(app: &TestApp, headers: Headers<'_>) -> u16 {
    let upgrade = [
        ("host", app.address.as_str()),
        ("connection", "upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-protocol", "graphql-transport-ws"),
    ];
    let mut head = "GET /graphql HTTP/1.1\r\n".to_owned();
    for (name, value) in upgrade.iter().chain(headers) {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let mut stream = TcpStream::connect(&app.address).await.expect("the server listens");
    stream.write_all(format!("{head}\r\n").as_bytes()).await.expect("the server reads");
    let mut status = [0; "HTTP/1.1 101".len()];
    stream.read_exact(&mut status).await.expect("the server answers");
    String::from_utf8_lossy(&status[9..]).parse().expect("a status")
}

#[tokio::test]
async fn a_request_for_another_host_is_refused_wherever_the_name_stands() {
    let app = serving().await;
    for host in [
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost..",
        "0.0.0.0",
        "10.0.0.1",
        "[::]",
        "xn--lclhost-8va.example",
    ] {
        let answer = ask(&app, host, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (421, "HOST_NOT_ALLOWED"), "{host}: {answer:?}");
        let refusal = answer.refusal();
        assert_eq!(refusal["field"], "host", "{host}");
        assert!(refusal["expected"].as_str().is_some_and(|it| it.contains("http.allowed_hosts")), "{refusal}");
    }
    for host in [
        "",
        "localhost@evil.example",
        "localhost, evil.example",
        "localhost,evil.example",
        "localhost/",
        "[::1%25lo]",
        "l%6fcalhost",
        "b\u{fc}cher",
    ] {
        let answer = ask(&app, host, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (400, "BAD_USER_INPUT"), "{host}: {answer:?}");
    }
    let address = app.address.as_str();
    for host in ["localhost", "LOCALHOST.:1", "127.0.0.1", "127.9.9.9:80", "[::1]", "[::ffff:127.0.0.1]:9", address] {
        let answer = ask(&app, host, &[]).await;
        assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{host}: {answer:?}");
    }
    for (line, hosts, status) in [
        ("GET /graphql?query={__typename}", &["localhost", "localhost"][..], 400),
        ("GET /graphql?query={__typename}", &["localhost", "evil.example"], 400),
        ("GET /graphql?query={__typename}", &[], 400),
        ("GET http://evil.example/graphql?query={__typename}", &["localhost"], 400),
        ("GET http://localhost/graphql?query={__typename}", &["evil.example"], 400),
        ("GET http://evil.example/graphql?query={__typename}", &["evil.example"], 421),
        ("GET http://me@localhost/graphql?query={__typename}", &["localhost"], 400),
        ("GET http://localhost/graphql?query={__typename}", &["LocalHost"], 200),
    ] {
        let headers: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        let answer = exchange(&app.address, request(line, &headers, "")).await;
        assert_eq!(answer.status, status, "{line} {hosts:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_page_and_the_schema_are_for_our_hosts_too_while_probes_and_metrics_answer_under_any() {
    let app = serving().await;
    for (path, status) in [
        ("/", 421),
        ("/schema.graphql", 421),
        ("/assets/graphiql/page.js", 421),
        ("/health", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/metrics", 200),
    ] {
        let answer = exchange(&app.address, request(&format!("GET {path}"), &[("host", "app")], "")).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
    }
}

#[tokio::test]
async fn hosts_are_allowed_by_name_and_by_port_where_one_is_set() {
    let allowed = "search.example.org, Bücher.example., 10.0.0.7:8000";
    let app = TestApp::builder().without_workers().set("http.allowed_hosts", allowed).start().await;
    for (host, status) in [
        ("search.example.org", 200),
        ("SEARCH.example.org.:9000", 200),
        ("xn--bcher-kva.example", 200),
        ("10.0.0.7:8000", 200),
        ("localhost", 200),
        ("10.0.0.7", 421),
        ("10.0.0.7:8001", 421),
        ("example.org", 421),
        ("a.search.example.org", 421),
    ] {
        assert_eq!(ask(&app, host, &[]).await.status, status, "{host}");
    }
    let open = TestApp::builder().without_workers().set("http.allowed_hosts", "*").start().await;
    assert_eq!(ask(&open, "anything.example", &[]).await.status, 200);
}

#[tokio::test]
async fn a_foreign_page_reads_and_runs_nothing_by_whatever_way_it_asks() {
    let app = serving().await;
    let port = app.address.rsplit(':').next().expect("a port");
    let other_name = format!("http://localhost:{port}");
    let other_port = format!("http://{}1", app.address);
    let longer = format!("http://{}.evil.example", app.address);
    let own = format!("http://{}", app.address);
    let forged = [("origin", own.as_str()), ("sec-fetch-site", "cross-site")];
    for headers in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "*")],
        &[("origin", &other_name)],
        &[("origin", &other_port)],
        &[("origin", &longer)],
        &[("origin", &own), ("origin", "https://evil.example")],
        &[("origin", &own), ("origin", &own)],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "anything")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
        &forged,
    ] {
        let with_preflight = [headers, &[("apollo-require-preflight", "1")]].concat();
        let create = [&[("host", app.address.as_str()), JSON], headers].concat();
        let create = request("POST /graphql", &create, &json!({ "query": CREATE }).to_string());
        let get = [&[("host", app.address.as_str())], headers].concat();
        for answer in [
            exchange(&app.address, create).await,
            exchange(&app.address, request("GET /graphql?query={__typename}", &get, "")).await,
            exchange(&app.address, request("OPTIONS /graphql", &get, "")).await,
            exchange(&app.address, request("PUT /graphql", &get, "")).await,
            send_form(&app, &with_preflight).await,
        ] {
            assert_eq!((answer.status, answer.code().as_str()), (403, "FOREIGN_ORIGIN"), "{headers:?}: {answer:?}");
            assert_eq!(answer.header("access-control-allow-origin"), None, "{answer:?}");
            assert_eq!(answer.header("vary"), Some("origin"), "{answer:?}");
            let refusal = answer.refusal();
            assert!(refusal["expected"].as_str().is_some_and(|it| it.contains("http.allowed_origins")), "{refusal}");
        }
        assert_eq!(open_websocket(&app, headers).await, 403, "{headers:?}");
    }
    assert_eq!(app.database.number(MADE).await, 0);
}

#[tokio::test]
async fn our_own_page_and_clients_that_are_no_browsers_are_let_in() {
    let app = serving().await;
    let own = format!("http://{}", app.address);
    let through_tls = format!("https://{}", app.address);
    for headers in [
        &[][..],
        &[("origin", own.as_str()), ("sec-fetch-site", "same-origin")],
        &[("origin", &own)],
        &[("origin", &through_tls)],
        &[("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
    ] {
        let answer = ask(&app, &app.address, headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{headers:?}: {answer:?}");
        let get = [&[("host", app.address.as_str())], headers].concat();
        let answer = exchange(&app.address, request("GET /graphql?query={__typename}", &get, "")).await;
        assert_eq!(answer.status, 200, "{headers:?}: {answer:?}");
        assert_eq!(open_websocket(&app, headers).await, 101, "{headers:?}");
    }
}

#[tokio::test]
async fn a_page_of_an_allowed_origin_may_do_everything_and_read_the_answer() {
    let allowed = "https://app.example.org, tauri://localhost";
    let app = TestApp::builder().without_workers().set("http.allowed_origins", allowed).start().await;
    for origin in ["https://app.example.org", "tauri://localhost"] {
        let headers = [("origin", origin), ("sec-fetch-site", "cross-site")];
        let wanted =
            [("access-control-request-method", "POST"), ("access-control-request-headers", "content-type,x-own")];
        let preflight = [&[("host", "localhost")], &headers[..], &wanted].concat();
        let granted = exchange(&app.address, request("OPTIONS /graphql", &preflight, "")).await;
        assert_eq!(granted.status, 204, "{granted:?}");
        for (name, value) in [
            ("access-control-allow-origin", origin),
            ("access-control-allow-methods", "get, post, options"),
            ("access-control-allow-headers", "content-type,x-own"),
            ("access-control-max-age", "600"),
            ("vary", "origin"),
        ] {
            assert_eq!(granted.header(name), Some(value), "{granted:?}");
        }
        let answer = ask(&app, "localhost", &headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some(origin), "{answer:?}");
        assert_eq!(answer.header("vary"), Some("origin"), "{answer:?}");
        assert_eq!(open_websocket(&app, &headers).await, 101);
    }
    for origin in ["http://app.example.org", "https://app.example.org:444", "https://example.org", "null"] {
        let answer = ask(&app, "localhost", &[("origin", origin)]).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "FOREIGN_ORIGIN"), "{origin}: {answer:?}");
    }
    let no_page = ask(&app, "localhost", &[]).await;
    assert_eq!((no_page.status, no_page.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn a_form_is_read_only_with_a_header_that_no_form_of_a_page_has() {
    let app = serving().await;
    for headers in
        [&[][..], &[("apollo-require-preflight", "")], &[("graphql-require-preflight", " ")], &[("x-other", "1")]]
    {
        let answer = send_form(&app, headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "PREFLIGHT_REQUIRED"), "{headers:?}: {answer:?}");
    }
    assert_eq!(app.database.number(MADE).await, 0);
    for name in [
        "apollo-require-preflight",
        "x-apollo-operation-name",
        "graphql-require-preflight",
        "graphql-preflight",
        "x-requested-with",
    ] {
        let answer = send_form(&app, &[(name, "1")]).await;
        assert!(matches!(answer.code().as_str(), "" | "ALREADY_EXISTS"), "{name}: {answer:?}");
    }
    assert_eq!(app.database.number(MADE).await, 1);
}
