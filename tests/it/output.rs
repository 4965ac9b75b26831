//! What the commands print, where nobody reads it or it cannot be written.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

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

/// A server with a document to find, and its address.
async fn server_with_words() -> (TestApp, String) {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    app.ingest_to_end(&collection, json!([{ "source": { "text": "some words" } }])).await;
    let address = format!("http://{}", app.address);
    (app, address)
}

async fn run(dir: &Path, arguments: &[&str], out: Stdio, err: Stdio) -> Output {
    let mut command = vectorforge(dir, arguments);
    command.stdout(out).stderr(err);
    tokio::task::spawn_blocking(move || command.output()).await.expect("no panic").expect("the program runs")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_reader_has_gone_ends_quietly_and_one_that_cannot_write_says_so_and_fails() {
    let (_app, address) = server_with_words().await;
    let dir = temporary_directory();
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

/// The same command with its standard output closed, as the shell does it.
fn closed(command: &Command) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" \"$@\" >&-"]).arg(command.get_program()).args(command.get_args()).env_clear();
    shell.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?)))).stdin(Stdio::null());
    shell.current_dir(command.get_current_dir().expect("one of its own"));
    shell
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_any_standard_output_says_so_and_fails() {
    let (_app, address) = server_with_words().await;
    let dir = temporary_directory();
    let file = dir.path().join("a.md");
    std::fs::write(&file, "more words").expect("a file");
    for arguments in commands(&address, file.to_str().expect("UTF-8")) {
        let mut command = closed(&vectorforge(dir.path(), &arguments));
        let output = tokio::task::spawn_blocking(move || command.output()).await.expect("no panic");
        let output = output.expect("the program runs");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {said}");
        let last = said.lines().last().expect("a last word");
        assert_eq!(last, "error: cannot write to standard output: Bad file descriptor (os error 9)");
        // Where nobody wants it, it is there all the same.
        let wanted = run(dir.path(), &arguments, Stdio::null(), Stdio::null()).await;
        assert!(wanted.status.success(), "{arguments:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_document_that_failed_is_told_once_where_all_is_read_in_one_place() {
    let app = TestApp::start().await;
    app.collection("docs").await;
    let (dir, address) = (temporary_directory(), format!("http://{}", app.address));
    let folder = dir.path().join("folder");
    std::fs::create_dir(&folder).expect("a directory");
    // Refused here, refused at the door, and failed by a job.
    for (name, content) in [("a.md", "%PDF-1.7\n"), ("b.md", " "), ("c.html", "<p><br></p>"), ("d.md", "words")] {
        std::fs::write(folder.join(name), content).expect("a file");
    }
    let arguments = ["ingest", folder.to_str().expect("UTF-8"), "--collection", "docs", "--url", &address];
    let (mut reader, writer) = std::io::pipe().expect("a pipe");
    let mut command = vectorforge(dir.path(), &arguments);
    command.stdout(writer.try_clone().expect("a pipe")).stderr(writer);
    let mut child = command.spawn().expect("the program runs");
    drop(command);
    let reading = move || {
        let mut said = String::new();
        reader.read_to_string(&mut said).map(|_| said)
    };
    let said = tokio::task::spawn_blocking(reading).await.expect("no panic").expect("UTF-8");
    assert_eq!(child.wait().expect("our child").code(), Some(1), "{said}");
    assert!(said.contains("failed     3\n"), "{said}");
    // Apart, the summary names them too.
    let apart = run(dir.path(), &arguments, Stdio::piped(), Stdio::piped()).await;
    let summary = String::from_utf8(apart.stdout).expect("UTF-8");
    for name in ["a.md", "b.md", "c.html"] {
        let times =
            |said: &str| said.lines().filter(|line| line.starts_with("failed: ") && line.contains(name)).count();
        assert_eq!((times(&said), times(&summary)), (1, 1), "{name}: {said} {summary}");
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
