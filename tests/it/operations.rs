//! What operators and orchestrators ask: health, readiness, metrics, and the page for a first look.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use regex::Regex;
use serde_json::{Value as Json, json};

use crate::support::gql::id;
use crate::support::snapshot::assert_kept;
use crate::support::{TestApp, until};

async fn get(app: &TestApp, path: &str) -> reqwest::Response {
    app.client.get(format!("http://{}{path}", app.address)).send().await.expect("the server answers")
}

#[tokio::test]
async fn health_says_ok_as_long_as_the_process_lives() {
    let app = TestApp::builder().without_workers().start().await;
    app.app.store.close().await;
    for path in ["/health", "/healthz"] {
        let response = get(&app, path).await;
        assert_eq!(response.status().as_u16(), 200, "{path}");
        assert_eq!(response.text().await.expect("text"), "{\"status\":\"ok\"}", "{path}");
    }
}

#[tokio::test]
async fn readiness_follows_the_database() {
    let app = TestApp::builder().without_workers().set("database.acquire_timeout_ms", 1_000).start().await;
    let ready = async || {
        let response = get(&app, "/readyz").await;
        let status = response.status().as_u16();
        (status, response.json::<Json>().await.expect("the answer is JSON"))
    };
    let a_worker_elsewhere = "INSERT INTO workers (id, host, pid, version, slots, seen_at)
        VALUES (gen_random_uuid(), 'elsewhere', 1, '1', '{}', now() + interval '1 hour')";
    app.database.execute(a_worker_elsewhere).await;
    let (status, report) = ready().await;
    assert_eq!((status, &report["status"]), (200, &json!("healthy")), "{report}");
    let probes: Vec<_> = report["probes"].as_array().expect("probes").iter().map(|probe| &probe["name"]).collect();
    for expected in ["database", "migrations", "queues", "workers", "model test/words"] {
        assert!(probes.contains(&&json!(expected)), "{report}");
    }

    app.database.set_reachable(false).await;
    let (status, report) = ready().await;
    assert_eq!((status, &report["status"]), (503, &json!("unhealthy")), "{report}");
    assert!(!report.to_string().contains("FATAL"), "{report}");
    assert_eq!(get(&app, "/health").await.status().as_u16(), 200);

    app.database.set_reachable(true).await;
    // Connections that broke are noticed one by one.
    until("the process to be ready again", async || (ready().await.0 == 200).then_some(())).await;
}

#[tokio::test]
async fn a_database_that_is_gone_is_told_as_unavailable_and_not_as_our_fault() {
    let app = TestApp::builder().without_workers().start().await;
    app.app.store.close().await;
    let error = app.refusal("{ collections { totalCount } }", json!({})).await;
    assert_eq!((&error["code"], &error["path"][0]), (&json!("UNAVAILABLE"), &json!("collections")), "{error}");
}

#[tokio::test]
async fn the_page_and_all_it_loads_come_from_this_server_alone() {
    let app = TestApp::builder().without_workers().start().await;
    let response = get(&app, "/").await;
    assert_eq!(response.status().as_u16(), 200);
    assert!(response.headers()["content-security-policy"].to_str().expect("text").starts_with("default-src 'none'"));
    let page = response.text().await.expect("text");
    assert!(page.contains("graphiql.min.js"), "{page}");
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("\"//"), "{page}");
    let links = page.split("=\"").skip(1).filter_map(|rest| rest.split('"').next());
    let files: Vec<_> = links.filter(|link| link.ends_with(".js") || link.ends_with(".css")).collect();
    assert!(files.len() >= 5, "{files:?}");
    for file in files {
        assert_eq!(get(&app, &format!("/{file}")).await.status().as_u16(), 200, "{file}");
    }
    assert_eq!(get(&app, "/nothing").await.status().as_u16(), 404);
}

/// The program over a test's database; killed with the test.
struct Program(Child, #[expect(dead_code, reason = "removed when dropped")] tempfile::TempDir);

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts it, waits until it is ready, and gives its address.
async fn program(app: &TestApp) -> (Program, String) {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let log = dir.path().join("log");
    let child = Command::new(env!("CARGO_BIN_EXE_vectorforge"))
        .arg("serve")
        .current_dir(dir.path())
        .env_clear()
        .env("DATABASE_URL", &app.database.url)
        .env("VECTORFORGE_DATA_DIR", dir.path())
        .env("VECTORFORGE_RUNTIME_DIR", Path::new(env!("CARGO_MANIFEST_DIR")).join(".runtime"))
        .env("VECTORFORGE_HTTP__PORT", port.to_string())
        .stdin(Stdio::null())
        .stderr(fs::File::create(&log).expect("a file"))
        .spawn()
        .expect("the program starts");
    let mut program = Program(child, dir);
    until("the program to be ready", async || {
        let said = fs::read_to_string(&log).expect("UTF-8");
        assert!(program.0.try_wait().expect("our child").is_none(), "it ended: {said}");
        said.contains("ready: http").then_some(())
    })
    .await;
    (program, format!("127.0.0.1:{port}"))
}

/// The value of a series in Prometheus's text format.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.trim().parse().ok())
}

