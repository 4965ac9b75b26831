//! `search`, `health`, and the command line of all three.

use clap::{CommandFactory, Parser};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::fake::Fake;
use crate::error::ClientError;
use crate::health::check;
use crate::search::{ask, terminal_json};
use crate::{HealthOptions, IngestOptions, SearchOptions, ServerOptions};

fn options(server: ServerOptions) -> SearchOptions {
    SearchOptions { query: "how".to_owned(), collection: "docs".to_owned(), first: 5, json: false, server }
}

async fn fake_with_hits() -> Fake {
    let fake = Fake::start().await;
    let mut state = fake.state();
    state.collections.insert("docs".to_owned(), "col_1".to_owned());
    let hit = |rank: u32, title: Option<&str>, text: &str| {
        let document = json!({ "id": "doc_1", "title": title, "sourceUri": "file:///a.md" });
        let chunk =
            json!({ "id": "chk_1", "text": text, "index": 0, "startChar": 0, "endChar": 9, "document": document });
        json!({ "rank": rank, "score": 0.87654, "chunk": chunk })
    };
    state.search = json!({
        "hits": [hit(1, Some("Title\u{1b}]0;x\u{7}"), "one\n\ntwo \u{9b}2J"), hit(2, None, &"word ".repeat(100))],
        "info": { "exact": false, "index": "HNSW", "returned": 2, "requested": 5, "tookMs": 12 },
    });
    drop(state);
    fake
}

#[tokio::test]
async fn hits_are_shown_with_rank_score_title_and_snippet() {
    let fake = fake_with_hits().await;
    let shown = ask(options(fake.options())).await.unwrap().found.to_string();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[..4], [" 1  0.877  Title]0;x", "    one two 2J", "", " 2  0.877  file:///a.md"]);
    assert!(lines[4].ends_with("word…") && lines[4].len() < 260, "{}", lines[4]);
    assert_eq!(lines[5..], ["", "HNSW, 2 of 5 hits in 12 ms"]);
}

#[tokio::test]
async fn a_text_that_was_not_read_whole_is_told() {
    let fake = fake_with_hits().await;
    fake.state().search["info"]["queryCutAtTokens"] = json!(256);
    let shown = ask(options(fake.options())).await.unwrap().found.to_string();
    assert!(shown.ends_with("in 12 ms; only the first 256 tokens of the text were read\n"), "{shown}");
}

#[tokio::test]
async fn json_is_the_servers_answer_without_control_characters() {
    let fake = fake_with_hits().await;
    let answer = ask(options(fake.options())).await.unwrap();
    let printed = terminal_json(&answer.raw);
    assert!(!printed.chars().any(|c| c.is_control() && c != '\n'), "{printed}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&printed).unwrap(), answer.raw);
}

#[tokio::test]
async fn searching_a_collection_that_is_not_there_says_how_to_make_one() {
    let fake = Fake::start().await;
    let Err(error) = ask(options(fake.options())).await else { panic!("found hits in no collection") };
    let sentence = error.to_string();
    assert!(
        sentence.ends_with("there is none yet; `vectorforge ingest PATH --collection NAME --create` makes one"),
        "{sentence}"
    );
}

#[tokio::test]
async fn a_ready_server_is_healthy_and_one_that_is_not_tells_why() {
    let fake = Fake::start().await;
    check(HealthOptions { server: fake.options() }).await.unwrap();
    fake.state().not_ready = true;
    let error = check(HealthOptions { server: fake.options() }).await.unwrap_err();
    let got = "status 503 Service Unavailable, database: does not answer";
    assert_eq!(error.to_string(), format!("the server at {} is not ready: {got}", fake.url));
}

#[tokio::test]
async fn another_kind_of_server_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        let _ = stream.read(&mut request).await.unwrap();
        let answer = "HTTP/1.1 404 Not Found\r\ncontent-length: 12\r\n\r\n<h1>no</h1>\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    let Err(error) = ask(options(ServerOptions { url: url.parse().unwrap() })).await else { panic!("an answer") };
    assert!(matches!(error, ClientError::Protocol { .. }), "{error:?}");
    let expected = "does not answer as a VectorForge server does: status 404 Not Found, <h1>no</h1>; check --url";
    assert_eq!(error.to_string(), format!("{url} {expected}"));
}

#[derive(Debug, Parser)]
enum CommandLine {
    /// Ingest files
    Ingest(IngestOptions),
    /// Search
    Search(SearchOptions),
    /// Health
    Health(HealthOptions),
}

#[test]
fn the_command_line_holds_together_and_keeps_its_own_help() {
    CommandLine::command().debug_assert();
    for (command, about) in [("ingest", "Ingest files"), ("search", "Search"), ("health", "Health")] {
        let error = CommandLine::try_parse_from(["vectorforge", command, "--help"]).unwrap_err();
        assert!(error.to_string().starts_with(about), "{error}");
    }
}

#[test]
fn wrong_usage_is_refused() {
    for arguments in [
        &["ingest", "--collection", "docs"][..],
        &["ingest", "a.md"],
        &["search", "how", "--collection", "docs", "--first", "0"],
        &["health", "--url", "localhost:8000"],
    ] {
        let words = ["vectorforge"].iter().chain(arguments);
        assert_eq!(CommandLine::try_parse_from(words).unwrap_err().exit_code(), 2, "{arguments:?}");
    }
}
