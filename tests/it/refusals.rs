//! Bad input for collections, lists and searches: refused by name, with nothing written. See `refusals_ingest` for
//! documents, `graphql_http` for requests that do not fit the schema.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;
use crate::support::raw;
use crate::support::refusal::{Case, Refusals};

const CREATE: &str =
    "mutation($input: CreateCollectionInput!) { createCollection(input: $input) { collection { id } } }";
const UPDATE: &str =
    "mutation($input: UpdateCollectionInput!) { updateCollection(input: $input) { collection { id } } }";
const SEARCH: &str = "query($input: SearchInput!) { search(input: $input) { hits { rank } } }";
const INGEST: &str = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) { run { id } } }";
const DELETE_COLLECTION: &str = "mutation($id: ID!) { deleteCollection(input: { id: $id }) { deletedCollectionId } }";
const DELETE_DOCUMENT: &str = "mutation($id: ID!) { deleteDocument(input: { id: $id }) { deletedDocumentId } }";
const UPDATE_DOCUMENT: &str =
    "mutation($id: ID!) { updateDocument(input: { id: $id, title: \"x\" }) { document { id } } }";

/// Right in form, of no row.
const UNKNOWN: &str = "00000000000070008000000000000000";

/// An input with one field more, or another value of it.
fn with(mut input: Json, field: &str, value: Json) -> Json {
    input[field] = value;
    json!({ "input": input })
}

