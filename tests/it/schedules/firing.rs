//! When schedules fire: once per due time, whoever leads and whenever it is killed.

use serde_json::json;

use super::{RUN, create, input, with_directory};
use crate::support::gql::id;
use crate::support::until;
use crate::support::worker::{Running, WorkerProcess};

/// No jobs are run: they are counted.
const IDLE: &[(&str, &str)] = &[("queue.workers", "0"), ("schedule.lease_ms", "500"), ("schedule.tick_ms", "20")];
const DUE: &str = "SELECT count(*) FROM schedules WHERE tenant_id IS NOT NULL AND next_run_at <= now()";
const JOBS: &str = "SELECT count(*) FROM jobs WHERE schedule_id IS NOT NULL";
/// Enough that a kill finds some of them fired and others not.
const SCHEDULES: i64 = 20;
const KILLS: i64 = 6;

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_killed_at_any_moment_neither_loses_nor_doubles_a_firing() {
    let (directory, builder) = with_directory();
    let app = builder.without_workers().start().await;
    let collection = app.collection("notes").await;
    for number in 0..SCHEDULES {
        create(&app, input(&number.to_string(), &collection, json!({ "directory": directory.path() }))).await;
    }
    let start = || WorkerProcess { settings: IDLE, ..WorkerProcess::default() }.start(&app);
    let mut processes: Vec<Running> = vec![start(), start()];
    for round in 1..=KILLS {
        let leader = until("a leader that tells of itself", async || {
            let sql = "SELECT w.pid::text FROM leaders l JOIN workers w ON w.id = l.holder WHERE l.lease_until > now()";
            let pid: u32 = app.database.texts(sql).await.first()?.parse().ok()?;
            processes.iter().position(|process| process.pid() == pid)
        });
        let leader = leader.await;
        // Later each round, whatever the clock does: one firing happens once, and two in one second are one.
        let late = KILLS + 1 - round;
        let due = format!("UPDATE schedules SET next_run_at = now() - interval '{late} s' WHERE tenant_id IS NOT NULL");
        app.database.execute(&due).await;
        let some = (round - 1) * SCHEDULES / KILLS;
        let fired = async || (SCHEDULES - app.database.number(DUE).await >= some).then_some(());
        until("some schedules to fire", fired).await;
        processes.swap_remove(leader).kill();
        processes.push(start());
        until("every schedule to fire", async || (app.database.number(DUE).await == 0).then_some(())).await;
        assert_eq!(app.database.number(JOBS).await, round * SCHEDULES, "after kill {round}");
    }
    let each = "SELECT count(*) FROM (SELECT FROM jobs GROUP BY schedule_id HAVING count(*) = 6) AS each";
    assert_eq!(app.database.number(each).await, SCHEDULES);
}

