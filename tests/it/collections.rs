//! Collections and documents change and go: what stays, what is hidden, what is removed.

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;
use crate::support::raw::{self, Answer};
use crate::support::refusal::Refusals;

const DELETE: &str = "mutation($id: ID!) { deleteCollection(input: { id: $id }) { deletedCollectionId } }";
const DELETE_DOCUMENT: &str = "mutation($id: ID!) { deleteDocument(input: { id: $id }) { deletedDocumentId } }";

/// Everything that belongs to a collection, partition tables of vectors included. The job that purges one stays.
const ROWS: &str = "SELECT (SELECT count(*) FROM collections) + (SELECT count(*) FROM embedding_spaces)
    + (SELECT count(*) FROM documents) + (SELECT count(*) FROM document_contents) + (SELECT count(*) FROM chunks)
    + (SELECT count(*) FROM embeddings) + (SELECT count(*) FROM ingestion_runs) + (SELECT count(*) FROM run_events)
    + (SELECT count(*) FROM jobs WHERE kind <> 'purge_collection')
    + (SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname LIKE 'embeddings\\_%')";

#[tokio::test]
async fn an_update_changes_what_it_names_and_keeps_the_rest() {
    let app = TestApp::builder().without_workers().start().await;
    let made = json!({ "name": "docs", "description": "about cats", "metadata": { "a": 1 } });
    let collection = app.collection_with(made.clone()).await;
    let update = "mutation($input: UpdateCollectionInput!) { updateCollection(input: $input) {
        collection { id name description metadata } } }";
    let mut expected = made;
    for (field, value) in [
        ("name", json!("papers")),
        ("description", json!("")),
        ("metadata", json!({ "b": { "c": [null, true] } })),
        ("name", json!("papers")),
    ] {
        let data = app.data(update, json!({ "input": { "id": collection, field: value } })).await;
        expected[field] = value;
        let mut shown = data["updateCollection"]["collection"].clone();
        assert_eq!(shown.as_object_mut().expect("an object").remove("id"), Some(json!(collection)));
        assert_eq!(shown, expected, "after {field}");
    }
    let query = "{ collectionByName(name: \"papers\") { name description metadata } }";
    assert_eq!(app.data(query, json!({})).await["collectionByName"], expected);
    assert_eq!(app.data(&query.replace("papers", "docs"), json!({})).await["collectionByName"], Json::Null);
}

#[tokio::test]
async fn a_deleted_collection_is_hidden_at_once_with_everything_under_it() {
    let indexing = TestApp::start().await;
    let collection = indexing.collection("docs").await;
    let payload = indexing.ingest(&collection, json!([{ "source": { "text": "cats sleep" }, "sourceUri": "a" }])).await;
    indexing.drain().await;
    let chunk = id(&indexing.search(&collection, "cats").await["hits"][0]["chunk"]);
    let document = id(&payload["documents"][0]["document"]);
    let (run, job) = (id(&payload["run"]), id(&payload["documents"][0]["job"]));
    // Without workers nothing is removed yet: what is hidden, is hidden by the deletion itself.
    let app = TestApp::builder().database(indexing.database.clone()).without_workers().start().await;
    drop(indexing);
    let data = app.data(DELETE, json!({ "id": collection })).await;
    assert_eq!(data["deleteCollection"]["deletedCollectionId"], collection);
    assert_eq!(app.refusal(DELETE, json!({ "id": collection })).await["code"], "NOT_FOUND");
    assert!(app.database.number("SELECT count(*) FROM chunks").await > 0, "the rows are there still");

    let node = "query($id: ID!) { node(id: $id) { id } }";
    for hidden in [&collection, &document, &chunk, &run] {
        assert_eq!(app.data(node, json!({ "id": hidden })).await["node"], Json::Null, "{hidden}");
    }
    for (query, variables) in [
        ("query($id: ID!) { it: collection(id: $id) { id } }", json!({ "id": collection })),
        ("query($id: ID!) { it: document(id: $id) { id } }", json!({ "id": document })),
        ("query($id: ID!) { it: run(id: $id) { id } }", json!({ "id": run })),
        ("{ it: collectionByName(name: \"docs\") { id } }", json!({})),
    ] {
        assert_eq!(app.data(query, variables).await["it"], Json::Null, "{query}");
    }
    let of_job =
        app.data("query($id: ID!) { job(id: $id) { document { id } run { id } } }", json!({ "id": job })).await;
    assert!(of_job["job"].is_null() || of_job["job"] == json!({ "document": null, "run": null }), "{of_job}");
    let list = app.data("{ collections { totalCount edges { cursor } } }", json!({})).await;
    assert_eq!(list["collections"], json!({ "totalCount": 0, "edges": [] }));
    let search = "query($input: SearchInput!) { search(input: $input) { hits { rank } } }";
    let input = json!({ "input": { "collectionId": collection, "query": { "text": "cats" } } });
    assert_eq!(app.refusal(search, input).await["code"], "NOT_FOUND");
}

