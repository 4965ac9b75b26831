//! Dates and times at the edges of what RFC 3339 can write, in every input that takes one.

use serde_json::{Value as Json, json};

use crate::support::TestApp;
use crate::support::gql::id;
use crate::support::refusal::Refusals;

const JOBS: &str = "query($at: DateTime) { jobs(filter: { createdAfter: $at }) { totalCount } }";
const INGEST: &str = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) {
    documents { document { id expiresAt } } } }";
const UPDATE: &str =
    "mutation($input: UpdateDocumentInput!) { updateDocument(input: $input) { document { expiresAt } } }";

/// What no database, no client and no calendar agree on.
const REFUSED: [&str; 12] = [
    "-262000-01-01T00:00:00Z",
    "-4713-01-01T00:00:00Z",
    "0000-12-31T23:59:59Z",
    "0001-01-01T00:00:00+00:01",
    "9999-12-31T23:59:59-00:01",
    "10000-01-01T00:00:00Z",
    "+10000-01-01T00:00:00Z",
    "+262142-12-31T23:59:59.999999999Z",
    "294277-01-01T00:00:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-01 00:00",
    "",
];

fn ingest(collection: &str, at: &str) -> Json {
    let document = json!({ "source": { "text": "words" }, "sourceUri": format!("x:{at}"), "expiresAt": at });
    json!({ "input": { "collectionId": collection, "documents": [document] } })
}

#[tokio::test]
async fn a_time_outside_the_years_0001_to_9999_is_refused_by_its_field_in_every_input() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    let document = app.ingest(&collection, json!([{ "source": { "text": "there" } }])).await;
    let document = id(&document["documents"][0]["document"]);
    let refusals = Refusals::of(&app).await;
    for at in REFUSED {
        refusals
            .check([
                (JOBS, json!({ "at": at }), "BAD_USER_INPUT", "filter.createdAfter"),
                (INGEST, ingest(&collection, at), "BAD_USER_INPUT", "input.documents.0.expiresAt"),
                (UPDATE, json!({ "input": { "id": document, "expiresAt": at } }), "BAD_USER_INPUT", "input.expiresAt"),
            ])
            .await;
        for field in ["createdAfter", "createdBefore"] {
            let literal = format!("{{ jobs(filter: {{ {field}: \"{at}\" }}) {{ totalCount }} }}");
            refusals.check([(&*literal, json!({}), "BAD_USER_INPUT", &*format!("filter.{field}"))]).await;
        }
    }
    refusals.are_kept_as("refused_times");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn the_first_and_the_last_time_of_these_years_come_back_as_they_went_in() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    for at in ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "2026-02-28T23:59:59.5"] {
        let data = app.data(INGEST, ingest(&collection, &format!("{at}Z"))).await;
        let told = data["ingestDocuments"]["documents"][0]["document"]["expiresAt"].as_str().expect("a time");
        let [told, given] = [told, &format!("{at}Z")].map(|at| chrono::DateTime::parse_from_rfc3339(at).expect(at));
        assert_eq!(told, given);
        app.data(JOBS, json!({ "at": format!("{at}Z") })).await;
    }
}

#[tokio::test]
async fn a_time_that_an_earlier_version_stored_is_told_as_the_nearest_that_can_be_written() {
    let app = TestApp::builder().without_workers().start().await;
    let collection = app.collection("docs").await;
    for (stored, told) in [
        ("12026-01-01 00:00:00+00", "9999-12-31T23:59:59.999999+00:00"),
        ("4000-01-01 00:00:00+00 BC", "0001-01-01T00:00:00+00:00"),
    ] {
        let payload = app.ingest(&collection, json!([{ "source": { "text": stored } }])).await;
        let document = id(&payload["documents"][0]["document"]);
        app.database.execute(&format!("UPDATE documents SET expires_at = '{stored}' WHERE expires_at IS NULL")).await;
        let data = app.data("query($id: ID!) { document(id: $id) { expiresAt } }", json!({ "id": document })).await;
        assert_eq!(data["document"]["expiresAt"], told);
    }
}