#[tokio::test]
async fn a_collection_with_a_wrong_field_is_refused() {
    let app = TestApp::builder().without_workers().start().await;
    app.collection("taken").await;
    let refusals = Refusals::of(&app).await;
    let large = json!({ "a": "x".repeat(64 * 1024) });
    for (field, value, code, path) in [
        ("name", json!(""), "BAD_USER_INPUT", "input.name"),
        ("name", json!(" \n\t"), "BAD_USER_INPUT", "input.name"),
        ("name", json!("é".repeat(256)), "BAD_USER_INPUT", "input.name"),
        ("name", json!("a\0b"), "BAD_USER_INPUT", "input.name"),
        ("name", json!("taken"), "ALREADY_EXISTS", "input.name"),
        ("description", json!("a\0b"), "BAD_USER_INPUT", "input.description"),
        ("description", json!("x".repeat(10_001)), "BAD_USER_INPUT", "input.description"),
        ("metadata", json!([{ "a": 1 }]), "BAD_USER_INPUT", "input.metadata"),
        ("metadata", json!("{}"), "BAD_USER_INPUT", "input.metadata"),
        ("metadata", json!(1), "BAD_USER_INPUT", "input.metadata"),
        ("metadata", json!({ "a": { "b": ["\0"] } }), "BAD_USER_INPUT", "input.metadata"),
        ("metadata", json!({ "a": { "\0": 1 } }), "BAD_USER_INPUT", "input.metadata"),
        ("metadata", large, "PAYLOAD_TOO_LARGE", "input.metadata"),
        ("embedding", json!({ "model": "no/such" }), "BAD_USER_INPUT", "input.embedding.model"),
        ("embedding", json!({ "model": "\0" }), "BAD_USER_INPUT", "input.embedding.model"),
        ("embedding", json!({ "dimensions": 0 }), "BAD_USER_INPUT", "input.embedding.dimensions"),
        ("embedding", json!({ "dimensions": 16_001 }), "BAD_USER_INPUT", "input.embedding.dimensions"),
        ("chunking", json!({ "size": 0 }), "BAD_USER_INPUT", "input.chunking.size"),
        ("chunking", json!({ "size": 8_193 }), "BAD_USER_INPUT", "input.chunking.size"),
        ("chunking", json!({ "size": 32_769, "unit": "CHARACTERS" }), "BAD_USER_INPUT", "input.chunking.size"),
        ("chunking", json!({ "size": 10, "overlap": 6 }), "BAD_USER_INPUT", "input.chunking.overlap"),
        (
            "chunking",
            json!({ "size": 9, "overlap": 5, "unit": "CHARACTERS" }),
            "BAD_USER_INPUT",
            "input.chunking.overlap",
        ),
    ] {
        refusals.check([(CREATE, with(json!({ "name": "new" }), field, value), code, path)]).await;
    }
    refusals.are_kept_as("refused_collections");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn an_empty_name_is_told_to_be_empty() {
    let app = TestApp::builder().without_workers().start().await;
    for (name, got) in [("", "an empty text"), (" \t", "an empty text"), ("\u{2003}", "an empty text")] {
        let refusal = app.refusal(CREATE, json!({ "input": { "name": name } })).await;
        let message = format!("input.name: got {got}, expected 1 to 255 characters that say something");
        assert_eq!(refusal["message"], message);
    }
    let described = with(json!({ "name": "new" }), "description", json!("a\0b"));
    let refusal = app.refusal(CREATE, described).await;
    assert_eq!(refusal["message"], "input.description: got a text with a NUL byte, expected a text without NUL");
}

/// Every whole number that the schema takes, in an operation with a place for it; its field; the greatest that it takes.
const WHOLE_NUMBERS: [(&str, &str, i64); 14] = [
    ("{ collections(first: #) { totalCount } }", "first", 100),
    ("{ jobs(first: #) { totalCount } }", "first", 100),
    ("{ schedules(first: #) { totalCount } }", "first", 100),
    ("{ collection(id: \"@\") { documents(first: #) { totalCount } } }", "first", 100),
    ("{ document(id: \"%\") { chunks(first: #) { totalCount } } }", "first", 100),
    ("{ jobs { nodes { events(first: #) { pageInfo { hasNextPage } } } } }", "first", 100),
    (
        "{ search(input: { collectionId: \"@\", query: { text: \"x\" }, first: # }) { hits { rank } } }",
        "input.first",
        100,
    ),
    (
        "mutation { createCollection(input: { name: \"new\", embedding: { dimensions: # } }) { collection { id } } }",
        "input.embedding.dimensions",
        16_000,
    ),
    (
        "mutation { createCollection(input: { name: \"new\", chunking: { size: # } }) { collection { id } } }",
        "input.chunking.size",
        8_192,
    ),
    (
        "mutation { createCollection(input: { name: \"new\", chunking: { size: #, unit: CHARACTERS } }) {
            collection { id } } }",
        "input.chunking.size",
        32_768,
    ),
    (
        "mutation { createCollection(input: { name: \"new\", chunking: { size: 9, overlap: # } }) { collection { id } } }",
        "input.chunking.overlap",
        4,
    ),
    (
        "mutation { setJobPriority(input: { selection: { ids: [] }, priority: # }) { changedCount } }",
        "input.priority",
        1_000,
    ),
    (
        "mutation { setJobPriority(input: { selection: { filter: {} }, priority: # }) { changedCount } }",
        "input.priority",
        1_000,
    ),
    (
        "mutation { setJobLimit(input: { scope: KIND, key: \"ingest_document\", concurrency: # }) { limit { key } } }",
        "input.concurrency",
        i32::MAX as i64,
    ),
];

