//! How a request is read before anything of it is run: types, codings, JSON, lengths; each refusal in our words.

use reqwest::Url;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::raw::{self, Answer, exchange, request};
use crate::support::refusal::Refusals;
use crate::support::{PATIENCE, TestApp};

const CREATE: &str = "mutation { createCollection(input: { name: \"once\" }) { collection { id } } }";

const BODY_LIMIT: usize = 64 * 1024;

type Headers<'a> = &'a [(&'a str, &'a str)];

async fn serving() -> TestApp {
    let app = TestApp::builder().without_workers().set("http.body_limit_bytes", BODY_LIMIT);
    app.set("http.json_values_limit", 1_000).start().await
}

async fn post(app: &TestApp, headers: Headers<'_>, body: &str) -> Answer {
    raw::post(&app.address, headers, body).await
}

/// Sends bytes as JSON.
async fn post_json(app: &TestApp, body: impl AsRef<[u8]>) -> Answer {
    raw::post(&app.address, &[("content-type", "application/json")], body).await
}

/// Words of the libraries under the reader.
const THEIR_WORDS: [&str; 7] =
    ["serde", "expected value", "invalid type", "EOF", "trailing", "untagged", "end of file"];

fn assert_refused(answer: &Answer, status: u16, code: &str, field: &str, shown: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{shown:.200}: {answer:?}");
    let refusal = answer.refusal();
    assert_eq!(refusal["field"], field, "{shown:.200}: {refusal}");
    assert!(refusal["got"].is_string() && refusal["expected"].is_string(), "{shown:.200}: {refusal}");
    let message = refusal["message"].as_str().expect("a message");
    assert!(!THEIR_WORDS.iter().any(|word| message.contains(word)), "{shown:.200}: {message}");
}

#[tokio::test]
async fn only_json_in_utf_8_and_uncompressed_is_read_as_an_operation() {
    let app = serving().await;
    let refusals = Refusals::of(&app).await;
    let body = json!({ "query": CREATE }).to_string();
    for content_type in [
        "text/plain",
        "text/plain; application/json",
        "text/plain, application/json",
        "application/json, text/plain",
        "text/plain; x=\"; application/json\"",
        "application/x-www-form-urlencoded",
        "application/octet-stream",
        "application/graphql",
        "application/jsonp",
        "application/ld+json",
        "multipart/mixed; boundary=b",
        "application/json; charset=utf-16",
        "application/json; charset=iso-8859-1; charset=utf-8",
        "application/json; charset=\"latin1\"",
        "; application/json",
        "",
        "caf\u{e9}",
    ] {
        let answer = post(&app, &[("content-type", content_type)], &body).await;
        assert_refused(&answer, 415, "BAD_USER_INPUT", "content-type", content_type);
        assert_eq!(answer.header("accept"), Some("application/json, multipart/form-data"));
    }
    assert_refused(&post(&app, &[], &body).await, 415, "BAD_USER_INPUT", "content-type", "none");
    let twice = [("content-type", "application/json"), ("content-type", "text/plain")];
    assert_refused(&post(&app, &twice, &body).await, 415, "BAD_USER_INPUT", "content-type", "two");
    for coding in ["gzip", "br", "deflate", "identity, gzip", "x"] {
        let headers = [("content-type", "application/json"), ("content-encoding", coding)];
        let answer = post(&app, &headers, &body).await;
        assert_refused(&answer, 415, "BAD_USER_INPUT", "content-encoding", coding);
        assert_eq!(answer.header("accept-encoding"), Some("identity"));
    }
    refusals.left_nothing().await;
    let query = json!({ "query": "{ __typename }" }).to_string();
    for content_type in [
        "application/json",
        "Application/JSON",
        "application/json;charset=UTF-8",
        "application/json; charset=\"utf-8\"",
        "application/json ; x=y",
        "application/graphql+json",
    ] {
        let headers = [("content-type", content_type), ("content-encoding", "identity")];
        assert_eq!(post(&app, &headers, &query).await.status, 200, "{content_type}");
    }
}

