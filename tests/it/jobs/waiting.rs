//! Why a job waits, its place in line, and when it may start. A job that waits is never stalled.

use serde_json::{Value as Json, json};

use super::{collection, document, job, job_ids, steered, until_embedding, until_state};
use crate::support::gql::id;
use crate::support::{TestApp, until};

const WAIT: &str = "state isStalled wait { reason position isPositionExact expectedStartAt }";

async fn until_reason(app: &TestApp, job_id: &str, reason: &str) -> Json {
    let what = format!("{job_id} to wait because of {reason}");
    until(&what, async || Some(job(app, job_id, WAIT).await).filter(|job| job["wait"]["reason"] == reason)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_workers_a_job_tells_its_place_and_promises_nothing() {
    let app = TestApp::builder().without_workers().set("queue.position_limit", 3).start().await;
    let documents: Vec<_> = (0..5).map(|n| document(&format!("d{n}"), 1)).collect();
    let jobs = job_ids(&app.ingest(&collection(&app).await, json!(documents)).await);
    for (place, job_id) in jobs.iter().enumerate() {
        let shown = job(&app, job_id, WAIT).await;
        let wait = json!({ "reason": "NO_WORKERS", "position": (place + 1).min(4), "isPositionExact": place < 3,
            "expectedStartAt": null });
        assert_eq!(shown, json!({ "state": "PENDING", "isStalled": false, "wait": wait }), "place {place}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queued_job_is_told_when_it_may_start_and_a_starved_one_is_not_stalled() {
    let (embedder, builder) = steered();
    // A rate as after an hour of two jobs a second, which no chore renews.
    let app = builder.set("queue.workers", 1).set("schedule.statistics", "0 0 0 1 1 *").start().await;
    let collection = collection(&app).await;
    app.database
        .execute("INSERT INTO queues (name, rate_per_s) VALUES ('ingest', 2) ON CONFLICT (name) DO UPDATE SET rate_per_s = 2")
        .await;
    embedder.gate.shut();
    let documents: Vec<_> = (0..4).map(|n| document(&format!("d{n}"), 1)).collect();
    let jobs = job_ids(&app.ingest(&collection, json!(documents)).await);
    until_embedding(&embedder, 1).await;
    // As if it had waited for a day.
    app.database
        .execute("UPDATE jobs SET run_at = now() - interval '1 day', created_at = now() - interval '1 day'")
        .await;
    for (place, job_id) in jobs[1..].iter().enumerate() {
        let shown = until_reason(&app, job_id, "QUEUED").await;
        assert_eq!((&shown["wait"]["position"], &shown["isStalled"]), (&json!(place + 1), &json!(false)));
        assert!(shown["wait"]["expectedStartAt"].is_string(), "{shown}");
    }
    let running = job(&app, &jobs[0], "state isStalled leaseUntil wait { reason } worker { isAlive }").await;
    assert_eq!(
        (&running["state"], &running["isStalled"], &running["wait"]),
        (&json!("RUNNING"), &json!(false), &Json::Null)
    );
    assert!(running["leaseUntil"].is_string(), "{running}");
    until("the worker to be known", async || {
        (job(&app, &jobs[0], "worker { isAlive }").await["worker"]["isAlive"] == true).then_some(())
    })
    .await;
    embedder.gate.open();
    app.drain().await;
    assert_eq!(job(&app, &jobs[3], "attempts state").await, json!({ "attempts": 1, "state": "SUCCEEDED" }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_job_whose_lease_ran_out_is_stalled() {
    let app = TestApp::builder().without_workers().start().await;
    let jobs = job_ids(&app.ingest(&collection(&app).await, json!([document("a", 1)])).await);
    let lease = "UPDATE jobs SET state = 'RUNNING', leases = 1, attempts = 1, lease_holder = gen_random_uuid(), lease_until = now()";
    app.database.execute(&format!("{lease} + interval '1 hour'")).await;
    assert_eq!(job(&app, &jobs[0], "isStalled").await["isStalled"], false);
    app.database.execute("UPDATE jobs SET lease_until = now() - interval '1 s'").await;
    assert_eq!(job(&app, &jobs[0], "isStalled wait { reason }").await, json!({ "isStalled": true, "wait": null }));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_that_a_limit_holds_back_says_so() {
    let app = TestApp::builder().set("queue.poll_ms", 50).start().await;
    until("a worker", async || (app.database.number("SELECT count(*) FROM workers").await == 1).then_some(())).await;
    let collection = collection(&app).await;
    app.database
        .execute("INSERT INTO job_limits (scope, key, concurrency) VALUES ('KIND', 'ingest_document', 0)")
        .await;
    let jobs = job_ids(&app.ingest(&collection, json!([document("a", 1)])).await);
    let shown = until_reason(&app, &jobs[0], "LIMITED").await;
    assert_eq!((&shown["wait"]["position"], &shown["wait"]["expectedStartAt"]), (&json!(1), &Json::Null));
    app.database.execute("DELETE FROM job_limits").await;
    until_state(&app, &jobs[0], "SUCCEEDED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduled_job_starts_at_its_time() {
    let app = TestApp::start().await;
    until("a worker", async || (app.database.number("SELECT count(*) FROM workers").await == 1).then_some(())).await;
    app.database
        .execute(
            "INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, state, max_attempts, run_at)
             SELECT '00000000-0000-7000-8000-00000000000a', id, 'ingest', 'test', '{}', 1, 'SCHEDULED', 5, '2126-01-01'
             FROM tenants LIMIT 1",
        )
        .await;
    let job_id = id(&json!({ "id": "job_0000000000007000800000000000000a" }));
    let shown = until_reason(&app, &job_id, "SCHEDULED").await;
    assert_eq!((&shown["wait"]["position"], &shown["state"]), (&Json::Null, &json!("SCHEDULED")));
    assert!(
        shown["wait"]["expectedStartAt"].as_str().is_some_and(|at| at.starts_with("2126-01-01T00:00:00")),
        "{shown}"
    );
}