#[tokio::test]
async fn a_whole_number_out_of_range_is_refused_by_its_field_with_the_range_wherever_one_is_taken() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let document =
        id(&app.ingest(&collection, json!([{ "source": { "text": "x" } }])).await["documents"][0]["document"]);
    let refusals = Refusals::of(&app).await;
    for (operation, field, most) in WHOLE_NUMBERS {
        let operation = operation.replace('@', &collection).replace('%', &document);
        let below = if field == "input.priority" { -1_001 } else { -1 };
        let numbers = [below.to_string(), (most + 1).to_string()];
        let far =
            ["-2147483648", "2147483648", "-9223372036854775809", "18446744073709551616", "1000000000000000000001"];
        for number in numbers.iter().map(String::as_str).chain(far) {
            let name = if operation.starts_with('{') { "query" } else { "" };
            let declared = operation.replacen('{', "($n: Int!) {", 1);
            let body = |query: String, variables: &str| {
                format!("{{\"query\": {}, \"variables\": {{{variables}}}}}", json!(query))
            };
            let literal = body(operation.replace('#', number), "");
            let variable = body(format!("{name}{}", declared.replace('#', "$n")), &format!("\"n\": {number}"));
            for (body, is_variable) in [(literal, false), (variable, true)] {
                let answer = raw::post(&app.address, &[("content-type", "application/json")], body.clone()).await;
                let answer: Json = serde_json::from_str(&answer.body).expect("JSON");
                let extensions = &answer["errors"][0]["extensions"];
                let is_int = number.parse::<i32>().is_ok();
                let field = if is_variable && !is_int { "$n" } else { field };
                assert_eq!(extensions["code"], "BAD_USER_INPUT", "{body}: {answer}");
                assert_eq!(
                    (&extensions["field"], &extensions["got"]),
                    (&json!(field), &json!(number)),
                    "{body}: {answer}"
                );
                let expected = extensions["expected"].as_str().unwrap_or_default();
                assert!(expected.contains(|c: char| c.is_ascii_digit()), "{body}: {answer}");
            }
        }
    }
    refusals.left_nothing().await;
}

#[tokio::test]
async fn a_change_with_a_wrong_field_is_refused_and_changes_nothing() {
    let app = TestApp::builder().without_workers().start().await;
    let (collection, _) = (app.collection("mine").await, app.collection("taken").await);
    let documents = app.ingest(&collection, json!([{ "source": { "text": "cats" }, "title": "mine" }])).await;
    let document = id(&documents["documents"][0]["document"]);
    let refusals = Refusals::of(&app).await;
    for (field, value, code) in [
        ("name", json!(""), "BAD_USER_INPUT"),
        ("name", json!("x".repeat(256)), "BAD_USER_INPUT"),
        ("name", json!("a\0b"), "BAD_USER_INPUT"),
        ("name", json!("taken"), "ALREADY_EXISTS"),
        ("description", json!("\0"), "BAD_USER_INPUT"),
        ("metadata", json!([]), "BAD_USER_INPUT"),
        ("metadata", json!({ "\0": 1 }), "BAD_USER_INPUT"),
    ] {
        let path = format!("input.{field}");
        refusals.check([(UPDATE, with(json!({ "id": collection }), field, value), code, path.as_str())]).await;
    }
    let update = "mutation($input: UpdateDocumentInput!) { updateDocument(input: $input) { document { id } } }";
    for (field, value) in [
        ("title", json!("")),
        ("title", json!("x".repeat(256))),
        ("title", json!("a\0b")),
        ("metadata", json!("x")),
        ("metadata", json!({ "a": "\0" })),
    ] {
        let path = format!("input.{field}");
        let input = with(json!({ "id": document }), field, value);
        refusals.check([(update, input, "BAD_USER_INPUT", path.as_str())]).await;
    }
    refusals.are_kept_as("refused_changes");
    refusals.left_nothing().await;
    let untouched = "SELECT (SELECT count(*) FROM collections WHERE name = 'mine' AND metadata = '{}')
        + (SELECT count(*) FROM documents WHERE title = 'mine' AND metadata = '{}')";
    assert_eq!(app.database.number(untouched).await, 2);
}