#[tokio::test]
async fn a_body_that_is_no_operation_is_refused_in_our_words_with_the_field() {
    let app = serving().await;
    let refusals = Refusals::of(&app).await;
    let deep = format!("{{\"query\": \"{{ __typename }}\", \"variables\": {{\"a\": {}", "[".repeat(50_000));
    for (body, field) in [
        ("", "request body"),
        ("{", "request body"),
        ("{\"query\": \"{ __typename }\"", "request body"),
        ("{ query }", "request body"),
        ("{\"query\": \"{ __typename }\"} x", "request body"),
        ("\u{feff}{\"query\": \"{ __typename }\"}", "request body"),
        ("{\"query\": \"\\ud800\"}", "request body"),
        ("{\"query\": \"{ __typename }\", \"variables\": {\"a\": NaN}}", "request body"),
        ("{\"query\": \"{ __typename }\", \"variables\": {\"a\": -Infinity}}", "request body"),
        ("{\"query\": \"{ __typename }\", \"variables\": {\"a\": 1e999}}", "request body"),
        (&deep, "request body"),
        ("null", "request body"),
        ("1", "request body"),
        ("\"{ __typename }\"", "request body"),
        ("[]", "request body"),
        ("[{\"query\": \"{ __typename }\"}]", "request body"),
        ("{}", "query"),
        ("{\"query\": null}", "query"),
        ("{\"query\": 1}", "query"),
        ("{\"query\": [\"{ __typename }\"]}", "query"),
        ("{\"documentId\": \"sha256:abc\"}", "query"),
        ("{\"id\": \"7\", \"variables\": {}}", "query"),
        ("{\"query\": \"{ __typename }\", \"query\": \"{ a }\"}", "query"),
        ("{\"query\": \"{ __typename }\", \"operationName\": 1}", "operationName"),
        ("{\"query\": \"{ __typename }\", \"variables\": [1]}", "variables"),
        ("{\"query\": \"{ __typename }\", \"variables\": \"{}\"}", "variables"),
        ("{\"query\": \"{ __typename }\", \"variables\": 1}", "variables"),
        ("{\"query\": \"{ __typename }\", \"variables\": {\"a\": [{\"b\": 1, \"b\": 1}]}}", "variables.a.0.b"),
        ("{\"query\": \"{ __typename }\", \"extensions\": \"\"}", "extensions"),
        ("{\"query\": \"{ __typename }\", \"extensions\": []}", "extensions"),
    ] {
        assert_refused(&post_json(&app, body).await, 400, "BAD_USER_INPUT", field, body);
    }
    let invalid_utf8 = post_json(&app, b"{\"query\": \"\xff\"}").await;
    assert_refused(&invalid_utf8, 400, "BAD_USER_INPUT", "request body", "invalid UTF-8");
    let many = json!({ "query": "{ __typename }", "variables": { "a": vec![0; 1_000] } }).to_string();
    assert_refused(&post_json(&app, many).await, 413, "PAYLOAD_TOO_LARGE", "request body", "many");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn what_is_null_empty_or_unknown_beside_a_query_is_as_absent() {
    let app = serving().await;
    for rest in [
        json!({ "operationName": "" }),
        json!({ "operationName": null, "variables": null, "extensions": null }),
        json!({ "id": 7, "key": "x", "variables": {} }),
        json!({ "extensions": { "persistedQuery": null, "other": [1] } }),
    ] {
        let mut body = rest;
        body["query"] = json!("query A { __typename }");
        let answer = post_json(&app, body.to_string()).await;
        assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{body}: {answer:?}");
    }
}

async fn get(app: &TestApp, query: &[(&str, &str)]) -> Answer {
    let url = Url::parse_with_params("http://localhost/graphql", query).expect("a URL");
    get_raw(app, url.query().unwrap_or_default()).await
}

async fn get_raw(app: &TestApp, query: &str) -> Answer {
    let line = format!("GET /graphql?{query}");
    exchange(&app.address, request(&line, &[("host", "localhost")], "")).await
}

#[tokio::test]
async fn parameters_of_a_url_are_read_as_strictly() {
    let app = serving().await;
    let query = ("query", "{ __typename }");
    for (parameters, field) in [
        (&[][..], "query"),
        (&[("variables", "{}")], "query"),
        (&[("id", "7")], "query"),
        (&[query, query], "query"),
        (&[query, ("variables", "[")], "variables"),
        (&[query, ("variables", "[1]")], "variables"),
        (&[query, ("variables", "\"{}\"")], "variables"),
        (&[query, ("variables", "{\"a\": {\"b\": 1, \"b\": 1}}")], "variables.a.b"),
        (&[query, ("variables", "{}"), ("variables", "{}")], "variables"),
        (&[query, ("extensions", "1")], "extensions"),
        (&[query, ("operationName", "A"), ("operationName", "B")], "operationName"),
    ] {
        assert_refused(&get(&app, parameters).await, 400, "BAD_USER_INPUT", field, &format!("{parameters:?}"));
    }
    for (parameters, field) in
        [("query=%ff", "query"), ("query={__typename}&variables=%7B%22a%22:%22%ff%22%7D", "variables")]
    {
        assert_refused(&get_raw(&app, parameters).await, 400, "BAD_USER_INPUT", field, parameters);
    }
    for parameters in [
        &[query][..],
        &[query, ("operationName", ""), ("variables", ""), ("extensions", "")],
        &[query, ("variables", "null"), ("extensions", "{\"a\": 1}"), ("x", "1"), ("x", "2")],
    ] {
        let answer = get(&app, parameters).await;
        assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{parameters:?}: {answer:?}");
    }
}

#[tokio::test]
async fn the_hash_of_a_query_alone_is_answered_as_clients_of_persisted_queries_expect() {
    let app = serving().await;
    let hash = "ecf4edb46db40b5132295c0291d62fb65d6759a9eedfa4d5d612dd5ec54a6b38";
    let extensions = json!({ "persistedQuery": { "version": 1, "sha256Hash": hash } });
    let by_post = json!({ "operationName": "A", "variables": {}, "extensions": extensions }).to_string();
    let empty = json!({ "query": "", "extensions": extensions }).to_string();
    for answer in [
        post_json(&app, by_post).await,
        post_json(&app, empty).await,
        get(&app, &[("operationName", "A"), ("variables", "{}"), ("extensions", &extensions.to_string())]).await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (200, "PERSISTED_QUERY_NOT_SUPPORTED"), "{answer:?}");
        assert_eq!(answer.refusal()["message"], "PersistedQueryNotSupported");
    }
    let with_text = json!({ "query": "{ __typename }", "extensions": extensions }).to_string();
    for answer in [
        post_json(&app, with_text).await,
        get(&app, &[("query", "{ __typename }"), ("extensions", &extensions.to_string())]).await,
    ] {
        assert_eq!((answer.status, answer.code().as_str()), (200, ""), "{answer:?}");
    }
}

