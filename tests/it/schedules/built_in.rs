//! What the leader does at the times of the built-in schedules.

use serde_json::json;
use uuid::Uuid;
use vectorforge::store::DEFAULT_TENANT;

use crate::support::gql::id;
use crate::support::{TestApp, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_workers_job_is_swept_up() {
    let app = TestApp::start().await;
    let job = Uuid::now_v7();
    let sql = format!(
        "INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, state, max_attempts)
         VALUES ('{job}', '{DEFAULT_TENANT}', 'nobodys', 'unknown', '{{}}', 1, 'PENDING', 5);
         UPDATE jobs SET state = 'RUNNING', leases = 1, attempts = 1, lease_holder = '{job}',
             lease_token = '{job}', lease_until = now() - interval '1 s' WHERE id = '{job}'"
    );
    app.database.execute(&sql).await;
    let swept = format!(
        "SELECT count(*) FROM job_events WHERE job_id = '{job}' AND kind = 'RETRYING' AND error_code = 'WORKER_LOST'"
    );
    until("the job to be swept up", async || (app.database.number(&swept).await == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn retention_removes_what_has_been_over_for_long_with_all_that_belongs_to_it() {
    let app = TestApp::builder()
        .set("schedule.retention", "* * * * * *")
        .set("retention.succeeded_s", 3600)
        .set("retention.cancelled_s", 7200)
        .set("retention.runs_s", 7200)
        .start()
        .await;
    let collection = app.collection("notes").await;
    let mut runs = Vec::new();
    for text in ["old", "young", "younger", "older"] {
        runs.push(id(&app.ingest_to_end(&collection, json!([{ "source": { "text": text } }])).await["run"]));
    }
    app.drain().await;
    app.database
        .execute(
            "WITH numbered AS (SELECT id, row_number() OVER (ORDER BY id) AS place FROM jobs)
             UPDATE jobs j SET finished_at = now() - CASE place WHEN 1 THEN 2 ELSE 3 END * interval '1 h'
             FROM numbered n WHERE n.id = j.id AND place IN (1, 4);
             UPDATE ingestion_runs SET finished_at = now() - interval '3 h'
             WHERE id = (SELECT id FROM ingestion_runs ORDER BY id DESC LIMIT 1)",
        )
        .await;
    let jobs = "SELECT count(*) FROM jobs";
    until("old jobs to go", async || (app.database.number(jobs).await == 2).then_some(())).await;
    let left_over = "SELECT (SELECT count(*) FROM job_events e WHERE NOT EXISTS (SELECT FROM jobs WHERE id = e.job_id))
        + (SELECT count(*) FROM job_steps s WHERE NOT EXISTS (SELECT FROM jobs WHERE id = s.job_id))";
    assert_eq!(app.database.number(left_over).await, 0);
    let runs_left = "SELECT count(*) FROM ingestion_runs";
    until("the old run to go", async || (app.database.number(runs_left).await == 3).then_some(())).await;
    assert_eq!(app.database.number("SELECT count(*) FROM documents").await, 4, "documents are nobody's history");
    let run = app.data("query($id: ID!) { run(id: $id) { id } }", json!({ "id": runs[3] })).await;
    assert_eq!(run["run"], json!(null));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_document_is_deleted_and_its_expiry_can_be_moved_or_taken_away() {
    let app = TestApp::start().await;
    let collection = app.collection("notes").await;
    let (past, future) = ("2001-01-01T00:00:00Z", "2999-01-01T00:00:00Z");
    let document = |text: &str, at: &str| json!({ "source": { "text": text }, "expiresAt": at });
    let stays = app.indexed(&collection, document("stays", future)).await;
    let moved = app.indexed(&collection, document("moved", future)).await;
    let update = "mutation($input: UpdateDocumentInput!) { updateDocument(input: $input) { document { expiresAt } } }";
    let set = async |input| app.data(update, json!({ "input": input })).await["updateDocument"]["document"].take();
    assert_eq!(set(json!({ "id": id(&stays), "title": "x" })).await["expiresAt"], "2999-01-01T00:00:00+00:00");
    assert_eq!(set(json!({ "id": id(&stays), "expiresAt": null })).await["expiresAt"], json!(null));
    set(json!({ "id": id(&moved), "expiresAt": past })).await;
    app.ingest(&collection, json!([document("gone", past)])).await;
    let left = "SELECT coalesce(title, '') FROM documents";
    until("the expired ones to go", async || (app.database.texts(left).await == ["x"]).then_some(())).await;
}