#[tokio::test]
async fn an_id_that_is_malformed_or_of_another_type_is_refused_wherever_one_is_taken() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let refusals = Refusals::of(&app).await;
    let document = json!([{ "source": { "text": "x" } }]);
    for bad in ["", "\0", "docs", "col_", "usr_00000000000070008000000000000000", &format!("COL_{UNKNOWN}"), "💥"] {
        refusals
            .check([("query($id: ID!) { node(id: $id) { id } }", json!({ "id": bad }), "BAD_USER_INPUT", "id")])
            .await;
    }
    let (doc, col) = (format!("doc_{UNKNOWN}"), format!("col_{UNKNOWN}"));
    let upper = format!("col_{}A", &UNKNOWN[1..]);
    for (query, variables, field) in [
        ("query($id: ID!) { collection(id: $id) { id } }", json!({ "id": doc }), "id"),
        ("query($id: ID!) { collection(id: $id) { id } }", json!({ "id": upper }), "id"),
        ("query($id: ID!) { document(id: $id) { id } }", json!({ "id": col }), "id"),
        ("query($id: ID!) { job(id: $id) { id } }", json!({ "id": col }), "id"),
        ("query($id: ID!) { run(id: $id) { id } }", json!({ "id": col }), "id"),
        (UPDATE, with(json!({ "name": "x" }), "id", json!(doc)), "input.id"),
        (SEARCH, search_by(&doc, json!({ "text": "x" })), "input.collectionId"),
        (SEARCH, search_by(&collection, json!({ "chunkId": doc })), "input.query.chunkId"),
        (INGEST, json!({ "input": { "collectionId": doc, "documents": document } }), "input.collectionId"),
        (DELETE_COLLECTION, json!({ "id": doc }), "input.id"),
        (DELETE_DOCUMENT, json!({ "id": col }), "input.id"),
        (UPDATE_DOCUMENT, json!({ "id": col }), "input.id"),
    ] {
        refusals.check([(query, variables, "BAD_USER_INPUT", field)]).await;
    }
    refusals.are_kept_as("refused_ids");
    refusals.left_nothing().await;
}

fn search_by(collection: &str, query: Json) -> Json {
    json!({ "input": { "collectionId": collection, "query": query } })
}

#[tokio::test]
async fn an_id_of_nothing_is_not_found_by_what_acts_and_null_to_what_asks() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let refusals = Refusals::of(&app).await;
    let (doc, col, chunk) = (format!("doc_{UNKNOWN}"), format!("col_{UNKNOWN}"), format!("chk_{UNKNOWN}"));
    let documents = json!([{ "source": { "text": "x" } }]);
    for (query, variables, field) in [
        (UPDATE, with(json!({ "name": "x" }), "id", json!(col)), "input.id"),
        (SEARCH, search_by(&col, json!({ "text": "x" })), "input.collectionId"),
        (SEARCH, search_by(&collection, json!({ "chunkId": chunk })), "input.query.chunkId"),
        (INGEST, json!({ "input": { "collectionId": col, "documents": documents } }), "input.collectionId"),
        (DELETE_COLLECTION, json!({ "id": col }), "input.id"),
        (DELETE_DOCUMENT, json!({ "id": doc }), "input.id"),
        (UPDATE_DOCUMENT, json!({ "id": doc }), "input.id"),
    ] {
        refusals.check([(query, variables, "NOT_FOUND", field)]).await;
    }
    for (kind, field) in [("col", "collection"), ("doc", "document"), ("job", "job"), ("run", "run"), ("chk", "node")] {
        for field in [field, "node"] {
            let query = format!("query($id: ID!) {{ it: {field}(id: $id) {{ id }} }}");
            let data = app.data(&query, json!({ "id": format!("{kind}_{UNKNOWN}") })).await;
            assert_eq!(data["it"], Json::Null, "{kind} {field}");
        }
    }
    refusals.are_kept_as("unknown_ids");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn a_page_size_out_of_range_and_a_cursor_of_another_list_are_refused() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let payload = app.ingest(&collection, json!([{ "source": { "text": "cats sleep" } }])).await;
    app.drain().await;
    let document = id(&payload["documents"][0]["document"]);
    let collections = "query($first: Int! = 1, $after: String) {
        collections(first: $first, after: $after) { totalCount } }";
    let documents = "query($id: ID!, $first: Int! = 1, $after: String) {
        collection(id: $id) { documents(first: $first, after: $after) { totalCount } } }";
    let chunks = "query($id: ID!, $first: Int! = 1, $after: String) {
        document(id: $id) { chunks(first: $first, after: $after) { totalCount } } }";
    let refusals = Refusals::of(&app).await;
    let number = URL_SAFE_NO_PAD.encode(0_i64.to_be_bytes());
    let uuid = URL_SAFE_NO_PAD.encode([7; 16]);
    for (query, id, foreign) in
        [(collections, "", &number), (documents, collection.as_str(), &number), (chunks, &document, &uuid)]
    {
        for first in [0, -1, 101, i32::MIN] {
            refusals.check([(query, json!({ "id": id, "first": first }), "BAD_USER_INPUT", "first")]).await;
        }
        for after in ["", "0", "a\0b", "💥", "AAAA", "../../etc", foreign.as_str()] {
            refusals.check([(query, json!({ "id": id, "after": after }), "BAD_USER_INPUT", "after")]).await;
        }
    }
    let page = |first: i32| search_input(&collection, json!({ "first": first }));
    let sizes = [0, -1, 101, i32::MIN].map(|first| -> Case { (SEARCH, page(first), "BAD_USER_INPUT", "input.first") });
    refusals.check(sizes).await;
    refusals.are_kept_as("refused_pages");
    refusals.left_nothing().await;
}

