//! What a scheduled source brings: directories and web pages, from the firing to the search.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::Router;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use super::{create, input, result, run_to_end, told, with_directory};
use crate::support::{TestApp, until};

const STATUSES: &str = "SELECT status || ' ' || version || ' ' || regexp_replace(source_uri, '.*/', '')
    FROM documents ORDER BY source_uri";

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_taken_in_when_due_and_later_only_what_changed() {
    let (directory, builder) = with_directory();
    let app = builder.start().await;
    fs::create_dir(directory.path().join("deep")).expect("a directory");
    for (name, content) in [
        ("a.md", &b"# Backups\n\nEvery night the cluster is dumped to the vault."[..]),
        ("deep/b.txt", b"The machine on the second floor wants descaling."),
        ("bad.txt", b"\xff\xfe"),
        ("photo.png", b"not wanted"),
        (".hidden.md", b"# hidden"),
    ] {
        fs::write(directory.path().join(name), content).expect("a file");
    }
    let collection = app.collection("notes").await;
    let schedule = create(&app, input("notes", &collection, json!({ "directory": directory.path() }))).await;
    app.database.execute("UPDATE schedules SET next_run_at = now() WHERE tenant_id IS NOT NULL").await;
    let jobs = "SELECT count(*) FROM jobs";
    until("the jobs of both documents", async || (app.database.number(jobs).await == 3).then_some(())).await;
    app.drain().await;
    assert_eq!(app.database.texts(STATUSES).await, ["INDEXED 1 a.md", "INDEXED 1 b.txt"]);
    let first = result(&app).await;
    assert_eq!((&first["accepted"], &first["failed"]), (&json!(2), &json!(1)), "{first}");
    assert!(first["failures"][0]["uri"].as_str().expect("told").ends_with("/bad.txt"), "{first}");
    assert_eq!(first["failures"][0]["code"], "BAD_USER_INPUT");
    let error = told(&app, &schedule).await["error"].take();
    let bad = fs::canonicalize(directory.path().join("bad.txt")).expect("there");
    let message = format!(
        "1 of 3 could not be taken in; the first: {}: got invalid UTF-8 at byte 0, expected text in UTF-8 that is not blank (BAD_USER_INPUT)",
        bad.display()
    );
    assert_eq!(error, json!({ "code": "SOURCE_INCOMPLETE", "message": message }));
    let hits = app.search(&collection, "cluster vault").await;
    assert_eq!(hits["hits"][0]["chunk"]["document"]["title"], "Backups");

    fs::write(directory.path().join("deep/b.txt"), "It was descaled.").expect("a file");
    let job = run_to_end(&app, &schedule).await;
    assert_eq!(job["kind"], "ingest_source");
    let second = result(&app).await;
    assert_eq!((&second["replaced"], &second["unchanged"]), (&json!(1), &json!(1)), "{second}");
    assert_eq!(app.database.texts(STATUSES).await, ["INDEXED 1 a.md", "INDEXED 2 b.txt"]);

    let runs = "SELECT count(*) FROM ingestion_runs";
    let before = app.database.number(runs).await;
    run_to_end(&app, &schedule).await;
    let third = result(&app).await;
    assert_eq!((&third["unchanged"], &third["runs"]), (&json!(2), &json!([])), "{third}");
    assert_eq!(app.database.number(runs).await, before, "what brings nothing new leaves no run");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_has_gone_or_is_not_allowed_any_more_ends_the_job_with_its_reason() {
    let (directory, builder) = with_directory();
    let app = builder.start().await;
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).expect("a directory");
    let collection = app.collection("notes").await;
    let schedule = create(&app, input("notes", &collection, json!({ "directory": inner }))).await;
    fs::remove_dir(&inner).expect("removed");
    run_to_end(&app, &schedule).await;
    let ended = "SELECT concat_ws(' ', state, attempts, error_code, stage) FROM jobs";
    assert_eq!(app.database.texts(ended).await, ["DEAD 1 BAD_USER_INPUT list"]);
    let message =
        format!("source.directory: got {0}, expected a directory to read: {0} does not exist", inner.display());
    let error = json!({ "code": "BAD_USER_INPUT", "message": message });
    assert_eq!(told(&app, &schedule).await["error"], error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_in_which_no_file_can_be_loaded_is_a_failure_that_names_its_files() {
    let (directory, builder) = with_directory();
    let app = builder.start().await;
    for name in ["a.pdf", "b.docx", "c.png", "d.xlsx", "e.pdf", "f.pdf"] {
        fs::write(directory.path().join(name), "not text").expect("a file");
    }
    let collection = app.collection("notes").await;
    let schedule = create(&app, input("notes", &collection, json!({ "directory": directory.path() }))).await;
    run_to_end(&app, &schedule).await;
    let failed = told(&app, &schedule).await;
    let job = &failed["lastJob"];
    assert_eq!((&job["state"], &job["error"]), (&json!("DEAD"), &failed["error"]), "{failed}");
    let shown = |name: &str| fs::canonicalize(directory.path().join(name)).expect("there").display().to_string();
    let message = format!(
        "6 of 6 could not be taken in; the first: {}: got an extension that no loader knows, expected one of text/plain, text/markdown, text/html, in UTF-8 (UNSUPPORTED_CONTENT_TYPE); and {}, {}, {} and 2 more",
        shown("a.pdf"),
        shown("b.docx"),
        shown("c.png"),
        shown("d.xlsx"),
    );
    assert_eq!(failed["error"], json!({ "code": "SOURCE_INCOMPLETE", "message": message }));
    let report = &job["sourceReport"];
    let counts = (&report["outcome"], &report["found"], &report["failed"]);
    assert_eq!(counts, (&json!("FAILED"), &json!(0), &json!(6)));
    let told = report["failures"].as_array().expect("told");
    let uris: Vec<_> = told.iter().map(|failure| failure["uri"].clone()).collect();
    assert_eq!(uris, ["a.pdf", "b.docx", "c.png", "d.xlsx", "e.pdf", "f.pdf"].map(shown));

    // One that can be loaded is what was wanted; the others are left out.
    fs::write(directory.path().join("a.md"), "text").expect("a file");
    run_to_end(&app, &schedule).await;
    let whole = super::told(&app, &schedule).await;
    assert_eq!((&whole["error"], &whole["lastJob"]["sourceReport"]["outcome"]), (&json!(null), &json!("COMPLETE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_whose_name_is_no_text_is_taken_in_as_any_other() {
    let (directory, builder) = with_directory();
    let app = builder.start().await;
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9.md");
    fs::write(directory.path().join(name), "text").expect("a file");
    let collection = app.collection("notes").await;
    let schedule = create(&app, input("notes", &collection, json!({ "directory": directory.path() }))).await;
    for accepted in [1, 0] {
        run_to_end(&app, &schedule).await;
        let whole = told(&app, &schedule).await;
        let report = &whole["lastJob"]["sourceReport"];
        assert_eq!((&report["outcome"], &report["accepted"]), (&json!("COMPLETE"), &json!(accepted)), "{whole}");
    }
    assert_eq!(app.database.texts(STATUSES).await, ["INDEXED 1 caf%E9.md"]);
}

/// A web server of a few pages. Some answer only when asked again.
struct Site {
    url: String,
    flaky: Arc<AtomicUsize>,
    limited: Arc<AtomicUsize>,
    fine: Arc<AtomicUsize>,
}

/// Fails so many times first.
async fn after(failures: usize, asked: Arc<AtomicUsize>, fault: impl IntoResponse) -> axum::response::Response {
    match asked.fetch_add(1, SeqCst) {
        n if n < failures => fault.into_response(),
        _ => "It answers in the end.".into_response(),
    }
}

impl Site {
    async fn start() -> Self {
        let counter = Arc::<AtomicUsize>::default;
        let (flaky, limited, fine) = (counter(), counter(), counter());
        let (a, b, c) = (flaky.clone(), limited.clone(), fine.clone());
        let html = |text: &'static str| ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], text);
        let router = Router::new()
            .route("/fine", get(move || after(0, c.clone(), "")))
            .route("/page.html", get(move || async move { html("<title>Coffee</title><p>It wants descaling.</p>") }))
            .route("/picture", get(|| async { ([(header::CONTENT_TYPE, "image/png")], "x") }))
            .route("/latin", get(|| async { ([(header::CONTENT_TYPE, "text/plain")], &b"caf\xe9"[..]) }))
            .route("/lying.html", get(move || async move { html("%PDF-1.7\n1 0 obj\n<<>>\nendobj\n") }))
            .route("/410", get(|| async { StatusCode::GONE }))
            .route("/large", get(|| async { "x".repeat(5_000) }))
            .route("/flaky", get(move || after(1, a.clone(), StatusCode::INTERNAL_SERVER_ERROR)))
            .route(
                "/limited",
                get(move || after(1, b.clone(), (StatusCode::TOO_MANY_REQUESTS, [(header::RETRY_AFTER, "1")]))),
            )
            .route("/busy", get(|| async { StatusCode::TOO_MANY_REQUESTS }))
            .route("/broken", get(|| async { StatusCode::BAD_GATEWAY }));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { url, flaky, limited, fine }
    }

    fn urls(&self, paths: &[&str]) -> serde_json::Value {
        json!({ "urls": paths.iter().map(|path| format!("{}{path}", self.url)).collect::<Vec<_>>() })
    }
}

async fn app() -> TestApp {
    let builder = TestApp::builder().set("source.allow_private_addresses", true);
    builder.set("ingest.document_limit_bytes", 4_000).set("queue.max_attempts", 3).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_that_cannot_be_had_are_told_and_fail_no_others() {
    let (app, site) = (app().await, Site::start().await);
    let collection = app.collection("web").await;
    let urls = site.urls(&["/page.html", "/gone", "/picture", "/latin", "/large", "/fine", "/lying.html"]);
    let schedule = create(&app, input("web", &collection, urls)).await;
    run_to_end(&app, &schedule).await;
    let result = result(&app).await;
    let codes: Vec<_> = result["failures"]
        .as_array()
        .expect("told")
        .iter()
        .map(|failure| {
            let uri = failure["uri"].as_str().expect("a URL").rsplit('/').next().expect("a path").to_owned();
            (uri, failure["code"].as_str().expect("a code").to_owned())
        })
        .collect();
    let expected = [
        ("gone", "NOT_FOUND"),
        ("picture", "UNSUPPORTED_CONTENT_TYPE"),
        ("latin", "BAD_USER_INPUT"),
        ("large", "PAYLOAD_TOO_LARGE"),
        ("lying.html", "UNSUPPORTED_CONTENT_TYPE"),
    ];
    assert_eq!(codes, expected.map(|(uri, code)| (uri.to_owned(), code.to_owned())));
    assert_eq!((&result["accepted"], &result["failed"]), (&json!(2), &json!(5)));
    assert_eq!(app.database.texts(STATUSES).await, ["INDEXED 1 fine", "INDEXED 1 page.html"]);
    let job = "SELECT concat_ws(' ', state, attempts, provider) FROM jobs WHERE kind = 'ingest_source'";
    assert_eq!(app.database.texts(job).await, ["SUCCEEDED 1 http:127.0.0.1"]);

    let told = told(&app, &schedule).await;
    let message = told["error"]["message"].as_str().expect("a message");
    assert_eq!(told["error"]["code"], "SOURCE_INCOMPLETE");
    assert!(message.starts_with("5 of 7 could not be taken in; the first: "), "{message}");
    let report = &told["lastJob"]["sourceReport"];
    assert_eq!((&report["outcome"], &report["found"], &report["failed"]), (&json!("PARTIAL"), &json!(7), &json!(5)));
    assert_eq!(report["failures"], result["failures"], "each with URL, code and message");
    assert_eq!(
        report["failures"][4]["message"],
        "got a PDF document, expected one of text/plain, text/markdown, text/html, in UTF-8"
    );
    assert_eq!((&report["runs"][0]["state"], &report["runs"][0]["documentsTotal"]), (&json!("SUCCEEDED"), &json!(2)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_of_which_nothing_can_be_had_is_a_failure_of_job_and_schedule_until_it_can() {
    let (app, site) = (app().await, Site::start().await);
    let collection = app.collection("web").await;
    let schedule = create(&app, input("web", &collection, site.urls(&["/gone", "/410", "/picture"]))).await;
    run_to_end(&app, &schedule).await;
    let failed = told(&app, &schedule).await;
    let job = &failed["lastJob"];
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("DEAD"), &json!("SOURCE_INCOMPLETE")), "{failed}");
    assert_eq!(failed["error"], job["error"]);
    let message = job["error"]["message"].as_str().expect("a message");
    assert!(message.starts_with("3 of 3 could not be taken in; the first: ") && message.contains("404"), "{message}");
    let report = &job["sourceReport"];
    assert_eq!((&report["outcome"], &report["failed"]), (&json!("FAILED"), &json!(3)), "{report}");
    let codes: Vec<_> = (0..3).map(|n| report["failures"][n]["code"].as_str().expect("a code")).collect();
    assert_eq!(codes, ["NOT_FOUND", "NOT_FOUND", "UNSUPPORTED_CONTENT_TYPE"]);
    let first = "query($id: ID!, $first: Int!) { schedule(id: $id) { lastJob { sourceReport {
        failures(first: $first) { uri } } } } }";
    let one = app.data(first, json!({ "id": schedule["id"], "first": 1 })).await;
    let uri = &one["schedule"]["lastJob"]["sourceReport"]["failures"];
    assert_eq!(uri, &json!([{ "uri": format!("{}/gone", site.url) }]));
    for wrong in [0, 1_001] {
        let refusal = app.refusal(first, json!({ "id": schedule["id"], "first": wrong })).await;
        assert_eq!((&refusal["code"], &refusal["field"]), (&json!("BAD_USER_INPUT"), &json!("first")));
    }

    // Redriven it reads the source anew, and what its failed attempt told goes.
    let retry = "mutation($id: ID!) { retryJobs(input: { selection: { filter: { scheduleId: $id } } }) {
        changedCount } }";
    assert_eq!(app.data(retry, json!({ "id": schedule["id"] })).await["retryJobs"]["changedCount"], 1);
    app.drain().await;
    assert_eq!(told(&app, &schedule).await["lastJob"]["state"], "DEAD");

    let update = "mutation($input: UpdateScheduleInput!) { updateSchedule(input: $input) { schedule { id } } }";
    let mended = json!({ "ingestSource": { "collectionId": collection, "source": site.urls(&["/fine"]) } });
    app.data(update, json!({ "input": { "id": schedule["id"], "job": mended } })).await;
    run_to_end(&app, &schedule).await;
    let whole = told(&app, &schedule).await;
    assert_eq!((&whole["error"], &whole["lastJob"]["sourceReport"]["outcome"]), (&json!(null), &json!("COMPLETE")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_fails_for_now_is_incomplete_when_its_attempts_are_over_and_tells_which_urls_are_missing() {
    let (app, site) = (app().await, Site::start().await);
    let collection = app.collection("web").await;
    let ended =
        "SELECT concat_ws(' ', state, attempts) FROM jobs WHERE kind = 'ingest_source' ORDER BY id DESC LIMIT 1";
    // Another host beside the first one's: then no circuit waits for either.
    let elsewhere = site.url.replace("127.0.0.1", "localhost");
    for (name, paths, state, outcome, tried) in [
        ("part", &["/broken", "/fine"][..], "SUCCEEDED", "PARTIAL", "SUCCEEDED 3"),
        ("none", &["/broken"], "DEAD", "FAILED", "DEAD 3"),
        ("busy", &["/busy", "/gone"], "DEAD", "FAILED", "DEAD 3"),
    ] {
        let mut urls = site.urls(paths);
        if name == "busy" {
            urls["urls"].as_array_mut().expect("a list").push(json!(format!("{elsewhere}/gone")));
        }
        let schedule = create(&app, input(name, &collection, urls)).await;
        run_to_end(&app, &schedule).await;
        let told = told(&app, &schedule).await;
        let job = &told["lastJob"];
        assert_eq!((&told["error"]["code"], &job["state"]), (&json!("SOURCE_INCOMPLETE"), &json!(state)), "{told}");
        let url = format!("{}{}", site.url, paths[0]);
        assert!(told["error"]["message"].as_str().expect("a message").contains(&url), "{told}");
        let report = &job["sourceReport"];
        assert_eq!((&report["outcome"], &report["failures"][0]["uri"]), (&json!(outcome), &json!(url)), "{report}");
        let code = if name == "busy" { "RATE_LIMITED" } else { "UNAVAILABLE" };
        assert_eq!(report["failures"][0]["code"], code);
        assert_eq!(app.database.texts(ended).await, [tried], "transient faults are tried again first");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_fails_for_now_is_tried_again_after_the_others_were_taken_in() {
    let (app, site) = (app().await, Site::start().await);
    let collection = app.collection("web").await;
    let schedule = create(&app, input("web", &collection, site.urls(&["/flaky", "/fine"]))).await;
    run_to_end(&app, &schedule).await;
    let result = result(&app).await;
    assert_eq!((&result["accepted"], &result["unchanged"]), (&json!(1), &json!(1)), "{result}");
    assert_eq!((site.flaky.load(SeqCst), site.fine.load(SeqCst)), (2, 2));
    let job = "SELECT concat_ws(' ', state, attempts) FROM jobs WHERE kind = 'ingest_source'";
    assert_eq!(app.database.texts(job).await, ["SUCCEEDED 2"]);

    let broken = create(&app, input("broken", &collection, site.urls(&["/broken", "/page.html"]))).await;
    run_to_end(&app, &broken).await;
    let job = "SELECT concat_ws(' ', state, attempts, error_code) FROM jobs WHERE kind = 'ingest_source' ORDER BY id";
    assert_eq!(app.database.texts(job).await, ["SUCCEEDED 2", "SUCCEEDED 3"]);
    assert_eq!(app.database.number("SELECT count(*) FROM documents WHERE status = 'INDEXED'").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_for_patience_is_left_alone_and_costs_no_attempt() {
    let (app, site) = (app().await, Site::start().await);
    let collection = app.collection("web").await;
    let schedule = create(&app, input("web", &collection, site.urls(&["/limited"]))).await;
    run_to_end(&app, &schedule).await;
    assert_eq!(site.limited.load(SeqCst), 2);
    let job = "SELECT concat_ws(' ', state, attempts) FROM jobs WHERE kind = 'ingest_source'";
    assert_eq!(app.database.texts(job).await, ["SUCCEEDED 1"]);
    // The wait is the server's own: a second, where the pause before another attempt is at most 50 ms.
    let waited = "SELECT count(*) FROM job_events r JOIN job_events s ON s.job_id = r.job_id
        AND s.sequence > r.sequence AND s.kind = 'STARTED'
        WHERE r.kind = 'RETRYING' AND r.error_code = 'RATE_LIMITED' AND s.at >= r.at + interval '900 ms'";
    assert_eq!(app.database.number(waited).await, 1);
    assert_eq!(app.database.number("SELECT count(*) FROM circuits").await, 0, "it is closed again");
}
