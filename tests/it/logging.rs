//! Faults as an operator reads them in the log: one line each, with the causes, said once.

use std::sync::Arc;

use async_graphql::ErrorExtensions;
use rustix::process::Signal;
use serde_json::json;
use vectorforge::error::Error;

use crate::embedded_server::temporary_directory;
use crate::process::{Running, vectorforge};
use crate::support::app::client;
use crate::support::snapshot::assert_kept;
use crate::support::watch::Watch;
use crate::support::{TestApp, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_fault_is_one_line_with_its_causes_and_never_a_stack_and_callers_faults_are_none() {
    let app = TestApp::builder().without_workers().start().await;
    let dir = temporary_directory();
    let mut command = vectorforge(dir.path(), &["serve", "--set", "database.acquire_timeout_ms=1000"]);
    command.env("DATABASE_URL", &app.database.url).env("RUST_BACKTRACE", "1").env("VECTORFORGE_QUEUE__WORKERS", "0");
    let mut serve = Running::start(command, dir.path());
    let address = serve.ready().await;
    let ask = async |query: &str| {
        let request = client().post(format!("{address}/graphql")).json(&json!({ "query": query }));
        request.send().await.expect("it answers").text().await.expect("text")
    };
    let before = serve.log().lines().count();
    for query in [
        "{ jobs(filter: { createdAfter: \"-262000-01-01T00:00:00Z\" }) { totalCount } }",
        "{ x }",
        "{",
        "{ collections(first: 0) { totalCount } }",
    ] {
        assert!(ask(query).await.contains("errors"), "{query}");
    }
    assert_eq!(serve.log().lines().count(), before, "{}", serve.log());

    app.database.set_reachable(false).await;
    let line = until("the outage to be logged", async || {
        assert!(ask("{ collections { totalCount } }").await.contains("UNAVAILABLE"));
        let log = serve.log();
        log.lines().find(|line| line.contains("ERROR")).map(str::to_owned)
    })
    .await;
    assert!(line.contains("code=UNAVAILABLE cause=") && line.contains("; try again later"), "{line}");
    let log = serve.log();
    assert!(!log.contains("backtrace") && !log.contains("\\n") && !log.contains(".rs:"), "{log}");
    app.database.set_reachable(true).await;
    serve.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_and_a_stop_are_told_in_a_few_lines() {
    let app = TestApp::builder().without_workers().start().await;
    let dir = temporary_directory();
    // Without workers nothing is logged but by the start itself.
    let mut command = vectorforge(dir.path(), &["serve", "--set", "queue.workers=0"]);
    command.env("DATABASE_URL", &app.database.url);
    let mut serve = Running::start(command, dir.path());
    serve.ready().await;
    serve.signal(Signal::TERM);
    let (code, said) = serve.outcome().await;
    assert_eq!(code, Some(0), "{said}");
    let redactions = [
        (r"(?m)^[0-9-]+T[0-9:.]+Z", "[time]"),
        (r"database=postgres:\S+", "database=[database]"),
        (r"127\.0\.0\.1:[0-9]+", "127.0.0.1:[port]"),
        (r"\b(pool|embedding_threads)=[0-9+]+", "$1=[by the machine]"),
    ];
    assert_kept("start", &said, &redactions);
}

#[tokio::test]
async fn an_error_that_many_rows_share_is_logged_once() {
    let watch = Watch::this_thread();
    let shared = Arc::new(Error::internal("read documents", std::io::Error::other("a bug")));
    for _ in 0..100 {
        assert_eq!(shared.extend().message, "could not read documents: internal error");
    }
    assert_eq!(watch.take_errors().len(), 1);
}