/// A search by text with one thing changed.
fn search_input(collection: &str, change: Json) -> Json {
    let mut input = json!({ "collectionId": collection, "query": { "text": "x" } });
    input.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
    json!({ "input": input })
}

#[tokio::test]
async fn a_search_that_makes_no_sense_is_refused() {
    let app = TestApp::builder().without_workers().start().await;
    let model = app.collection("model").await;
    let own = |name, metric| json!({ "name": name, "embedding": { "dimensions": 3 }, "metric": metric });
    let cosine = app.collection_with(own("cosine", "COSINE")).await;
    let l2 = app.collection_with(own("l2", "L2")).await;
    let refusals = Refusals::of(&app).await;
    let base64 = |vector: &[f32]| {
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
        json!({ "vector": STANDARD.encode(bytes) })
    };
    let list = |vector: Json| json!({ "vector": vector });
    for (collection, query, code, field) in [
        (&model, json!({ "text": "" }), "BAD_USER_INPUT", "input.query.text"),
        (&model, json!({ "text": " \n" }), "BAD_USER_INPUT", "input.query.text"),
        (&model, json!({ "text": "a\0b" }), "BAD_USER_INPUT", "input.query.text"),
        (&model, json!({ "text": "x".repeat(32 * 1024 + 1) }), "PAYLOAD_TOO_LARGE", "input.query.text"),
        (&cosine, json!({ "text": "no model" }), "BAD_USER_INPUT", "input.query"),
        (&model, list(json!([1, 2, 3])), "DIMENSION_MISMATCH", "input.query.vector"),
        (&cosine, list(json!([])), "DIMENSION_MISMATCH", "input.query.vector"),
        (&cosine, list(json!([1, 2])), "DIMENSION_MISMATCH", "input.query.vector"),
        (&cosine, list(json!([1, 2, 3, 4])), "DIMENSION_MISMATCH", "input.query.vector"),
        (&cosine, list(json!([0, 0.0, -0.0])), "BAD_USER_INPUT", "input.query.vector"),
        (&cosine, list(json!([1, 1e39, 0])), "BAD_USER_INPUT", "input.query.vector.1"),
        (&cosine, list(json!([3e38, 3e38, 3e38])), "BAD_USER_INPUT", "input.query.vector"),
        (&cosine, list(json!([1e-40, 0, 0])), "BAD_USER_INPUT", "input.query.vector"),
        (&l2, list(json!([3e38, -3e38, 0])), "BAD_USER_INPUT", "input.query.vector"),
        (&cosine, base64(&[1.0, 2.0]), "DIMENSION_MISMATCH", "input.query.vector"),
        (&cosine, base64(&[f32::NAN, 0.0, 1.0]), "BAD_USER_INPUT", "input.query.vector.0"),
        (&cosine, base64(&[0.0, 1.0, f32::INFINITY]), "BAD_USER_INPUT", "input.query.vector.2"),
        (&l2, base64(&[0.0, f32::NEG_INFINITY, 0.0]), "BAD_USER_INPUT", "input.query.vector.1"),
    ] {
        refusals.check([(SEARCH, search_by(collection, query), code, field)]).await;
    }
    for (metadata, code) in [
        (json!([]), "BAD_USER_INPUT"),
        (json!("x"), "BAD_USER_INPUT"),
        (json!({ "a": "\0" }), "BAD_USER_INPUT"),
        (json!({ "a": { "\0": 1 } }), "BAD_USER_INPUT"),
        (json!({ "a": "x".repeat(64 * 1024) }), "PAYLOAD_TOO_LARGE"),
    ] {
        let input = search_input(&model, json!({ "filter": { "metadata": metadata } }));
        refusals.check([(SEARCH, input, code, "input.filter.metadata")]).await;
    }
    refusals.are_kept_as("refused_searches");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn a_zero_vector_is_refused_only_where_it_has_no_meaning() {
    let app = TestApp::builder().without_workers().start().await;
    for metric in ["L2", "INNER_PRODUCT"] {
        let own = json!({ "name": metric, "embedding": { "dimensions": 2 }, "metric": metric });
        let collection = app.collection_with(own).await;
        let found = app.search_with(json!({ "collectionId": collection, "query": { "vector": [0, 0] } })).await;
        assert_eq!(found["hits"], json!([]), "{metric}");
    }
}

#[tokio::test]
async fn text_with_nul_never_reaches_the_database_through_a_look_up() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let refusals = Refusals::of(&app).await;
    let by_name = "query($name: String!) { collectionByName(name: $name) { id } }";
    let by_source = "query($id: ID!, $uri: String!) {
        collection(id: $id) { documents(sourceUri: $uri) { totalCount } } }";
    let by_hash = "query($id: ID!, $hash: String!) {
        collection(id: $id) { documents(contentHash: $hash) { totalCount } } }";
    let long = "x".repeat(2_049);
    refusals
        .check([
            (by_name, json!({ "name": "a\0b" }), "BAD_USER_INPUT", "name"),
            (by_name, json!({ "name": "" }), "BAD_USER_INPUT", "name"),
            (by_name, json!({ "name": "x".repeat(256) }), "BAD_USER_INPUT", "name"),
            (by_source, json!({ "id": collection, "uri": "a\0b" }), "BAD_USER_INPUT", "sourceUri"),
            (by_source, json!({ "id": collection, "uri": long }), "BAD_USER_INPUT", "sourceUri"),
            (by_hash, json!({ "id": collection, "hash": "a\0b" }), "BAD_USER_INPUT", "contentHash"),
            (by_hash, json!({ "id": collection, "hash": "0".repeat(63) }), "BAD_USER_INPUT", "contentHash"),
        ])
        .await;
    refusals.are_kept_as("refused_look_ups");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn a_subscription_to_no_run_or_after_no_cursor_ends_with_the_refusal() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let payload = app.ingest(&collection, json!([{ "source": { "text": "cats" } }])).await;
    let run = id(&payload["run"]);
    let mut socket = app.websocket().await;
    for (variables, code, field) in [
        (json!({ "run": format!("run_{UNKNOWN}") }), "NOT_FOUND", "runId"),
        (json!({ "run": collection }), "BAD_USER_INPUT", "runId"),
        (json!({ "run": run, "after": "a\0b" }), "BAD_USER_INPUT", "after"),
    ] {
        let query = "subscription($run: ID!, $after: String) { ingestProgress(runId: $run, after: $after) { cursor } }";
        socket.subscribe("1", query, variables.clone()).await;
        let message = socket.next().await.expect("an answer");
        let errors = if message["type"] == "error" { &message["payload"] } else { &message["payload"]["errors"] };
        let extensions = &errors[0]["extensions"];
        assert_eq!(
            (&extensions["code"], &extensions["field"]),
            (&json!(code), &json!(field)),
            "{variables}: {message}"
        );
        if message["type"] == "next" {
            assert_eq!(socket.next().await.expect("the end")["type"], "complete");
        }
    }
}
