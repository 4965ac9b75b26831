//! Names: what looks alike is one, and what nobody sees is refused.

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;

const CREATE: &str =
    "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id name } } }";
const BY_NAME: &str = "query($name: String!) { collectionByName(name: $name) { id name } }";
const RENAME: &str =
    "mutation($input: UpdateCollectionInput!) { updateCollection(input: $input) { collection { name } } }";

#[tokio::test]
async fn names_that_look_alike_are_one_collection_and_found_by_each_spelling() {
    let app = TestApp::builder().without_workers().start().await;
    let made = app.data(CREATE, json!({ "input": { "name": " Cafe\u{301} \n" } })).await;
    assert_eq!(made["createCollection"]["collection"]["name"], "Caf\u{e9}");
    for twin in ["Caf\u{e9}", "Cafe\u{301}", "Caf\u{e9}\n", "\u{a0}Caf\u{e9} "] {
        let refusal = app.refusal(CREATE, json!({ "input": { "name": twin } })).await;
        assert_eq!((&refusal["code"], &refusal["field"]), (&json!("ALREADY_EXISTS"), &json!("input.name")), "{twin:?}");
        let found = app.data(BY_NAME, json!({ "name": twin })).await;
        assert_eq!(found["collectionByName"], made["createCollection"]["collection"], "{twin:?}");
    }
    let other = app.collection("other").await;
    let refusal = app.refusal(RENAME, json!({ "input": { "id": other, "name": "Cafe\u{301}" } })).await;
    assert_eq!(refusal["code"], "ALREADY_EXISTS");
    let renamed = app.data(RENAME, json!({ "input": { "id": other, "name": "\tthe\u{a0}other " } })).await;
    assert_eq!(renamed["updateCollection"]["collection"]["name"], "the other");
}

#[tokio::test]
async fn a_character_that_nobody_sees_is_refused_by_its_code_point_wherever_a_name_is_given() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let schedule = json!({ "name": "no\u{200b}tes", "cron": "@daily", "job": { "ingestSource": {
        "collectionId": collection, "source": { "urls": ["https://example.org/"] } } } });
    let documents = json!([{ "source": { "text": "a" }, "tags": ["a", "no\u{200b}tes"] }]);
    for (query, variables, field) in [
        (CREATE, json!({ "input": { "name": "no\u{200b}tes" } }), "input.name"),
        (RENAME, json!({ "input": { "id": collection, "name": "no\u{200b}tes" } }), "input.name"),
        (BY_NAME, json!({ "name": "no\u{200b}tes" }), "name"),
        (
            "mutation($input: CreateScheduleInput!) { createSchedule(input: $input) { schedule { id } } }",
            json!({ "input": schedule }),
            "input.name",
        ),
        (
            "mutation($input: SetJobLimitInput!) { setJobLimit(input: $input) { limit { key } } }",
            json!({ "input": { "scope": "PROVIDER", "key": "no\u{200b}tes", "concurrency": 1 } }),
            "input.key",
        ),
        (
            "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) { run { id } } }",
            json!({ "input": { "collectionId": collection, "documents": documents } }),
            "input.documents.0.tags.1",
        ),
    ] {
        let refusal = app.refusal(query, variables).await;
        assert_eq!((&refusal["code"], &refusal["field"]), (&json!("BAD_USER_INPUT"), &json!(field)), "{refusal}");
        assert_eq!(refusal["got"], "U+200B (zero width space) in the name", "{refusal}");
    }
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 0);
}

#[tokio::test]
async fn a_collection_that_was_named_before_the_rule_is_found_by_the_name_it_has() {
    let app = TestApp::builder().without_workers().start().await;
    let (old, new) = (app.collection("old").await, app.collection("notes").await);
    for stored in ["notes ", "no\u{200b}tes", "note\u{301}s", "no\ntes"] {
        let rename = format!("UPDATE collections SET name = '{stored}' WHERE name NOT IN ('notes')");
        app.database.execute(&rename).await;
        let found = app.data(BY_NAME, json!({ "name": stored })).await["collectionByName"].take();
        assert_eq!((id(&found), &found["name"]), (old.clone(), &json!(stored)));
    }
    let found = app.data(BY_NAME, json!({ "name": " notes" })).await["collectionByName"].take();
    assert_eq!(id(&found), new);
    assert_eq!(app.data(BY_NAME, json!({ "name": "nobody's" })).await["collectionByName"], Json::Null);
}

#[tokio::test]
async fn a_title_is_one_line() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let document =
        json!({ "source": { "text": "a" }, "title": " On\r\n\tcall ", "author": "Ann\nLee", "tags": [" x "] });
    let payload = app.ingest(&collection, json!([document])).await;
    let shown = app.document(&id(&payload["documents"][0]["document"])).await;
    assert_eq!((&shown["title"], &shown["author"]), (&json!("On call"), &json!("Ann Lee")));
    assert_eq!(shown["tags"], json!(["x"]));
}
