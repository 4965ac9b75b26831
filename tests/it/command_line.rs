//! The command line as its users meet it: the real program against a running server.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tokio::process::Command;

use crate::embedded_server::pid;
use crate::process::vectorforge;
use crate::support::snapshot::assert_kept;
use crate::support::{TestApp, until};

/// What a command said and how it ended.
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ended {
    /// Compares all of it with the snapshot of this name: without how long it took, how far it was on the way, and the
    /// digits of a score that depend on the processor.
    fn is_kept_as(&self, name: &str) {
        let Self { code, out, err } = self;
        let redactions = [
            (r"seconds    [0-9.]+", "seconds    [time]"),
            (r"in [0-9]+ ms", "in [time] ms"),
            (r#""tookMs": [0-9.e-]+"#, r#""tookMs": [time]"#),
            (r"(?m)^[0-9]+/[0-9]+ documents, .*\n", ""),
            (r#"("score": [0-9]\.[0-9]{3})[0-9]+"#, "$1"),
        ];
        assert_kept(name, &format!("{out}--- standard error ---\n{err}--- exit code {code:?} ---\n"), &redactions);
    }
}

fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vectorforge"));
    command.args(arguments).env_clear().env("VECTORFORGE_URL", url).stdin(Stdio::null()).kill_on_drop(true);
    command
}

async fn run(url: &str, arguments: &[&str]) -> Ended {
    let output = command(url, arguments).output().await.expect("the program starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended { code: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

fn notes() -> (TempDir, String) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in [("a.md", "# Backups\n\nThe vault is in Reykjavik."), ("b.md", "Coffee wants descaling.")] {
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let path = folder.path().to_str().expect("UTF-8").to_owned();
    (folder, path)
}

async fn served() -> (TestApp, String) {
    let app = TestApp::start().await;
    let url = format!("http://{}", app.address);
    (app, url)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_ingested_into_a_new_collection_only_where_it_is_asked_for() {
    let (app, url) = served().await;
    let (_folder, path) = notes();
    let refused = run(&url, &["ingest", &path, "-c", "notes"]).await;
    assert_eq!(refused.code, Some(1));
    assert!(refused.err.contains("vectorforge ingest PATH --collection NAME --create"), "{}", refused.err);
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 0);

    let made = run(&url, &["ingest", &path, "-c", "notes", "--create"]).await;
    assert_eq!(made.code, Some(0), "{}", made.err);
    assert!(made.out.contains("accepted   2\n") && !made.out.contains("pruned"), "{}", made.out);

    for (typed, advice) in [
        ("ntoes", "no collection \"ntoes\" at "),
        ("ntoes", "did you mean \"notes\"? Otherwise, to make a new one, `vectorforge ingest` takes --create"),
        ("invoices", "there are \"notes\"; to make a new one"),
    ] {
        for arguments in [&["ingest", &path, "-c", typed][..], &["search", "vault", "-c", typed]] {
            let slip = run(&url, arguments).await;
            assert_eq!(slip.code, Some(1));
            assert!(slip.err.contains(advice), "{}", slip.err);
        }
    }
    assert_eq!(app.database.number("SELECT count(*) FROM collections").await, 1);
    let found = run(&url, &["search", "vault Reykjavik", "-c", " notes\n"]).await;
    assert!(found.out.contains("Backups"), "{} {}", found.out, found.err);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_gone_from_a_folder_is_found_until_it_is_pruned() {
    let (app, url) = served().await;
    let (folder, path) = notes();
    run(&url, &["ingest", &path, "-c", "notes", "--create"]).await;
    fs::remove_file(folder.path().join("b.md")).expect("removed");
    let kept = run(&url, &["ingest", &path, "-c", "notes"]).await;
    assert_eq!((kept.code, app.database.number("SELECT count(*) FROM documents").await), (Some(0), 2));
    let pruned = run(&url, &["ingest", &path, "-c", "notes", "--prune"]).await;
    assert_eq!(pruned.code, Some(0), "{}", pruned.err);
    assert!(pruned.out.contains("pruned     1\n"), "{}", pruned.out);
    assert_eq!(app.database.texts("SELECT regexp_replace(source_uri, '.*/', '') FROM documents").await, ["a.md"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_no_text_are_told_by_name_and_the_others_are_taken() {
    let (app, url) = served().await;
    let (folder, path) = notes();
    let pdf = folder.path().join("paper");
    fs::write(&pdf, "%PDF-1.7\n1 0 obj\n<< >>\nendobj\n").expect("a file");
    fs::write(folder.path().join("c.md"), b"PK\x03\x04\x14\0word/document.xml").expect("a file");
    fs::write(folder.path().join("photo.png"), "x").expect("a file");
    let ended = run(&url, &["ingest", &path, pdf.to_str().expect("UTF-8"), "-c", "notes", "--create"]).await;
    assert_eq!(ended.code, Some(1));
    ended.is_kept_as("ingest");
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn hits_are_printed_for_readers_and_as_json_for_programs() {
    let (_app, url) = served().await;
    let (_folder, path) = notes();
    run(&url, &["ingest", &path, "-c", "notes", "--create"]).await;
    let arguments = ["search", "the vault", "-c", "notes"];
    run(&url, &arguments).await.is_kept_as("search");
    run(&url, &[&arguments[..], &["--json"]].concat()).await.is_kept_as("search_json");
}

#[test]
fn every_command_explains_itself() {
    let mut told = String::new();
    for command in
        ["", "serve", "worker", "migrate", "migrate up", "migrate down", "schema", "ingest", "search", "health"]
    {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let help = vectorforge(Path::new("/"), &arguments).output().expect("the program starts");
        assert!(help.status.success(), "{command}");
        let help = String::from_utf8(help.stdout).expect("UTF-8");
        told.push_str(&format!("$ vectorforge {}\n{help}\n", arguments.join(" ")));
    }
    assert_kept("help", &told, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_path_of_a_thousand_characters_in_another_script_is_ingested_and_found_again() {
    let (app, url) = served().await;
    let folder = tempfile::tempdir().expect("a temporary directory");
    let deep = std::iter::repeat_n("東京".repeat(40), 12).fold(folder.path().to_owned(), |path, part| path.join(part));
    fs::create_dir_all(&deep).expect("directories");
    fs::write(deep.join("駅.md"), "The station is busy.").expect("a file");
    let path = folder.path().to_str().expect("UTF-8");
    for outcome in ["accepted   1\n", "unchanged  1\n"] {
        let ended = run(&url, &["ingest", path, "-c", "notes", "--create", "--prune"]).await;
        assert_eq!(ended.code, Some(0), "{} {}", ended.out, ended.err);
        assert!(ended.out.contains(outcome) && ended.out.contains("pruned     0\n"), "{}", ended.out);
    }
    assert_eq!(app.database.number("SELECT count(*) FROM documents WHERE status = 'INDEXED'").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_ingest_says_what_goes_on_and_ends_as_interrupted_programs_do() {
    let app = TestApp::builder().without_workers().start().await;
    let (_folder, path) = notes();
    let url = format!("http://{}", app.address);
    let arguments = ["ingest", &path, "-c", "notes", "--create"];
    let child = command(&url, &arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let taken = "SELECT count(*) FROM documents";
    until("the documents to be taken in", async || (app.database.number(taken).await == 2).then_some(())).await;
    kill_process(pid(child.id().expect("it runs")), Signal::INT).expect("it runs");
    let output = child.wait_with_output().await.expect("it ends");
    let err = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{err}");
    assert!(err.contains("error: interrupted: "), "{err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_cannot_begin_says_so_in_one_sentence_and_changes_nothing() {
    let (app, url) = served().await;
    let (folder, path) = notes();
    let here = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    fs::create_dir(folder.path().join("empty")).expect("a directory");
    std::os::unix::fs::symlink(here("round"), folder.path().join("round")).expect("a link");
    fs::write(folder.path().join("photo.png"), "x").expect("a file");
    let free = { std::net::TcpListener::bind("127.0.0.1:0").expect("a free port").local_addr().expect("bound") };
    let nowhere = format!("http://{free}");
    for (arguments, sentence) in [
        (vec!["ingest", "/no/such/path", "-c", "x"], "error: no such file or folder: /no/such/path\n".to_owned()),
        (
            vec!["ingest", &*here("empty"), "-c", "x"],
            "error: nothing to ingest: the folders hold no files\n".to_owned(),
        ),
        (vec!["ingest", &*here("round"), "-c", "x"], format!("error: cannot read {}: Too many levels", here("round"))),
        (
            vec!["ingest", "/dev/null", "-c", "x"],
            "error: cannot read /dev/null: neither a file nor a folder\n".to_owned(),
        ),
        (vec!["ingest", &path, "-c", " "], "error: the server answers: name: got ".to_owned()),
        (vec!["ingest", &path, "-c", "a\u{200b}b", "--create"], "(zero width space)".to_owned()),
        (vec!["ingest", &path, "-c", "x", "--url", &nowhere], format!("error: no server answers at {nowhere}: start")),
        (vec!["health", "--url", &nowhere], format!("error: no server answers at {nowhere}: start")),
    ] {
        let ended = run(&url, &arguments).await;
        assert_eq!(ended.code, Some(1), "{arguments:?} {}", ended.err);
        assert!(ended.err.contains(&sentence) && ended.err.lines().count() == 1, "{arguments:?}: {}", ended.err);
        assert!(ended.out.is_empty(), "{}", ended.out);
    }
    for arguments in [&["ingest", &path][..], &["search", "-c", "x"], &["health", "--url", "localhost:8000"]] {
        assert_eq!(run(&url, arguments).await.code, Some(2), "{arguments:?}");
    }
    assert!(Path::new(&path).is_dir());
    let rows = app.data("{ collections { totalCount } }", json!({})).await;
    assert_eq!(rows["collections"]["totalCount"], 0);
}