#[tokio::test]
async fn the_purge_of_a_deleted_collection_leaves_no_row_and_no_table() {
    let app = TestApp::start().await;
    let before = app.database.number(ROWS).await;
    let collection = app.collection("docs").await;
    let documents: Vec<_> = (0..120).map(|index| json!({ "source": { "text": format!("text {index}") } })).collect();
    app.ingest(&collection, json!(documents)).await;
    app.drain().await;
    assert!(app.database.number(ROWS).await > before + 600);
    app.data(DELETE, json!({ "id": collection })).await;
    app.drain().await;
    assert_eq!(app.database.number(ROWS).await, before);
    assert_eq!(app.database.number("SELECT count(*) FROM jobs WHERE state = 'SUCCEEDED'").await, 1);
}

#[tokio::test]
async fn a_collection_that_goes_while_its_documents_wait_leaves_nothing_either() {
    let idle = TestApp::builder().without_workers().start().await;
    let before = idle.database.number(ROWS).await;
    let collection = idle.collection("docs").await;
    let documents: Vec<_> = (0..20).map(|index| json!({ "source": { "text": format!("text {index}") } })).collect();
    idle.ingest(&collection, json!(documents)).await;
    idle.data(DELETE, json!({ "id": collection })).await;
    let working = TestApp::builder().database(idle.database.clone()).start().await;
    working.drain().await;
    assert_eq!(working.database.number("SELECT count(*) FROM jobs WHERE state = 'DEAD'").await, 0);
    assert_eq!(working.database.number(ROWS).await, before);
}

#[tokio::test]
async fn the_name_of_a_deleted_collection_is_free_again() {
    let app = TestApp::builder().without_workers().start().await;
    let first = app.collection("docs").await;
    app.data(DELETE, json!({ "id": first })).await;
    let second = app.collection("docs").await;
    assert_ne!(first, second);
    let found = app.data("{ collectionByName(name: \"docs\") { id documentCount } }", json!({})).await;
    assert_eq!(found["collectionByName"], json!({ "id": second, "documentCount": 0 }));
}

#[tokio::test]
async fn a_deleted_document_goes_with_its_chunks_and_vectors_and_leaves_the_others() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let documents = json!([{ "source": { "text": "cats sleep" } }, { "source": { "text": "dogs bark" } }]);
    let payload = app.ingest(&collection, documents).await;
    app.drain().await;
    let (cats, dogs) = (id(&payload["documents"][0]["document"]), id(&payload["documents"][1]["document"]));
    let data = app.data(DELETE_DOCUMENT, json!({ "id": cats })).await;
    assert_eq!(data["deleteDocument"]["deletedDocumentId"], cats);
    assert_eq!(app.refusal(DELETE_DOCUMENT, json!({ "id": cats })).await["code"], "NOT_FOUND");
    for table in ["documents", "document_contents", "chunks", "embeddings"] {
        assert_eq!(app.database.number(&format!("SELECT count(*) FROM {table}")).await, 1, "{table}");
    }
    let found = app.search(&collection, "cats sleep").await;
    let hits = found["hits"].as_array().expect("hits");
    assert_eq!(hits.iter().map(|hit| id(&hit["chunk"]["document"])).collect::<Vec<_>>(), [dogs]);
    let counts =
        app.data("query($id: ID!) { collection(id: $id) { documentCount chunkCount } }", json!({ "id": collection }));
    assert_eq!(counts.await["collection"], json!({ "documentCount": 1, "chunkCount": 1 }));
    // The same content may come back.
    let again = app.ingest(&collection, json!([{ "source": { "text": "cats sleep" } }])).await;
    assert_eq!(again["documents"][0]["outcome"], "ACCEPTED");
}

#[tokio::test]
async fn a_document_may_go_while_its_job_waits() {
    let idle = TestApp::builder().without_workers().start().await;
    let collection = idle.collection("docs").await;
    let payload = idle.ingest(&collection, json!([{ "source": { "text": "cats" } }])).await;
    idle.data(DELETE_DOCUMENT, json!({ "id": id(&payload["documents"][0]["document"]) })).await;
    let working = TestApp::builder().database(idle.database.clone()).start().await;
    let events = working.progress(&id(&payload["run"]), None).await;
    assert_eq!(events.last().expect("events")["run"]["state"], "CANCELLED");
    assert_eq!(working.database.number("SELECT count(*) FROM chunks").await, 0);
}

