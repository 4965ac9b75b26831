//! `ingest` from files to summary.

use std::fs;
use std::future;
use std::time::Duration;

use tempfile::TempDir;

use super::fake::Fake;
use crate::error::ClientError;
use crate::ingest::{IngestOptions, Ingested, Tuning, ingest_until};
use crate::retry::Retry;
use crate::{ServerOptions, Summary};

/// Does not wait for what a test has arranged.
const QUICK: Tuning = Tuning {
    limits: Tuning::DEFAULT.limits,
    retry: Retry { attempts: 3, base: Duration::from_millis(1), max: Duration::from_millis(1) },
};

const UNAVAILABLE: (&str, &str) = ("UNAVAILABLE", "could not read; try again later");
const STORAGE_FULL: (&str, &str) = ("STORAGE_FULL", "the disk is full");

fn batches_of(documents: usize) -> Tuning {
    let mut tuning = QUICK;
    tuning.limits.documents = documents;
    tuning
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn options(server: ServerOptions, folder: &TempDir) -> IngestOptions {
    IngestOptions {
        paths: vec![folder.path().to_owned()],
        collection: "docs".to_owned(),
        create: true,
        prune: false,
        server,
    }
}

async fn ingest_with(fake: &Fake, folder: &TempDir, tuning: Tuning) -> Result<Ingested, ClientError> {
    ingest_until(options(fake.options(), folder), tuning, future::pending()).await
}

async fn ingest(fake: &Fake, folder: &TempDir) -> Summary {
    ended_well(ingest_with(fake, folder, QUICK).await)
}

fn ended_well(ingested: Result<Ingested, ClientError>) -> Summary {
    let ingested = ingested.unwrap();
    ingested.end.unwrap();
    ingested.summary
}

#[tokio::test]
async fn new_files_are_accepted_followed_and_counted() {
    let fake = Fake::start().await;
    let folder = folder(&[("a.md", "# A"), ("b.txt", "B"), ("c.html", "<p>C"), ("d.png", "D")]);
    let summary = ingest(&fake, &folder).await;
    assert!(summary.is_success());
    let counts = (summary.found, summary.accepted, summary.indexed(), summary.skipped.count());
    assert_eq!(counts, (3, 3, 3, 1));
    assert_eq!(summary.chunks_embedded(), 6);
    assert_eq!(fake.state().batches, [["a.md", "b.txt", "c.html"]]);
    assert_eq!(fake.state().collections["docs"], "col_docs");
}

#[tokio::test]
async fn files_that_did_not_change_are_a_success_without_a_socket() {
    let fake = Fake::start().await;
    let folder = folder(&[("a.md", "A"), ("b.md", "B")]);
    ingest(&fake, &folder).await;
    let summary = ingest(&fake, &folder).await;
    assert!(summary.is_success());
    assert_eq!((summary.unchanged, summary.accepted), (2, 0));
    assert_eq!(fake.state().sockets, 1, "the first ingest's only");
}

#[tokio::test]
async fn a_changed_file_is_replaced() {
    let fake = Fake::start().await;
    let folder = folder(&[("a.md", "A"), ("b.md", "B")]);
    ingest(&fake, &folder).await;
    fs::write(folder.path().join("b.md"), "other").unwrap();
    let summary = ingest(&fake, &folder).await;
    assert!(summary.is_success());
    assert_eq!((summary.unchanged, summary.replaced), (1, 1));
}

#[tokio::test]
async fn a_dropped_socket_is_made_again_and_goes_on_after_the_last_event() {
    let fake = Fake::start().await;
    fake.state().drop_after = Some(2);
    let folder = folder(&[("a.md", "A"), ("b.md", "B"), ("c.md", "C")]);
    let summary = ingest(&fake, &folder).await;
    assert!(summary.is_success());
    assert_eq!(summary.indexed(), 3);
    assert_eq!(fake.state().sockets, 2);
    assert_eq!(fake.state().afters, [None, Some("2".to_owned())]);
}

#[tokio::test]
async fn a_server_that_never_holds_a_socket_is_given_up() {
    let fake = Fake::start().await;
    fake.state().drop_always = true;
    let folder = folder(&[("a.md", "A")]);
    let error = ingest_with(&fake, &folder, QUICK).await.unwrap().end.unwrap_err();
    assert!(matches!(error, ClientError::Lost { .. }), "{error:?}");
    assert_eq!(fake.state().sockets, 4, "the first and three more");
}

#[tokio::test]
async fn refused_documents_are_told_by_file_and_the_rest_of_the_batch_is_taken() {
    let fake = Fake::start().await;
    let folder = folder(&[("a.md", "A"), ("b.md", ""), ("c.md", "C"), ("d.md", " "), ("e.md", "E")]);
    let summary = ingest(&fake, &folder).await;
    assert!(!summary.is_success());
    assert_eq!((summary.accepted, summary.failed(), summary.indexed()), (3, 2, 3));
    assert_eq!(fake.state().batches, [["a.md", "c.md", "e.md"]]);
    let lines: Vec<_> = summary.failures.iter().map(ToString::to_string).collect();
    assert!(lines[0].ends_with("b.md: got text that is blank (BAD_USER_INPUT)"), "{lines:?}");
    assert!(lines[1].ends_with("d.md: got text that is blank (BAD_USER_INPUT)"), "{lines:?}");
}

#[tokio::test]
async fn a_document_that_fails_at_the_server_is_no_success_and_is_told_without_escapes() {
    let fake = Fake::start().await;
    let folder = folder(&[("good.md", "good"), ("bad 1.md", "poison")]);
    let summary = ingest(&fake, &folder).await;
    assert!(!summary.is_success());
    assert_eq!((summary.failed(), summary.indexed()), (1, 1));
    let line = summary.failures[0].to_string();
    assert!(line.ends_with("/bad 1.md: could not[2J read it (INTERNAL)"), "{line}");
}

#[tokio::test]
async fn a_file_that_is_no_text_fails_and_the_others_go_on() {
    let fake = Fake::start().await;
    let folder = folder(&[("a.md", "A")]);
    fs::write(folder.path().join("b.md"), b"\xff\xfe").unwrap();
    let summary = ingest(&fake, &folder).await;
    assert!(!summary.is_success());
    assert_eq!((summary.failed(), summary.indexed()), (1, 1));
}

#[tokio::test]
async fn a_batch_that_is_too_large_for_the_server_goes_in_parts_and_in_order() {
    let fake = Fake::start().await;
    fake.state().documents_limit = Some(2);
    let folder = folder(&[("a.md", "A"), ("b.md", "B"), ("c.md", "C"), ("d.md", "D"), ("e.md", "E")]);
    let summary = ingest(&fake, &folder).await;
    assert!(summary.is_success());
    assert_eq!(fake.state().batches, [vec!["a.md", "b.md"], vec!["c.md"], vec!["d.md", "e.md"]]);
}

#[tokio::test]
async fn no_more_than_four_runs_are_open_at_once() {
    let fake = Fake::start_holding(4).await;
    let names: Vec<_> = (0..9).map(|index| format!("{index}.md")).collect();
    let files: Vec<_> = names.iter().map(|name| (name.as_str(), "text")).collect();
    let folder = folder(&files);
    let summary = ended_well(ingest_with(&fake, &folder, batches_of(1)).await);
    assert!(summary.is_success());
    assert_eq!(fake.state().batches.len(), 9);
    assert_eq!(fake.state().most_open, 4);
    assert_eq!(fake.state().sockets, 1);
}

#[tokio::test]
async fn a_server_that_is_unavailable_or_has_no_room_for_a_moment_is_asked_again() {
    for refusal in [UNAVAILABLE, STORAGE_FULL] {
        let fake = Fake::start().await;
        (fake.state().refusals, fake.state().refusal) = (2, refusal);
        let folder = folder(&[("a.md", "A")]);
        assert!(ingest(&fake, &folder).await.is_success());
        assert_eq!(fake.state().refusals, 0);
    }
}

#[tokio::test]
async fn a_server_that_stays_unavailable_is_an_error_with_its_code() {
    for (refusal, sentence) in [
        (UNAVAILABLE, "the server answers: could not read; try again later (UNAVAILABLE)"),
        (STORAGE_FULL, "the server answers: the disk is full (STORAGE_FULL)"),
    ] {
        let fake = Fake::start().await;
        (fake.state().refusals, fake.state().refusal) = (usize::MAX, refusal);
        let folder = folder(&[("a.md", "A")]);
        let error = ingest_with(&fake, &folder, QUICK).await.unwrap().end.unwrap_err();
        assert_eq!(error.to_string(), sentence);
        assert_eq!(fake.state().refusals, usize::MAX - 4, "the first try and three more");
    }
}

#[tokio::test]
async fn an_interruption_tells_what_goes_on_and_how_to_look() {
    let fake = Fake::start_holding(usize::MAX).await;
    let folder = folder(&[("a.md", "A"), ("b.md", "B"), ("c.md", "C")]);
    let interrupt = fake.wait_for_subscriptions(2);
    let ingested = ingest_until(options(fake.options(), &folder), batches_of(1), interrupt).await.unwrap();
    let sentence = ingested.end.unwrap_err().to_string();
    assert!(sentence.starts_with("interrupted: the server goes on with "), "{sentence}");
    assert!(sentence.contains("ingestProgress(runId: \"run_1\")"), "{sentence}");
    assert!(!ingested.summary.is_success());
}

#[tokio::test]
async fn without_a_server_the_error_says_how_to_start_one() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let server = ServerOptions { url: format!("http://{address}").parse().unwrap() };
    let folder = folder(&[("a.md", "A")]);
    let error = ingest_until(options(server, &folder), QUICK, future::pending()).await.unwrap_err();
    let expected = format!("no server answers at http://{address}: start one with `vectorforge serve`, or give --url");
    assert_eq!(error.to_string(), expected);
}

