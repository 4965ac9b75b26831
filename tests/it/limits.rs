//! Limits on jobs: kept over two processes, and effective at once when they change.

use std::sync::Arc;

use serde_json::{Value as Json, json};
use vectorforge::store::DEFAULT_TENANT;

use crate::support::embedder::WordEmbedder;
use crate::support::refusal::Refusals;
use crate::support::{TestApp, until};

const SET: &str = "mutation($input: SetJobLimitInput!) { setJobLimit(input: $input) { limit { scope key concurrency
    perMinute } } }";
const REMOVE: &str = "mutation($input: RemoveJobLimitInput!) { removeJobLimit(input: $input) { scope key removed } }";
const RUNNING: &str = "SELECT count(*) FROM jobs WHERE state = 'RUNNING'";
const LEFT: &str = "SELECT count(*) FROM jobs WHERE state <> 'SUCCEEDED'";

async fn set(app: &TestApp, input: Json) -> Json {
    app.data(SET, json!({ "input": input })).await["setJobLimit"]["limit"].take()
}

async fn remove(app: &TestApp, scope: &str, key: &str) -> Json {
    let input = json!({ "input": { "scope": scope, "key": key } });
    app.data(REMOVE, input).await["removeJobLimit"]["removed"].take()
}

fn documents(count: usize) -> Json {
    (0..count).map(|n| json!({ "source": { "text": format!("document {n}") } })).collect()
}

/// Two processes over one database that share an embedder.
async fn two(embedder: &Arc<WordEmbedder>, poll_ms: u32) -> (TestApp, TestApp) {
    let builder = || TestApp::builder().embedder(embedder.clone()).set("queue.poll_ms", poll_ms);
    let first = builder().start().await;
    let second = builder().database(first.database.clone()).start().await;
    (first, second)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_jobs_run_at_once_than_a_limit_allows_over_all_processes() {
    let embedder = Arc::new(WordEmbedder::default());
    let (app, _other) = two(&embedder, 200).await;
    let collection = app.collection("docs").await;
    let tenant = format!("ten_{}", DEFAULT_TENANT.simple());
    for (scope, key) in
        [("QUEUE", "ingest"), ("KIND", "ingest_document"), ("PROVIDER", "test"), ("TENANT", tenant.as_str())]
    {
        let limit = set(&app, json!({ "scope": scope, "key": key, "concurrency": 3 })).await;
        assert_eq!((&limit["key"], &limit["concurrency"]), (&json!(key), &json!(3)));
        embedder.gate.shut();
        let texts: Json = (0..12).map(|n| json!({ "source": { "text": format!("{scope} {n}") } })).collect();
        app.ingest(&collection, texts).await;
        until("the limit to be reached", async || (app.database.number(RUNNING).await == 3).then_some(())).await;
        // The eight slots of both look again and again.
        for _ in 0..50 {
            assert_eq!(app.database.number(RUNNING).await, 3, "{scope}");
        }
        embedder.gate.open();
        until("all jobs to end", async || {
            assert!(app.database.number(RUNNING).await <= 3, "{scope}");
            (app.database.number(LEFT).await == 0).then_some(())
        })
        .await;
        assert_eq!((remove(&app, scope, key).await, remove(&app, scope, key).await), (json!(true), json!(false)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_of_none_stops_and_its_change_and_end_are_noticed_without_a_poll() {
    let embedder = Arc::new(WordEmbedder::default());
    // Longer than the test waits for anything.
    let (app, _other) = two(&embedder, 600_000).await;
    let collection = app.collection("docs").await;
    set(&app, json!({ "scope": "QUEUE", "key": "ingest", "concurrency": 0 })).await;
    app.ingest(&collection, documents(12)).await;
    for _ in 0..50 {
        assert_eq!(app.database.number("SELECT count(*) FROM jobs WHERE state <> 'PENDING'").await, 0);
    }
    // Each job's end makes room for the next one.
    set(&app, json!({ "scope": "QUEUE", "key": "ingest", "concurrency": 1 })).await;
    until("every job to end, one by one", async || (app.database.number(LEFT).await == 0).then_some(())).await;
    set(&app, json!({ "scope": "KIND", "key": "ingest_document", "concurrency": 0 })).await;
    app.ingest(&collection, json!([{ "source": { "text": "one more" } }])).await;
    remove(&app, "KIND", "ingest_document").await;
    remove(&app, "QUEUE", "ingest").await;
    until("the last job to end", async || (app.database.number(LEFT).await == 0).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_start_no_faster_than_a_rate_allows_over_all_processes() {
    let embedder = Arc::new(WordEmbedder::default());
    let (app, _other) = two(&embedder, 50).await;
    let collection = app.collection("docs").await;
    // Five a second.
    set(&app, json!({ "scope": "KIND", "key": "ingest_document", "perMinute": 300 })).await;
    app.ingest(&collection, documents(15)).await;
    until("every job to end", async || (app.database.number(LEFT).await == 0).then_some(())).await;
    // A full bucket of five at once, then one every 200 ms; any eleven in a row take at least a second.
    let too_fast = "SELECT count(*) FROM (SELECT at, lag(at, 10) OVER (ORDER BY at) AS before FROM job_events
        WHERE kind = 'STARTED') AS starts WHERE at - before < interval '900 ms'";
    assert_eq!(app.database.number(too_fast).await, 0);
}

#[tokio::test]
async fn a_limit_with_a_wrong_field_is_refused() {
    let app = TestApp::builder().without_workers().start().await;
    let refusals = Refusals::of(&app).await;
    let unknown = "ten_00000000000070008000000000000009";
    for (scope, key, code) in [
        ("QUEUE", "nobodys", "BAD_USER_INPUT"),
        ("QUEUE", "", "BAD_USER_INPUT"),
        ("KIND", "ingest", "BAD_USER_INPUT"),
        ("PROVIDER", "", "BAD_USER_INPUT"),
        ("PROVIDER", "a\0", "BAD_USER_INPUT"),
        ("TENANT", "x", "BAD_USER_INPUT"),
        ("TENANT", unknown, "NOT_FOUND"),
    ] {
        let given = json!({ "scope": scope, "key": key });
        refusals.check([(REMOVE, json!({ "input": given }), code, "input.key")]).await;
        let given = json!({ "scope": scope, "key": key, "concurrency": 1 });
        refusals.check([(SET, json!({ "input": given }), code, "input.key")]).await;
    }
    for (numbers, field) in [
        (json!({}), "input"),
        (json!({ "concurrency": null, "perMinute": null }), "input"),
        (json!({ "concurrency": -1 }), "input.concurrency"),
        (json!({ "perMinute": 0 }), "input.perMinute"),
        (json!({ "perMinute": -0.5, "concurrency": 1 }), "input.perMinute"),
    ] {
        let mut given = numbers;
        (given["scope"], given["key"]) = (json!("QUEUE"), json!("ingest"));
        refusals.check([(SET, json!({ "input": given }), "BAD_USER_INPUT", field)]).await;
    }
    refusals.are_kept_as("refused_limits");
    refusals.left_nothing().await;
    let limits = app.data("{ jobLimits { key } }", json!({})).await;
    assert_eq!(limits["jobLimits"], json!([]));
    let set = set(&app, json!({ "scope": "PROVIDER", "key": "http:a.org", "perMinute": 0.5 })).await;
    let shown = app.data("{ jobLimits { scope key concurrency perMinute } }", json!({})).await;
    assert_eq!(shown["jobLimits"], json!([set]));
    assert_eq!(set["perMinute"], 0.5);
}