#[tokio::test]
async fn metrics_tell_what_happened_and_queues_are_told_while_they_are_empty() {
    let mut app = TestApp::builder().without_workers().start().await;
    let (_program, address) = program(&app).await;
    app.address = address;
    let scrape = async || get(&app, "/metrics").await.text().await.expect("text");
    let metrics = until("the queues to be counted", async || {
        Some(scrape().await).filter(|metrics| metrics.contains("vectorforge_jobs{"))
    })
    .await;
    for queue in vectorforge::queue::NAMES {
        for state in ["SCHEDULED", "PENDING", "RUNNING", "RETRYING", "DEAD"] {
            let series = format!("vectorforge_jobs{{queue=\"{queue}\",state=\"{state}\"}}");
            assert_eq!(value(&metrics, &series), Some(0.0), "{series} in {metrics}");
        }
        let oldest = format!("vectorforge_job_oldest_pending_seconds{{queue=\"{queue}\"}}");
        assert_eq!(value(&metrics, &oldest), Some(0.0), "{oldest} in {metrics}");
    }

    let own = json!({ "name": "docs", "embedding": { "dimensions": 2 } });
    let collection = app.collection_with(own).await;
    let chunks = json!([{ "text": "a", "vector": [1, 0] }, { "text": "b", "vector": [0, 1] }]);
    let payload = app.ingest(&collection, json!([{ "source": { "chunks": chunks } }])).await;
    app.progress(&id(&payload["run"]), None).await;
    app.search_with(json!({ "collectionId": collection, "query": { "vector": [1, 0] } })).await;
    app.refusal("{ collections(first: 0) { totalCount } }", json!({})).await;
    get(&app, "/no/such/path").await;
    let metrics = until("the job to be counted", async || {
        Some(scrape().await).filter(|metrics| metrics.contains("vectorforge_job_attempts_total{"))
    })
    .await;
    for (series, expected) in [
        ("vectorforge_http_requests_total{route=\"/graphql\",method=\"POST\",status=\"200\"}", 4.0),
        ("vectorforge_http_requests_total{route=\"none\",method=\"GET\",status=\"404\"}", 1.0),
        ("vectorforge_graphql_requests_total{outcome=\"BAD_USER_INPUT\"}", 1.0),
        ("vectorforge_graphql_field_duration_seconds_count{operation=\"Query\",field=\"search\"}", 1.0),
        ("vectorforge_search_requests_total{outcome=\"OK\"}", 1.0),
        ("vectorforge_search_duration_seconds_count", 1.0),
        ("vectorforge_search_stage_duration_seconds_count{stage=\"dense\"}", 1.0),
        ("vectorforge_ingest_documents_total{outcome=\"indexed\"}", 1.0),
        ("vectorforge_ingest_chunks_total", 2.0),
        ("vectorforge_ingest_stage_duration_seconds_count{stage=\"write\"}", 1.0),
        ("vectorforge_job_attempts_total{kind=\"ingest_document\",outcome=\"OK\"}", 1.0),
        ("vectorforge_job_duration_seconds_count{kind=\"ingest_document\"}", 1.0),
    ] {
        assert_eq!(value(&metrics, series), Some(expected), "{series} in {metrics}");
    }
    for series in
        ["vectorforge_database_connections{state=\"idle\"}", "vectorforge_database_connections{state=\"active\"}"]
    {
        assert!(value(&metrics, series).is_some(), "{series} in {metrics}");
    }

    let texts = app.collection("texts").await;
    let payload = app.ingest(&texts, json!([{ "source": { "text": "word word" } }])).await;
    app.progress(&id(&payload["run"]), None).await;
    app.search(&texts, &"word ".repeat(300)).await;
    let metrics = scrape().await;
    for (series, expected) in [
        ("tokens_total{model=\"local/all-MiniLM-L6-v2\",purpose=\"document\"}", 4.0),
        ("tokens_total{model=\"local/all-MiniLM-L6-v2\",purpose=\"query\"}", 256.0),
        ("texts_total{model=\"local/all-MiniLM-L6-v2\",purpose=\"document\"}", 1.0),
        ("texts_total{model=\"local/all-MiniLM-L6-v2\",purpose=\"query\"}", 1.0),
        ("truncated_texts_total{model=\"local/all-MiniLM-L6-v2\",purpose=\"document\"}", 0.0),
        ("truncated_texts_total{model=\"local/all-MiniLM-L6-v2\",purpose=\"query\"}", 1.0),
        ("waiting_texts{model=\"local/all-MiniLM-L6-v2\",lane=\"bulk\"}", 0.0),
        ("waiting_texts{model=\"local/all-MiniLM-L6-v2\",lane=\"query\"}", 0.0),
        ("wait_seconds_count{model=\"local/all-MiniLM-L6-v2\",lane=\"bulk\"}", 1.0),
        ("wait_seconds_count{model=\"local/all-MiniLM-L6-v2\",lane=\"query\"}", 1.0),
        ("pass_duration_seconds_count{model=\"local/all-MiniLM-L6-v2\",lane=\"bulk\"}", 1.0),
        ("pass_tokens_bucket{model=\"local/all-MiniLM-L6-v2\",lane=\"query\",le=\"128\"}", 0.0),
        ("pass_tokens_bucket{model=\"local/all-MiniLM-L6-v2\",lane=\"query\",le=\"256\"}", 1.0),
    ] {
        let series = format!("vectorforge_embedding_{series}");
        assert_eq!(value(&metrics, &series), Some(expected), "{series} in {metrics}");
    }
    assert_kept("metrics", &outline(&metrics), &[]);
}

/// Of each metric its help, its type and the labels of its series: what does not depend on what has happened.
fn outline(metrics: &str) -> String {
    let label = Regex::new("=\"[^\"]*\"").expect("a pattern");
    let series = |line: &str| match line.rsplit_once(' ') {
        Some((series, _)) if !line.starts_with('#') => label.replace_all(series, "").into_owned(),
        _ => line.to_owned(),
    };
    let told: BTreeSet<_> = metrics.lines().filter(|line| !line.is_empty()).map(series).collect();
    told.into_iter().collect::<Vec<_>>().join("\n")
}