#[tokio::test]
async fn a_collection_is_made_only_where_it_is_asked_for_and_a_slip_is_told() {
    let fake = Fake::start().await;
    for name in ["notes", "name"] {
        fake.state().collections.insert(name.to_owned(), format!("col_{name}"));
    }
    let folder = folder(&[("a.md", "A")]);
    let known = "there are \"name\", \"notes\"; to make a new one, `vectorforge ingest` takes --create";
    let near = "did you mean \"name\"? Otherwise, to make a new one, `vectorforge ingest` takes --create";
    for (collection, advice) in [("invoices", known), ("nmae", near)] {
        let collection = collection.to_owned();
        let options = IngestOptions { create: false, collection, ..options(fake.options(), &folder) };
        let name = options.collection.clone();
        let error = ingest_until(options, QUICK, future::pending()).await.unwrap_err();
        assert_eq!(error.to_string(), format!("no collection {name:?} at {}: {advice}", fake.url));
    }
    assert_eq!(fake.state().collections.len(), 2);
    assert!(fake.state().batches.is_empty());
}

/// Ingests with `--prune`.
async fn pruned(fake: &Fake, folder: &TempDir) -> Result<Ingested, ClientError> {
    let options = IngestOptions { prune: true, ..options(fake.options(), folder) };
    ingest_until(options, QUICK, future::pending()).await
}

