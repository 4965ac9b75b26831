//! The schema as its readers meet it: `schema.graphql`, descriptions, and the examples of the GraphiQL page.

use std::fs;
use std::path::Path;

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;

fn at_root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

#[test]
fn schema_graphql_is_current() {
    let (path, current) = (at_root("schema.graphql"), vectorforge::graphql::sdl());
    let checked_in = fs::read_to_string(&path).unwrap_or_default();
    if checked_in != current {
        fs::write(&path, current).expect("the repository can be written");
        panic!("schema.graphql was not current; this test has rewritten it: look at the difference and commit it");
    }
}

#[tokio::test]
async fn the_schema_is_served_as_it_is_checked_in() {
    let app = TestApp::builder().without_workers().start().await;
    let url = format!("http://{}/schema.graphql", app.address);
    let response = app.client.get(url).send().await.expect("the server answers");
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(response.text().await.expect("text"), vectorforge::graphql::sdl());
}

#[tokio::test]
async fn everything_in_the_schema_is_described() {
    let app = TestApp::builder().without_workers().start().await;
    let value = "name description";
    let query = format!(
        "{{ __schema {{ types {{ {value} fields(includeDeprecated: true) {{ {value} args {{ {value} }} }}
            inputFields {{ {value} }} enumValues(includeDeprecated: true) {{ {value} }} }} }} }}"
    );
    let schema = app.data(&query, json!({})).await;
    let types = schema["__schema"]["types"].as_array().expect("types");
    // `ID` is the engine's own.
    let is_ours = |kind: &&Json| !name(kind).starts_with("__") && name(kind) != "ID";
    let ours = types.iter().filter(is_ours);
    let mut silent = Vec::new();
    for kind in ours {
        note_silent(&mut silent, kind, name(kind));
        for list in ["fields", "inputFields", "enumValues"] {
            for member in members(kind, list) {
                let path = format!("{}.{}", name(kind), name(member));
                note_silent(&mut silent, member, &path);
                for argument in members(member, "args") {
                    note_silent(&mut silent, argument, &format!("{path}({})", name(argument)));
                }
            }
        }
    }
    assert_eq!(silent, [""; 0], "without a description");
}

#[tokio::test]
async fn every_input_type_is_named_so_that_no_operation_collides_with_it() {
    let app = TestApp::builder().without_workers().start().await;
    let schema = app.data("{ __schema { types { kind name } } }", json!({})).await;
    let types = schema["__schema"]["types"].as_array().expect("types");
    let is_input = |kind: &&Json| kind["kind"] == "INPUT_OBJECT";
    let others: Vec<_> = types.iter().map(|kind| (is_input(&kind), name(kind))).collect();
    assert!(others.iter().filter(|(is_input, _)| *is_input).count() > 20);
    for (is_input, name) in others {
        assert_eq!(is_input, name.ends_with("Input"), "{name}");
    }
}

fn name(item: &Json) -> &str {
    item["name"].as_str().expect("a name")
}

fn members<'a>(item: &'a Json, list: &str) -> impl Iterator<Item = &'a Json> {
    item[list].as_array().into_iter().flatten()
}

fn note_silent(silent: &mut Vec<String>, item: &Json, path: &str) {
    if item["description"].as_str().unwrap_or_default().trim().is_empty() {
        silent.push(path.to_owned());
    }
}

#[tokio::test]
async fn the_examples_of_the_page_run_one_after_another_as_they_stand() {
    let app = TestApp::start().await;
    let examples = fs::read_to_string(at_root("assets/graphiql/examples.graphql")).expect("the examples");
    let begins_tab =
        |line: &str| line.strip_prefix("# ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()));
    let mut tabs: Vec<String> = Vec::new();
    for line in examples.lines().skip_while(|line| !begins_tab(line)) {
        match tabs.last_mut() {
            Some(tab) if !begins_tab(line) => tab.push_str(&format!("{line}\n")),
            _ => tabs.push(format!("{line}\n")),
        }
    }
    let mut ids = json!({});
    let mut run = Vec::new();
    for query in tabs {
        let operation = query.lines().find_map(operation_name).unwrap_or_else(|| panic!("no operation in {query}"));
        let variables = json!({
            "name": "example", "collectionId": ids["collection"], "runId": ids["run"],
            "id": if operation == "Job" { &ids["job"] } else { &ids["document"] },
        });
        if operation == "IngestProgress" {
            follow(&app, &query, variables).await;
        } else {
            let data = app.data(&query, variables).await;
            remember(&mut ids, &data);
            assert!(data.as_object().expect("data").values().all(|value| !value.is_null()), "{operation}: {data}");
        }
        run.push(operation.to_owned());
    }
    let expected =
        ["CreateCollection", "ListCollections", "IngestDocuments", "IngestProgress", "Search", "NodeLookup", "Job"];
    assert_eq!(run, expected);
}

/// The name of the operation that a line begins.
fn operation_name(line: &str) -> Option<&str> {
    let rest = ["query ", "mutation ", "subscription "].iter().find_map(|kind| line.strip_prefix(kind))?;
    rest.split(|c: char| !c.is_alphanumeric()).next()
}

/// The ids that the examples after it need.
fn remember(ids: &mut Json, data: &Json) {
    if let collection @ Json::Object(_) = &data["createCollection"]["collection"] {
        ids["collection"] = json!(id(collection));
    }
    if let payload @ Json::Object(_) = &data["ingestDocuments"] {
        ids["run"] = json!(id(&payload["run"]));
        ids["document"] = json!(id(&payload["documents"][0]["document"]));
        ids["job"] = json!(id(&payload["documents"][0]["job"]));
    }
}

/// Runs a subscription to its end.
async fn follow(app: &TestApp, query: &str, variables: Json) {
    let mut socket = app.websocket().await;
    socket.subscribe("1", query, variables).await;
    let mut last = Json::Null;
    while let Some(message) = socket.next().await.filter(|message| message["type"] == "next") {
        assert_eq!(message["payload"].get("errors"), None, "{message}");
        last = message["payload"]["data"]["ingestProgress"]["run"]["state"].clone();
    }
    assert_eq!(last, "SUCCEEDED");
}
