//! What is refused, and how it is told.

use serde_json::json;

use super::{collection, document, job_ids};
use crate::support::TestApp;
use crate::support::refusal::Refusals;

const JOBS: &str = "query($filter: JobFilterInput, $first: Int! = 20, $after: String) {
    jobs(filter: $filter, first: $first, after: $after) { edges { node { id } } } }";
const CANCEL: &str = "mutation($input: SelectJobsInput!) { cancelJobs(input: $input) { changedCount } }";
const PREFER: &str = "mutation($input: SetJobPriorityInput!) { setJobPriority(input: $input) { changedCount } }";

#[tokio::test]
async fn bad_input_is_refused_by_field_and_changes_nothing() {
    let app = TestApp::builder().without_workers().set("queue.selection_limit", 5).start().await;
    let job = job_ids(&app.ingest(&collection(&app).await, json!([document("a", 1)])).await).remove(0);
    let refusals = Refusals::of(&app).await;
    let filter = |filter| json!({ "filter": filter });
    let ids = |ids| json!({ "input": { "selection": { "ids": ids } } });
    let six = vec![job.as_str(); 6];
    let bad = "BAD_USER_INPUT";
    refusals
        .check([
            (JOBS, filter(json!({ "ids": [job, "x"] })), bad, "filter.ids.1"),
            (JOBS, filter(json!({ "ids": six })), bad, "filter.ids"),
            (JOBS, filter(json!({ "queues": ["ingest", "none"] })), bad, "filter.queues.1"),
            (JOBS, filter(json!({ "kinds": [""] })), bad, "filter.kinds.0"),
            (JOBS, filter(json!({ "errorCodes": ["a\0"] })), bad, "filter.errorCodes.0"),
            (JOBS, filter(json!({ "tenantId": job })), bad, "filter.tenantId"),
            (JOBS, filter(json!({ "collectionId": job })), bad, "filter.collectionId"),
            (JOBS, filter(json!({ "documentId": "doc_" })), bad, "filter.documentId"),
            (JOBS, filter(json!({ "runId": "" })), bad, "filter.runId"),
            (JOBS, filter(json!({ "scheduleId": "sch_x" })), bad, "filter.scheduleId"),
            (JOBS, json!({ "first": 0 }), bad, "first"),
            (JOBS, json!({ "first": 101 }), bad, "first"),
            (JOBS, json!({ "after": "x" }), bad, "after"),
            (CANCEL, ids(json!([job, job, job, "x"])), bad, "input.selection.ids.3"),
            (CANCEL, ids(json!(six)), bad, "input.selection.ids"),
            (
                CANCEL,
                json!({ "input": { "selection": { "filter": { "queues": ["none"] } } } }),
                bad,
                "input.selection.filter.queues.0",
            ),
            (PREFER, json!({ "input": { "selection": { "ids": [job] }, "priority": 1_001 } }), bad, "input.priority"),
            (PREFER, json!({ "input": { "selection": { "ids": [job] }, "priority": -1_001 } }), bad, "input.priority"),
            ("{ queue(name: \"none\") { name } }", json!({}), bad, "name"),
            ("mutation { pauseQueue(input: { name: \"none\" }) { changed } }", json!({}), bad, "input.name"),
            ("mutation { resumeQueue(input: { name: \"a\\u0000\" }) { changed } }", json!({}), bad, "input.name"),
            (
                "query($id: ID!) { job(id: $id) { events(first: 0) { edges { cursor } } } }",
                json!({ "id": job }),
                bad,
                "first",
            ),
        ])
        .await;
    refusals.are_kept_as("refused_calls_on_jobs");
    refusals.left_nothing().await;
}

#[tokio::test]
async fn an_unknown_queue_is_told_with_those_that_are_known() {
    let app = TestApp::builder().without_workers().start().await;
    let refused = app.refusal("mutation { pauseQueue(input: { name: \"none\" }) { changed } }", json!({})).await;
    assert_eq!((&refused["got"], &refused["expected"]), (&json!("none"), &json!("a queue: ingest, maintenance")));
}

#[tokio::test]
async fn what_the_schema_does_not_know_is_refused() {
    let app = TestApp::builder().without_workers().start().await;
    for (query, variables) in [
        (JOBS, json!({ "filter": { "states": ["ASLEEP"] } })),
        (CANCEL, json!({ "input": { "selection": {} } })),
        (CANCEL, json!({ "input": { "selection": { "ids": [], "filter": {} } } })),
        (PREFER, json!({ "input": { "selection": { "ids": [] } } })),
    ] {
        let refused = app.refusal(query, variables.clone()).await;
        let code = refused["code"].as_str().expect("a code");
        assert!(["GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT"].contains(&code), "{variables}: {refused}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_subscription_to_what_is_not_there_is_refused() {
    let app = TestApp::builder().without_workers().start().await;
    let nowhere = format!("job_{}", "0".repeat(32));
    for (query, code, field) in [
        (format!("jobUpdated(jobId: \"{nowhere}\") {{ cursor }}"), "NOT_FOUND", "jobId"),
        ("jobUpdated(jobId: \"x\") { cursor }".to_owned(), "BAD_USER_INPUT", "jobId"),
        // What is not there has no list that a cursor could be of.
        (format!("jobUpdated(jobId: \"{nowhere}\", after: \"x\") {{ cursor }}"), "NOT_FOUND", "jobId"),
        ("queueUpdated(queue: \"none\") { cursor }".to_owned(), "BAD_USER_INPUT", "queue"),
        ("queueUpdated(queue: \"ingest\", after: \"x\") { cursor }".to_owned(), "BAD_USER_INPUT", "after"),
    ] {
        let mut socket = app.websocket().await;
        socket.subscribe("1", &format!("subscription {{ {query} }}"), json!({})).await;
        let message = socket.next().await.expect("an answer");
        let error = message.pointer("/payload/errors/0").or_else(|| message.pointer("/payload/0"));
        let extensions = &error.unwrap_or_else(|| panic!("no error in {message}"))["extensions"];
        assert_eq!((&extensions["code"], &extensions["field"]), (&json!(code), &json!(field)), "{query}");
    }
}
