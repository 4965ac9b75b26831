//! Documents that have gone from a scheduled source: deleted where the schedule says so, and only those.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering::SeqCst};

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value as Json, json};

use super::{create, input, run_to_end, told, with_directory};
use crate::support::TestApp;

const NAMES: &str = "SELECT regexp_replace(source_uri, '.*/', '') FROM documents ORDER BY source_uri";

/// An input whose source is pruned.
fn pruning(collection: &str, source: Json) -> Json {
    let mut input = input("pruned", collection, source);
    input["job"]["ingestSource"]["prune"] = json!(true);
    input
}

/// Counts of the schedule's last job.
async fn counts(app: &TestApp, schedule: &Json) -> (Json, Json, Json) {
    let mut report = told(app, schedule).await["lastJob"]["sourceReport"].take();
    (report["outcome"].take(), report["unchanged"].take(), report["pruned"].take())
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_have_gone_from_the_directory_are_pruned_and_nothing_else() {
    let (directory, builder) = with_directory();
    let app = builder.start().await;
    let notes = directory.path().join("notes");
    fs::create_dir_all(notes.join("deep")).expect("a directory");
    for name in ["a.md", "b.md", "deep/c.md"] {
        fs::write(notes.join(name), name).expect("a file");
    }
    let (collection, other) = (app.collection("notes").await, app.collection("other").await);
    let root = fs::canonicalize(&notes).expect("there");
    let uri = |path: &str| format!("file://{}/{path}", root.display());
    // Skipped by the walk, though it is there; beside the directory; from elsewhere; another collection's.
    fs::write(notes.join("Makefile"), "all:").expect("a file");
    let document = |uri: String| json!({ "source": { "text": uri }, "sourceUri": uri });
    let foreign = ["Makefile", "../notes-of-others/x.md", "../x.md"].map(|path| document(uri(path)));
    app.ingest_to_end(&collection, json!(foreign)).await;
    app.ingest_to_end(&collection, json!([document("https://example.org/a.md".to_owned())])).await;
    app.ingest_to_end(&other, json!([document(uri("b.md"))])).await;

    let schedule = create(&app, pruning(&collection, json!({ "directory": notes }))).await;
    assert_eq!(schedule["payload"]["prune"], true);
    run_to_end(&app, &schedule).await;
    assert_eq!(counts(&app, &schedule).await, (json!("COMPLETE"), json!(0), json!(0)));
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 8);

    fs::remove_file(notes.join("b.md")).expect("removed");
    fs::remove_dir_all(notes.join("deep")).expect("removed");
    run_to_end(&app, &schedule).await;
    assert_eq!(counts(&app, &schedule).await, (json!("COMPLETE"), json!(1), json!(2)));
    assert_eq!(app.database.texts(NAMES).await, ["x.md", "x.md", "Makefile", "a.md", "b.md", "a.md"]);
    let hits = app.search(&collection, "b.md").await;
    let found = hits["hits"].as_array().expect("hits").iter().map(|hit| &hit["chunk"]["text"]);
    assert!(found.clone().all(|text| text != "b.md"), "{hits}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_without_any_file_is_not_pruned_and_told_as_a_failure() {
    let (directory, builder) = with_directory();
    let app = builder.start().await;
    fs::write(directory.path().join("a.md"), "a").expect("a file");
    let collection = app.collection("notes").await;
    let schedule = create(&app, pruning(&collection, json!({ "directory": directory.path() }))).await;
    run_to_end(&app, &schedule).await;
    fs::remove_file(directory.path().join("a.md")).expect("removed");
    run_to_end(&app, &schedule).await;
    let told = told(&app, &schedule).await;
    assert_eq!(told["error"]["code"], "SOURCE_INCOMPLETE", "{told}");
    assert!(told["error"]["message"].as_str().expect("a message").contains("nothing was pruned"), "{told}");
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nothing_is_pruned() {
    let (directory, builder) = with_directory();
    let app = builder.start().await;
    for name in ["a.md", "b.md"] {
        fs::write(directory.path().join(name), name).expect("a file");
    }
    let collection = app.collection("notes").await;
    let schedule = create(&app, input("kept", &collection, json!({ "directory": directory.path() }))).await;
    run_to_end(&app, &schedule).await;
    fs::remove_file(directory.path().join("b.md")).expect("removed");
    run_to_end(&app, &schedule).await;
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_answers_404_or_410_is_pruned_and_one_with_another_fault_is_not() {
    let statuses: [Arc<AtomicU16>; 4] = Default::default();
    let mut router = Router::new();
    for (n, status) in statuses.iter().enumerate() {
        status.store(200, SeqCst);
        let status = status.clone();
        let answer = move || async move { (StatusCode::from_u16(status.load(SeqCst)).expect("a status"), "a page") };
        router = router.route(&format!("/{n}"), get(answer));
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, router).await });
    let app = TestApp::builder().set("source.allow_private_addresses", true).start().await;
    let collection = app.collection("web").await;
    let urls: Vec<_> = (0..4).map(|n| format!("http://{address}/{n}")).collect();
    let schedule = create(&app, pruning(&collection, json!({ "urls": urls }))).await;
    run_to_end(&app, &schedule).await;
    assert_eq!(app.database.texts(NAMES).await, ["0", "1", "2", "3"]);

    for (status, now) in statuses.iter().zip([404, 410, 403, 200]) {
        status.store(now, SeqCst);
    }
    run_to_end(&app, &schedule).await;
    assert_eq!(counts(&app, &schedule).await, (json!("PARTIAL"), json!(1), json!(2)));
    assert_eq!(app.database.texts(NAMES).await, ["2", "3"]);
}