/// JSON of an operation that is this long.
fn body_of(bytes: usize) -> String {
    let frame = json!({ "query": "{ __typename }", "extensions": { "pad": "" } }).to_string();
    frame.replace("\"pad\":\"\"", &format!("\"pad\":\"{}\"", "x".repeat(bytes - frame.len())))
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_or_not_it_tells_its_length() {
    let app = serving().await;
    assert_eq!(post_json(&app, body_of(BODY_LIMIT)).await.status, 200);
    let (body, head) = (body_of(BODY_LIMIT + 1), "transfer-encoding: chunked\r\n\r\n");
    let (one, two) = body.split_at(512);
    let chunked = format!("{head}{:x}\r\n{one}\r\n{:x}\r\n{two}\r\n0\r\n\r\n", one.len(), two.len());
    let head = "POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
    for answer in [post_json(&app, body).await, exchange(&app.address, format!("{head}{chunked}")).await] {
        assert_refused(&answer, 413, "PAYLOAD_TOO_LARGE", "request body", "over the limit");
    }
}

#[tokio::test]
async fn a_refusal_of_the_head_is_seen_by_a_client_that_sends_its_body_first() {
    let app = serving().await;
    let body = body_of(BODY_LIMIT);
    let json = ("content-type", "application/json");
    for (line, headers, status) in [
        ("POST /graphql", &[("host", "localhost"), ("content-type", "text/plain")][..], 415),
        ("POST /graphql", &[("host", "localhost"), json, ("content-encoding", "gzip")], 415),
        ("POST /graphql", &[("host", "localhost"), json, ("accept", "text/html")], 406),
        ("POST /graphql", &[("host", "localhost"), json, ("origin", "https://evil.example")], 403),
        ("POST /graphql", &[("host", "localhost"), ("content-type", "multipart/form-data; boundary=b")], 403),
        ("POST /graphql", &[("host", "evil.example"), json], 421),
        ("PUT /graphql", &[("host", "localhost"), json], 405),
        ("POST /nothing", &[("host", "localhost"), json], 404),
        ("POST /metrics", &[("host", "localhost"), json], 405),
    ] {
        for _ in 0..5 {
            let answer = exchange(&app.address, request(line, headers, &body)).await;
            assert_eq!(answer.status, status, "{line} {headers:?}: {answer:?}");
        }
    }
    // Twice the limit is still read, so that a slip of the user's is told to him and not cut off.
    let too_long = post_json(&app, body_of(2 * BODY_LIMIT)).await;
    assert_eq!(too_long.status, 413);
}

#[tokio::test]
async fn a_client_that_waits_to_be_asked_for_its_body_is_refused_without() {
    let app = serving().await;
    let headers =
        [("host", "localhost"), ("content-type", "text/plain"), ("expect", "100-continue"), ("content-length", "9")];
    let answer = exchange(&app.address, request("POST /graphql", &headers, "")).await;
    assert_eq!(answer.status, 415, "{answer:?}");
    let length = (BODY_LIMIT + 1).to_string();
    let headers = [
        ("host", "localhost"),
        ("content-type", "application/json"),
        ("expect", "100-continue"),
        ("content-length", &length),
    ];
    let answer = exchange(&app.address, request("POST /graphql", &headers, "")).await;
    assert_eq!(answer.status, 413, "{answer:?}");
}

#[tokio::test]
async fn a_body_without_end_is_not_read_without_end() {
    let app = TestApp::builder().without_workers().set("http.request_timeout_ms", 500).start().await;
    for head in [
        "content-type: text/plain\r\ncontent-length: 1000",
        "content-type: application/json\r\ncontent-length: 1000",
        "content-type: text/plain\r\ntransfer-encoding: chunked",
        "content-type: text/plain\r\ncontent-length: 100000000000",
    ] {
        let mut stream = TcpStream::connect(&app.address).await.expect("the server listens");
        let head = format!("POST /graphql HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{head}\r\n\r\n");
        stream.write_all(head.as_bytes()).await.expect("the server reads");
        let answer = Answer::read(&mut stream).await;
        let expected = if head.contains("json") { (408, "TIMEOUT") } else { (415, "BAD_USER_INPUT") };
        assert_eq!((answer.status, answer.code().as_str()), expected, "{answer:?}");
    }
    let app = serving().await;
    let mut stream = TcpStream::connect(&app.address).await.expect("the server listens");
    let head =
        "POST /graphql HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await.expect("the server reads");
    let chunk = format!("1000\r\n{}\r\n", "x".repeat(0x1000));
    let mut seen = [0; 12];
    let sending = async {
        // Ends when the server has had enough, and not by itself.
        while stream.write_all(chunk.as_bytes()).await.is_ok() {}
    };
    tokio::time::timeout(PATIENCE, sending).await.expect("the server stops reading");
    let _ = stream.read_exact(&mut seen).await;
}
