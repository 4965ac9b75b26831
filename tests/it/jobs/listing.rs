//! `jobs` and `job`: which jobs there are, and everything about one.

use models::ModelFault;
use serde_json::{Value as Json, json};

use super::{bad_document, collection, document, job, job_ids};
use crate::support::TestApp;
use crate::support::documents::each;
use crate::support::gql::id;
use crate::support::watch::Watch;

const LIST: &str = "query($filter: JobFilterInput, $first: Int, $after: String) {
    jobs(filter: $filter, first: $first, after: $after) { totalCount isTotalExact
        pageInfo { hasNextPage endCursor } edges { node { id } } } }";

/// Ids of the first page of jobs that a filter finds.
async fn found(app: &TestApp, filter: &Json) -> Vec<String> {
    let page = app.data(LIST, json!({ "filter": filter, "first": 100 })).await["jobs"].take();
    let ids: Vec<_> = page["edges"].as_array().expect("edges").iter().map(|edge| id(&edge["node"])).collect();
    assert_eq!((&page["totalCount"], &page["isTotalExact"]), (&json!(ids.len()), &json!(true)), "{filter}");
    ids
}

#[tokio::test]
async fn the_newest_jobs_come_first_and_paging_shows_each_once() {
    let app = TestApp::builder().without_workers().set("graphql.count_limit", 4).start().await;
    let collection = collection(&app).await;
    let documents: Vec<_> = (0..5).map(|n| document(&format!("d{n}"), 1)).collect();
    let mut expected = job_ids(&app.ingest(&collection, json!(documents)).await);
    expected.reverse();
    let (mut seen, mut after) = (Vec::new(), Json::Null);
    loop {
        let page = app.data(LIST, json!({ "first": 2, "after": after })).await["jobs"].take();
        assert_eq!((&page["totalCount"], &page["isTotalExact"]), (&json!(4), &json!(false)), "counted to the limit");
        seen.extend(page["edges"].as_array().expect("edges").iter().map(|edge| id(&edge["node"])));
        if page["pageInfo"]["hasNextPage"] == false {
            break;
        }
        after = page["pageInfo"]["endCursor"].clone();
    }
    assert_eq!(seen, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_finds_the_jobs_for_which_each_of_its_conditions_holds() {
    let app = TestApp::start().await;
    let (docs, other) = (collection(&app).await, app.collection("other").await);
    let first = app.ingest(&docs, json!([document("a", 1), bad_document("b")])).await;
    let second = app.ingest(&other, json!([document("c", 1)])).await;
    app.drain().await;
    let ([a, b], [c]) = (&job_ids(&first)[..], &job_ids(&second)[..]) else { panic!("three jobs") };
    app.database.execute("UPDATE jobs SET created_at = '2020-01-01' WHERE state = 'DEAD'").await;
    app.database
        .execute("UPDATE jobs SET schedule_id = '00000000-0000-7000-8000-00000000000a' WHERE state = 'DEAD'")
        .await;
    let tenant = job(&app, a, "tenantId").await["tenantId"].clone();
    let stranger = format!("ten_{}", "0".repeat(32));
    let schedule = |digit: &str| format!("sch_0000000000007000800000000000000{digit}");
    for (filter, expected) in [
        (json!({}), vec![c, b, a]),
        (json!({ "ids": [a, c, a] }), vec![c, a]),
        (json!({ "ids": [] }), vec![]),
        (json!({ "queues": ["ingest"] }), vec![c, b, a]),
        (json!({ "queues": ["maintenance"] }), vec![]),
        (json!({ "kinds": ["ingest_document"], "states": ["SUCCEEDED"] }), vec![c, a]),
        (json!({ "kinds": ["build_index"] }), vec![]),
        (json!({ "states": ["DEAD", "RUNNING"] }), vec![b]),
        (json!({ "states": [] }), vec![]),
        (json!({ "tenantId": tenant }), vec![c, b, a]),
        (json!({ "tenantId": stranger }), vec![]),
        (json!({ "tenantId": stranger, "ids": [a] }), vec![]),
        (json!({ "collectionId": other }), vec![c]),
        (json!({ "documentId": id(&first["documents"][1]["document"]) }), vec![b]),
        (json!({ "runId": id(&first["run"]) }), vec![b, a]),
        (json!({ "runId": id(&first["run"]), "states": ["SUCCEEDED"] }), vec![a]),
        (json!({ "scheduleId": schedule("a") }), vec![b]),
        (json!({ "scheduleId": schedule("b") }), vec![]),
        (json!({ "errorCodes": ["BAD_USER_INPUT"] }), vec![b]),
        (json!({ "errorCodes": ["INTERNAL"] }), vec![]),
        (json!({ "createdBefore": "2021-01-01T00:00:00Z" }), vec![b]),
        (json!({ "createdAfter": "2021-01-01T00:00:00Z" }), vec![c, a]),
    ] {
        assert_eq!(found(&app, &filter).await.iter().collect::<Vec<_>>(), expected, "{filter}");
    }
}

#[tokio::test]
async fn a_caller_neither_sees_nor_steers_the_jobs_of_another_tenant() {
    let app = TestApp::builder().without_workers().start().await;
    let own = job_ids(&app.ingest(&collection(&app).await, json!([document("own", 1)])).await);
    let (theirs, tenant) = ("00000000000070008000000000000001", "00000000000070008000000000000002");
    app.database
        .execute(&format!(
            "INSERT INTO tenants (id, name) VALUES ('{tenant}', 'theirs');
             INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, state, max_attempts)
             VALUES ('{theirs}', '{tenant}', 'ingest', 'test', '{{}}', 1, 'PENDING', 5)"
        ))
        .await;
    let theirs = format!("job_{theirs}");
    assert_eq!(found(&app, &json!({})).await, own);
    assert_eq!(found(&app, &json!({ "tenantId": format!("ten_{tenant}") })).await, [""; 0]);
    assert_eq!(job(&app, &theirs, "id").await, Json::Null);
    assert_eq!(super::reasons(&super::cancel(&app, std::slice::from_ref(&theirs)).await), ["NOT_FOUND"]);
    assert_eq!(app.database.number("SELECT count(*) FROM jobs WHERE state = 'PENDING'").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_tells_its_attempts_steps_events_and_payload() {
    let (embedder, builder) = super::steered();
    embedder.faults.lock().expect("ours").push_back(ModelFault::Unavailable(anyhow::anyhow!("down")));
    let app = builder.start().await;
    let collection = collection(&app).await;
    let payload = app.ingest_to_end(&collection, json!([document("large", 5), document("small", 1)])).await;
    app.drain().await;
    let [large, small] = &job_ids(&payload)[..] else { panic!("two jobs") };
    let fields = "kind queue state priority redrives stage provider uniqueKey leaseUntil isStalled scheduleId
        worker { id } collection { id } document { title } run { id } payload { version sizeBytes isShortened summary }
        attempts maxAttempts steps { name state attempts result finishedAt error { code } }
        attemptHistory { startedAt endedAt workerId outcome stage error { code message } }
        events(first: 100) { edges { cursor node { cursor kind state attempts stage progress { done total unit }
            error { code } workerId } } } wait { reason }";
    let both = [job(&app, large, fields).await, job(&app, small, fields).await];
    for (job, steps) in both.iter().zip([5, 1]) {
        assert_eq!(job["state"], "SUCCEEDED");
        assert_eq!((&job["provider"], &job["collection"]["id"]), (&json!("test"), &json!(collection)));
        assert_eq!(job["run"]["id"], payload["run"]["id"]);
        assert_eq!((&job["wait"], &job["isStalled"], &job["leaseUntil"]), (&Json::Null, &json!(false), &Json::Null));
        let shown = job["steps"].as_array().expect("steps");
        let names: Vec<_> = shown.iter().map(|step| (&step["name"], &step["state"])).collect();
        let expected = ["load", "embed", "publish"].map(|name| (json!(name), json!("FINISHED")));
        assert_eq!(names, expected.iter().map(|(name, state)| (name, state)).collect::<Vec<_>>(), "{steps} chunks");
        assert!(shown.iter().all(|step| step["finishedAt"].is_string() && step["error"].is_null()), "{shown:?}");
        assert_eq!(job["payload"]["isShortened"], false);
        assert_eq!(job["payload"]["summary"]["version"], 1, "{}", job["payload"]);
    }
    assert_eq!(both[0]["steps"][0]["result"]["chunks"], 5);
    let failed = both.iter().find(|job| job["attempts"] == 2).expect("one of them met the fault");
    let history = failed["attemptHistory"].as_array().expect("attempts");
    assert_eq!(each(history, "outcome"), ["RETRYING", "SUCCEEDED"]);
    assert_eq!(history[0]["error"]["code"], "UNAVAILABLE");
    assert!(history[0]["error"]["message"].as_str().is_some_and(|message| message.contains("embed the text")));
    assert_eq!(history[1]["error"], Json::Null);
    assert!(history.iter().all(|attempt| attempt["endedAt"].as_str() > attempt["startedAt"].as_str()));
    assert!(history.iter().all(|attempt| attempt["workerId"].as_str().is_some_and(|id| id.starts_with("wrk_"))));
    let events: Vec<_> =
        failed["events"]["edges"].as_array().expect("edges").iter().map(|edge| edge["node"].clone()).collect();
    let kinds: Vec<_> = each(&events, "kind").into_iter().filter(|kind| kind != "PROGRESSED").collect();
    assert_eq!(kinds, ["ENQUEUED", "STARTED", "RETRYING", "DUE", "STARTED", "SUCCEEDED"]);
    assert_eq!(events.last().expect("events")["state"], "SUCCEEDED");
}

#[tokio::test]
async fn a_page_of_jobs_costs_the_same_number_of_statements_whatever_its_length() {
    let writer = TestApp::builder().without_workers().start().await;
    let collection = collection(&writer).await;
    let documents: Vec<_> = (0..20).map(|n| document(&format!("d{n}"), 1)).collect();
    writer.ingest(&collection, json!(documents)).await;
    let reader = TestApp::builder().database(writer.database.clone()).without_workers();
    let reader = reader.set("database.statement_log", true).set("database.slow_statement_ms", 3_600_000).start().await;
    let watch = Watch::this_thread();
    let query = "query($first: Int!) { jobs(first: $first) { totalCount isTotalExact edges { node { id stage
        worker { id } steps { name state } attemptHistory { outcome } wait { reason position expectedStartAt }
        events(first: 3) { edges { node { kind job { state } } } } document { title } collection { name } run { state } } } } }";
    let mut counts = Vec::new();
    for first in [2, 20] {
        let mut fewest = usize::MAX;
        for _ in 0..5 {
            watch.take_statements();
            let data = reader.data(query, json!({ "first": first })).await;
            assert_eq!(data["jobs"]["edges"].as_array().map(Vec::len), Some(first));
            fewest = fewest.min(watch.take_statements().len());
        }
        counts.push(fewest);
    }
    assert!(counts[0] > 5, "the watch sees nothing: {counts:?}");
    assert_eq!(counts[0], counts[1]);
}