#[tokio::test(flavor = "multi_thread")]
async fn missed_firings_are_skipped_or_run_once_or_all_of_them() {
    let (directory, builder) = with_directory();
    let app = builder.set("queue.workers", 0).set("schedule.catch_up_limit", 2).start().await;
    let collection = app.collection("notes").await;
    for missed in ["SKIP", "RUN_ONCE", "RUN_ALL"] {
        let mut input = input(missed, &collection, json!({ "directory": directory.path() }));
        input["missedRuns"] = json!(missed);
        create(&app, input).await;
    }
    // The yearly firings from then to this year's.
    app.database.execute("UPDATE schedules SET next_run_at = '2020-01-01T00:00:00Z' WHERE tenant_id IS NOT NULL").await;
    until("every schedule to catch up", async || (app.database.number(DUE).await == 0).then_some(())).await;
    let all = app.database.number("SELECT extract(year FROM now())::bigint - 2019").await;
    for (missed, expected) in [("SKIP", 0), ("RUN_ONCE", 1), ("RUN_ALL", all)] {
        let jobs =
            format!("SELECT count(*) FROM jobs j JOIN schedules s ON s.id = j.schedule_id WHERE s.name = '{missed}'");
        assert_eq!(app.database.number(&jobs).await, expected, "{missed}");
    }
    let last =
        "SELECT name FROM schedules WHERE last_run_at = date_trunc('year', now(), 'UTC') AND last_job_id IS NOT NULL
        ORDER BY name";
    assert_eq!(app.database.texts(last).await, ["RUN_ALL", "RUN_ONCE"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_cannot_fire_says_why_and_stands_in_nobodys_way() {
    let (directory, builder) = with_directory();
    let app = builder.set("queue.workers", 0).start().await;
    let collection = app.collection("notes").await;
    for name in ["kind", "cron", "disabled", "good"] {
        let mut input = input(name, &collection, json!({ "directory": directory.path() }));
        input["enabled"] = json!(name != "disabled");
        create(&app, input).await;
    }
    // As another version of ours may have left them; the bad ones are due first.
    for (name, change) in [("kind", ", kind = 'unknown'"), ("cron", ", cron = 'x'"), ("disabled", "")] {
        let sql = format!("UPDATE schedules SET next_run_at = now() - interval '9 s' {change} WHERE name = '{name}'");
        app.database.execute(&sql).await;
    }
    app.database.execute("UPDATE schedules SET next_run_at = now() - interval '1 s' WHERE name = 'good'").await;
    let fired = "SELECT s.name FROM jobs j JOIN schedules s ON s.id = j.schedule_id";
    until("the good one to fire", async || (app.database.texts(fired).await == ["good"]).then_some(())).await;
    let errors = "SELECT name || ' ' || error_code FROM schedules WHERE error_message IS NOT NULL ORDER BY name";
    let expected = ["cron BAD_USER_INPUT", "kind BAD_USER_INPUT"];
    until("the bad ones to say so", async || (app.database.texts(errors).await == expected).then_some(())).await;

    app.database.execute("UPDATE schedules SET kind = 'ingest_source' WHERE name = 'kind'").await;
    app.database.execute("UPDATE schedules SET cron = '0 0 1 1 *' WHERE name = 'cron'").await;
    let sorted = format!("{fired} ORDER BY s.name");
    let all = ["cron", "good", "kind"];
    until("the mended ones to fire", async || (app.database.texts(&sorted).await == all).then_some(())).await;
    assert_eq!(app.database.texts(errors).await, [""; 0], "the errors are gone");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_stops_hands_over_at_once() {
    // Longer than the test waits: nobody gets the lead by its end.
    let lease = 600_000;
    let (_directory, builder) = with_directory();
    let first = builder.set("schedule.lease_ms", lease).set("schedule.missed_grace_s", 3600).start().await;
    let leader = "SELECT holder::text FROM leaders";
    let before = until("a leader", async || first.database.texts(leader).await.pop()).await;
    let second = crate::support::TestApp::builder().database(first.database.clone()).start().await;
    drop(first.shut_down().await);
    let changed = async || second.database.texts(leader).await.pop().filter(|holder| *holder != before);
    until("another leader", changed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn run_now_enqueues_one_job_and_answers_with_it_until_it_has_ended() {
    let (directory, builder) = with_directory();
    let app = builder.without_workers().start().await;
    let collection = app.collection("notes").await;
    let mut off = input("off", &collection, json!({ "directory": directory.path() }));
    off["enabled"] = json!(false);
    let schedule = create(&app, off).await;
    let run = async || app.data(RUN, json!({ "id": id(&schedule) })).await["runSchedule"].take();
    let (first, again) = (run().await, run().await);
    assert_eq!((&first["isNew"], &again["isNew"]), (&json!(true), &json!(false)));
    assert_eq!((&first["job"]["kind"], &first["job"]["id"]), (&json!("ingest_source"), &again["job"]["id"]));
    app.database.execute("UPDATE jobs SET state = 'CANCELLED', finished_at = now()").await;
    let next = run().await;
    assert_eq!(next["isNew"], true);
    let last =
        app.data("query($id: ID!) { schedule(id: $id) { lastJob { id } } }", json!({ "id": id(&schedule) })).await;
    assert_eq!(last["schedule"]["lastJob"]["id"], next["job"]["id"]);
}