#[tokio::test]
async fn documents_of_files_that_have_gone_from_the_folder_are_pruned_and_counted() {
    let fake = Fake::start().await;
    let folder = folder(&[("a.md", "A"), ("b.md", "B"), ("Makefile", "all:")]);
    let named = IngestOptions { paths: vec![folder.path().join("Makefile")], ..options(fake.options(), &folder) };
    ended_well(ingest_until(named, QUICK, future::pending()).await);
    ingest(&fake, &folder).await;
    for foreign in ["https://example.org/b.md", "file:///elsewhere/b.md", "b.md"] {
        fake.state().documents.insert(foreign.to_owned(), String::new());
    }
    fs::remove_file(folder.path().join("b.md")).unwrap();
    assert_eq!(ingest(&fake, &folder).await.pruned, 0, "not without --prune");
    let summary = ended_well(pruned(&fake, &folder).await);
    assert!(summary.is_success());
    assert_eq!(summary.pruned, 1);
    assert!(summary.to_string().contains("pruned     1\n"), "{summary}");
    let left: Vec<_> = fake.state().documents.keys().cloned().collect();
    assert!(!left.iter().any(|uri| uri.ends_with("/b.md") && uri.contains("/tmp")), "{left:?}");
    assert_eq!(left.len(), 5, "what was skipped, and what is from elsewhere, stays: {left:?}");
}

#[tokio::test]
async fn a_folder_that_is_empty_or_was_not_read_in_whole_is_not_pruned() {
    let fake = Fake::start().await;
    let folder = folder(&[("a.md", "A")]);
    ingest(&fake, &folder).await;
    fs::remove_file(folder.path().join("a.md")).unwrap();
    let error = pruned(&fake, &folder).await.unwrap_err().to_string();
    assert!(error.ends_with("nothing was pruned either: a folder that is not mounted looks the same"), "{error}");
    assert_eq!(fake.state().documents.len(), 1);

    fs::write(folder.path().join("b.md"), "B").unwrap();
    let file =
        IngestOptions { prune: true, paths: vec![folder.path().join("b.md")], ..options(fake.options(), &folder) };
    let error = ingest_until(file, QUICK, future::pending()).await.unwrap_err().to_string();
    assert_eq!(error, "nothing was pruned: --prune needs a folder, and only files were named");
    assert_eq!(fake.state().documents.len(), 1);
}

#[tokio::test]
async fn a_pdf_that_is_named_is_told_as_one_and_not_sent() {
    let fake = Fake::start().await;
    let folder = folder(&[("paper", "%PDF-1.7\n1 0 obj\n"), ("notes.md", "%PDF-1.4\n")]);
    let paths = vec![folder.path().join("paper"), folder.path().join("notes.md")];
    let named = IngestOptions { paths, ..options(fake.options(), &folder) };
    let summary = ended_well(ingest_until(named, QUICK, future::pending()).await);
    assert_eq!((summary.failed(), summary.indexed()), (2, 0));
    for failure in &summary.failures {
        assert_eq!(failure.code.as_deref(), Some("UNSUPPORTED_CONTENT_TYPE"));
        assert!(failure.message.starts_with("is a PDF document, which no loader reads"), "{failure}");
    }
    assert!(fake.state().batches.is_empty());
}