#[tokio::test]
async fn changing_a_document_keeps_its_chunks_and_vectors() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let document = json!({ "source": { "text": "cats sleep" }, "title": "Cats", "metadata": { "a": 1 } });
    let payload = app.ingest(&collection, json!([document])).await;
    app.drain().await;
    let document = id(&payload["documents"][0]["document"]);
    let chunk = app.search(&collection, "cats").await["hits"][0]["chunk"]["id"].clone();
    let jobs = app.database.number("SELECT count(*) FROM jobs").await;
    let update = "mutation($input: UpdateDocumentInput!) { updateDocument(input: $input) {
        document { status title metadata chunkCount } } }";
    for (change, title, metadata) in [
        (json!({ "title": "Felines" }), "Felines", json!({ "a": 1 })),
        (json!({ "metadata": { "b": 2 } }), "Felines", json!({ "b": 2 })),
        (json!({ "metadata": {} }), "Felines", json!({})),
        (json!({}), "Felines", json!({})),
    ] {
        let mut input = change;
        input["id"] = json!(document);
        let data = app.data(update, json!({ "input": input })).await;
        let expected = json!({ "status": "INDEXED", "title": title, "metadata": metadata, "chunkCount": 1 });
        assert_eq!(data["updateDocument"]["document"], expected, "{input}");
    }
    let hit = &app.search(&collection, "cats").await["hits"][0];
    assert_eq!((&hit["chunk"]["id"], &hit["chunk"]["document"]["title"]), (&chunk, &json!("Felines")));
    assert_eq!(app.database.number("SELECT count(*) FROM jobs").await, jobs, "no job for attributes");
}

/// Makes a collection whose metadata holds this number, written in a variable or, as a literal, in the operation itself.
async fn create_with(app: &TestApp, name: &str, number: &str, is_literal: bool) -> Answer {
    let create = |metadata: &str, head: &str| {
        let call = format!("createCollection(input: {{ name: \"{name}\", metadata: {metadata} }})");
        json!(format!("mutation{head} {{ {call} {{ collection {{ metadata }} }} }}"))
    };
    // By hand: the library that writes JSON would round the number itself.
    let body = if is_literal {
        format!("{{\"query\": {}}}", create(&format!("{{ n: [{number}] }}"), ""))
    } else {
        format!("{{\"query\": {}, \"variables\": {{\"m\": {{\"n\": [{number}]}}}}}}", create("$m", "($m: JSON)"))
    };
    raw::post(&app.address, &[("content-type", "application/json")], body).await
}

#[tokio::test]
async fn numbers_of_metadata_come_back_as_sent_or_are_refused() {
    let app = TestApp::builder().without_workers().start().await;
    let refusals = Refusals::of(&app).await;
    for number in [
        "18446744073709551616",
        "-9223372036854775809",
        "123456789012345678901234567890",
        "0.1000000000000000055511151231257827",
        "-3.14159265358979323846",
        "1e-400",
    ] {
        for (is_literal, field) in [(false, "$m.n.0"), (true, "input.metadata.n.0")] {
            let answer = create_with(&app, "refused", number, is_literal).await;
            let body: Json = serde_json::from_str(&answer.body).expect("the answer is JSON");
            let extensions = &body["errors"][0]["extensions"];
            let expected = (&json!("BAD_USER_INPUT"), &json!(field), &json!(number));
            let told = (&extensions["code"], &extensions["field"], &extensions["got"]);
            assert_eq!(told, expected, "{number}: {answer:?}");
        }
    }
    refusals.left_nothing().await;
    for number in [
        "9007199254740993",
        "-9007199254740993",
        "18446744073709551615",
        "-9223372036854775808",
        "0.1",
        "1e300",
        "5e-324",
        "0.30000000000000004",
        "-1.7976931348623157e308",
        // Of those that a parser that does not look closely reads as a neighbour.
        "122.41629403378658",
        "0.8930820250000001",
    ] {
        for is_literal in [false, true] {
            let name = format!("{number} {is_literal}");
            let made = create_with(&app, &name, number, is_literal).await;
            let query = json!({ "query": format!("{{ collectionByName(name: \"{name}\") {{ metadata }} }}") });
            let read = raw::post(&app.address, &[("content-type", "application/json")], query.to_string()).await;
            // A positive power of ten has a sign in JSON as it is written.
            let expected = format!("{{\"n\":[{}]}}", number.replace("e3", "e+3"));
            assert!(made.body.contains(&expected) && read.body.contains(&expected), "{number}: {made:?} {read:?}");
        }
    }
}
