//! What the commands print, where nobody reads it or it cannot be written.

use std::fs::File;
use std::path::Path;
use std::process::{Output, Stdio};

use serde_json::json;

use crate::embedded_server::temporary_directory;
use crate::process::vectorforge;
use crate::support::TestApp;

/// As the shell tells of a program that SIGPIPE ended.
const SIGPIPE_ENDED: i32 = 141;

/// A pipe whose reader has gone.
fn closed_pipe() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

/// A device that has no room.
fn full_device() -> Stdio {
    File::options().write(true).open("/dev/full").expect("a device").into()
}

/// Every command that prints, against a running server.
fn commands<'a>(address: &'a str, file: &'a str) -> Vec<Vec<&'a str>> {
    let server = ["--url", address];
    let of_server = |command: &[&'a str]| [command, &server].concat();
    vec![
        vec!["schema"],
        vec!["--help"],
        vec!["serve", "--help"],
        vec!["--version"],
        of_server(&["health"]),
        of_server(&["search", "words", "--collection", "docs"]),
        of_server(&["search", "words", "--collection", "docs", "--json"]),
        of_server(&["ingest", file, "--collection", "docs"]),
    ]
}

async fn run(dir: &Path, arguments: &[&str], out: Stdio, err: Stdio) -> Output {
    let mut command = vectorforge(dir, arguments);
    command.stdout(out).stderr(err);
    tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("the program runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_reader_has_gone_ends_quietly_and_one_that_cannot_write_says_so_and_fails() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    app.ingest_to_end(&collection, json!([{ "source": { "text": "some words" } }])).await;
    let (dir, address) = (temporary_directory(), format!("http://{}", app.address));
    let file = dir.path().join("a.md");
    std::fs::write(&file, "more words").expect("a file");
    for arguments in commands(&address, file.to_str().expect("UTF-8")) {
        let output = run(dir.path(), &arguments, closed_pipe(), Stdio::piped()).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(SIGPIPE_ENDED), "{arguments:?}: {said}");
        assert!(!said.contains("panicked") && !said.contains("rror"), "{arguments:?}: {said}");

        let output = run(dir.path(), &arguments, full_device(), Stdio::piped()).await;
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        let last = said.lines().last().expect("a last word");
        assert_eq!(last, "error: cannot write to standard output: No space left on device (os error 28)");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_that_nobody_can_be_told_of_keeps_its_exit_code() {
    let dir = temporary_directory();
    let nobody = ["--url", "http://127.0.0.1:1"];
    let cases: [(Vec<&str>, i32); 6] = [
        ([&["health"][..], &nobody].concat(), 1),
        ([&["search", "words", "--collection", "docs"][..], &nobody].concat(), 1),
        ([&["ingest", ".", "--collection", "docs"][..], &nobody].concat(), 1),
        (vec!["serve", "--set", "http.port=banana"], 78),
        (vec!["worker"], 1),
        (vec!["no-such-command"], 2),
    ];
    for (arguments, code) in cases {
        for err in [closed_pipe, full_device] {
            let output = run(dir.path(), &arguments, Stdio::piped(), err()).await;
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        }
    }
}
