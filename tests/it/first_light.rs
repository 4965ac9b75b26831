//! The thinnest path, end to end.

use serde_json::json;

use crate::support::TestApp;
use crate::support::gql::id;

#[tokio::test(flavor = "multi_thread")]
async fn a_document_is_ingested_followed_and_found() {
    let app = TestApp::start().await;
    let collection = app.collection("docs").await;
    let documents = json!([
        { "source": { "text": "# Cats\n\ncats sleep all day" }, "contentType": "text/markdown", "sourceUri": "a:1" },
        { "source": { "text": "postgres stores rows" } },
    ]);
    let payload = app.ingest(&collection, documents).await;
    let events = app.progress(&id(&payload["run"]), None).await;
    assert_eq!(events.first().expect("events")["kind"], "RUN_ACCEPTED");
    assert_eq!(events.last().expect("events")["kind"], "RUN_FINISHED");
    assert_eq!(events.last().expect("events")["run"]["documentsDone"], 2);

    let found = app.search(&collection, "where do cats sleep").await;
    assert_eq!(found["hits"][0]["chunk"]["document"]["title"], "Cats");
    assert_eq!(found["info"]["exact"], true);
    assert_eq!(found["info"]["shortfall"], "NO_MORE_MATCHES");
}
