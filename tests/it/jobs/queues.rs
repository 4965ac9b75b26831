//! Queues and workers: how deep, how fast, who works; pausing and resuming.

use serde_json::{Value as Json, json};

use super::{bad_document, collection, document, job_ids, set_paused, steered, until_embedding, until_state};
use crate::support::documents::each;
use crate::support::{TestApp, until};

const QUEUE: &str = "query($name: String!) { queue(name: $name) { name isPaused pausedAt running slots ratePerSecond
    oldestPendingAt oldestPendingSeconds depth { state jobs } } }";

async fn queue(app: &TestApp, name: &str) -> Json {
    app.data(QUEUE, json!({ "name": name })).await["queue"].take()
}

fn depth(queue: &Json) -> Vec<(String, i64)> {
    let states = queue["depth"].as_array().expect("states");
    let shown =
        |depth: &Json| (depth["state"].as_str().expect("a state").to_owned(), depth["jobs"].as_i64().expect("a count"));
    states.iter().map(shown).filter(|(_, jobs)| *jobs != 0).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_tells_its_depth_by_state_what_runs_and_who_has_waited_longest() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.workers", 1).start().await;
    let empty = queue(&app, "ingest").await;
    assert_eq!(each(empty["depth"].as_array().expect("states"), "jobs"), [0; 7]);
    assert_eq!((&empty["oldestPendingAt"], &empty["oldestPendingSeconds"]), (&Json::Null, &Json::Null));
    let collection = collection(&app).await;
    app.ingest_to_end(&collection, json!([document("done", 1), bad_document("bad")])).await;
    embedder.gate.shut();
    let calls = embedder.calls.load(std::sync::atomic::Ordering::SeqCst);
    app.ingest(&collection, json!([document("held", 1), document("waits", 1)])).await;
    until_embedding(&embedder, calls + 1).await;
    let busy = queue(&app, "ingest").await;
    let expected = [("PENDING", 1), ("RUNNING", 1), ("SUCCEEDED", 1), ("DEAD", 1)];
    assert_eq!(depth(&busy), expected.map(|(state, jobs)| (state.to_owned(), jobs)));
    assert_eq!((&busy["running"], &busy["slots"]), (&json!(1), &json!(1)));
    assert!(busy["oldestPendingAt"].is_string() && busy["oldestPendingSeconds"].as_f64() >= Some(0.0), "{busy}");

    let workers = app
        .data("{ workers { id host pid version startedAt seenAt isAlive running slots { queue slots } } }", json!({}))
        .await;
    let [worker] = &workers["workers"].as_array().expect("workers")[..] else { panic!("one process: {workers}") };
    assert_eq!(
        (&worker["isAlive"], &worker["running"], &worker["pid"]),
        (&json!(true), &json!(1), &json!(std::process::id()))
    );
    assert!(worker["slots"].as_array().expect("slots").contains(&json!({ "queue": "ingest", "slots": 1 })), "{worker}");
    embedder.gate.open();
    app.drain().await;
    until("a rate", async || (queue(&app, "ingest").await["ratePerSecond"].as_f64() > Some(0.0)).then_some(())).await;
    let all = app.data("{ queues { name } }", json!({})).await;
    assert_eq!(each(all["queues"].as_array().expect("queues"), "name"), ["ingest", "maintenance"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_queue_starts_nothing_lets_what_runs_end_and_goes_on_where_it_stopped() {
    let (embedder, builder) = steered();
    let app = builder.set("queue.workers", 1).start().await;
    let collection = collection(&app).await;
    embedder.gate.shut();
    let running = job_ids(&app.ingest(&collection, json!([document("runs", 1)])).await).remove(0);
    until_embedding(&embedder, 1).await;
    let paused = set_paused(&app, "ingest", true).await;
    assert_eq!((&paused["changed"], &paused["queue"]["isPaused"]), (&json!(true), &json!(true)));
    assert!(paused["queue"]["pausedAt"].is_string());
    assert_eq!(set_paused(&app, "ingest", true).await["changed"], false, "it was so already");
    let waiting = job_ids(&app.ingest(&collection, json!([document("waits", 1)])).await).remove(0);
    embedder.gate.open();
    until_state(&app, &running, "SUCCEEDED").await;
    let wait = super::job(&app, &waiting, "state wait { reason position expectedStartAt }").await;
    let expected =
        json!({ "state": "PENDING", "wait": { "reason": "QUEUE_PAUSED", "position": 1, "expectedStartAt": null } });
    assert_eq!(wait, expected);

    let resumed = set_paused(&app, "ingest", false).await;
    assert_eq!((&resumed["changed"], &resumed["queue"]["isPaused"]), (&json!(true), &json!(false)));
    assert_eq!(set_paused(&app, "ingest", false).await["changed"], false);
    until_state(&app, &waiting, "SUCCEEDED").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_health_report_tells_of_workers_that_were_not_seen() {
    let app = TestApp::start().await;
    let report = async || {
        let response = app.client.get(format!("http://{}/readyz", app.address)).send().await.expect("answers");
        let report: Json = response.json().await.expect("JSON");
        let probes = report["probes"].as_array().expect("probes").clone();
        probes.into_iter().find(|probe| probe["name"] == "workers").expect("the probe")["status"].take()
    };
    until("a living worker", async || (report().await == "healthy").then_some(())).await;
    let reader = TestApp::builder().database(app.shut_down().await).without_workers().start().await;
    let response = reader.client.get(format!("http://{}/readyz", reader.address)).send().await.expect("answers");
    assert_eq!(response.status(), 200, "degraded is no reason to send callers elsewhere");
    let probe = response.json::<Json>().await.expect("JSON")["probes"].as_array().expect("probes").clone();
    assert!(probe.iter().any(|probe| probe["name"] == "workers" && probe["status"] == "degraded"), "{probe:?}");
}
