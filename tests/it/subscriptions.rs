//! Many who follow the same: each sees every event once and in order, what they share is read once, and none of them
//! takes from the rest.

use futures_util::future::join_all;
use serde_json::{Value as Json, json};
use sqlx::{Connection, PgConnection};
use vectorforge::store::listen::{JOB_EVENTS_CHANNEL, RUNS_CHANNEL};

use crate::support::documents::each;
use crate::support::gql::{PROGRESS, Socket, id};
use crate::support::watch::Watch;
use crate::support::worker::WorkerProcess;
use crate::support::{TestApp, until};

const TITLED: &str = "subscription($run: ID!) { ingestProgress(runId: $run) { kind document { id title } } }";
const QUEUE: &str = "subscription { queueUpdated(queue: \"ingest\") { queue { depth { state jobs } } } }";

/// An hour: nothing may depend on a poll.
const NEVER: u32 = 3_600_000;

fn documents(count: usize) -> Json {
    (0..count).map(|number| json!({ "source": { "text": format!("word {number}") }, "title": "a title" })).collect()
}

/// A run that stands still, with its collection.
async fn with_run(builder: crate::support::app::TestAppBuilder, count: usize) -> (TestApp, String) {
    let app = builder.set("events.poll_ms", NEVER).without_workers().start().await;
    let collection = app.collection("docs").await;
    let run = id(&app.ingest(&collection, documents(count)).await["run"]);
    (app, run)
}

/// Appends events to the only run, and wakes who follows it.
async fn append(app: &TestApp, run: &str, count: usize, kind: &str) {
    let sql = format!(
        "WITH run AS (UPDATE ingestion_runs SET last_event = last_event + {count} RETURNING *)
         INSERT INTO run_events (run_id, sequence, tenant_id, kind, document_id, run_state, documents_total,
             documents_done, documents_failed, chunks_total, chunks_embedded)
         SELECT id, last_event - {count} + n, tenant_id, '{kind}', (SELECT min(id::text)::uuid FROM documents), 'RUNNING',
             documents_total, 0, 0, 0, 0 FROM run, generate_series(1, {count}) AS n"
    );
    app.database.execute(&sql).await;
    let run = run.strip_prefix("run_").expect("a run's id");
    let run = uuid::Uuid::try_parse(run).expect("a UUID").to_string();
    app.app.signals.wake(RUNS_CHANNEL, &run);
}

/// Sockets with so many subscriptions each, of which each has got its first event.
async fn followers(app: &TestApp, sockets: usize, each: usize, query: &str, variables: &Json) -> Vec<Socket> {
    let open = (0..sockets).map(|_| async {
        let mut socket = app.websocket().await;
        for subscription in 0..each {
            socket.subscribe(&subscription.to_string(), query, variables.clone()).await;
        }
        for _ in 0..each {
            assert_eq!(socket.next().await.expect("an event")["type"], "next");
        }
        socket
    });
    join_all(open).await
}

/// The events of each subscription of a socket, up to their ends.
async fn rest(socket: &mut Socket, subscriptions: usize) -> Vec<Vec<Json>> {
    let mut events = vec![Vec::new(); subscriptions];
    let mut open = subscriptions;
    while open > 0 {
        let mut message = socket.next().await.expect("the socket is open");
        let subscription: usize = message["id"].as_str().expect("an id").parse().expect("our own id");
        match message["type"].as_str() {
            Some("next") => events[subscription].push(message["payload"]["data"]["ingestProgress"].take()),
            Some("complete") => open -= 1,
            _ => panic!("unexpected message: {message}"),
        }
    }
    events
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_who_follows_a_busy_run_sees_each_event_once_and_in_order() {
    const EACH: usize = 5;
    // Few enough that some fall out of it.
    let (app, run) = with_run(TestApp::builder().set("events.ring_limit", 8), 60).await;
    let mut early = followers(&app, 4, EACH, PROGRESS, &json!({ "run": run })).await;
    let _worker = WorkerProcess::default().start(&app);
    let returning = async {
        let mut seen: Vec<Json> = Vec::new();
        while seen.last().is_none_or(|event| event["kind"] != "RUN_FINISHED") {
            let mut socket = app.websocket().await;
            let after = seen.last().map_or(Json::Null, |event| event["cursor"].clone());
            socket.subscribe("0", PROGRESS, json!({ "run": run, "after": after })).await;
            for _ in 0..7 {
                let mut message = socket.next().await.expect("the socket is open");
                if message["type"] != "next" {
                    break;
                }
                seen.push(message["payload"]["data"]["ingestProgress"].take());
            }
        }
        seen
    };
    let late = async {
        let mut late = Vec::new();
        for _ in 0..5 {
            late.push(app.progress(&run, None).await);
        }
        late
    };
    let early = join_all(early.iter_mut().map(|socket| rest(socket, EACH)));
    let (early, returned, late) = tokio::join!(early, returning, late);
    let events = app.progress(&run, None).await;
    assert_eq!(events.last().expect("events")["kind"], "RUN_FINISHED");
    let rows = app.database.number("SELECT count(*) FROM run_events").await;
    assert_eq!(Ok(rows), i64::try_from(events.len()));
    assert!(early.iter().flatten().all(|seen| *seen == events[1..]), "one who was there all the time");
    assert_eq!(returned, events, "one who came back again and again");
    assert!(late.iter().all(|seen| *seen == events), "one who came late");
}

#[tokio::test(flavor = "multi_thread")]
async fn four_hundred_who_never_read_stop_neither_queries_nor_the_run() {
    const SOCKETS: usize = 20;
    const EACH: usize = 20;
    // Who reads nothing answers no ping either.
    let builder = TestApp::builder().set("http.stall_timeout_ms", NEVER).set("http.websocket_keepalive_ms", NEVER);
    let (app, run) = with_run(builder, 200).await;
    let mut unread = Vec::new();
    for _ in 0..SOCKETS {
        let mut socket = app.websocket().await;
        for subscription in 0..EACH {
            socket.subscribe(&subscription.to_string(), PROGRESS, json!({ "run": run })).await;
        }
        unread.push(socket);
    }
    let _worker = WorkerProcess::default().start(&app);
    let query =
        "query($run: ID!) { run(id: $run) { state documentsDone } collections { totalCount } jobs { totalCount } }";
    let done = until("the run to end", async || {
        let answer = app.data(query, json!({ "run": run })).await;
        (answer["run"]["state"] == "SUCCEEDED").then_some(answer)
    });
    assert_eq!(done.await["run"]["documentsDone"], 200);
    // Each of them was there, and gets the rest once it reads.
    for socket in &mut unread {
        for events in rest(socket, EACH).await {
            assert_eq!(events.last().expect("events")["kind"], "RUN_FINISHED");
        }
    }
}

#[tokio::test]
async fn the_statements_of_an_event_do_not_grow_with_those_who_follow_its_run() {
    let builder = TestApp::builder().set("database.statement_log", true).set("database.slow_statement_ms", NEVER);
    let (app, run) = with_run(builder, 1).await;
    let watch = Watch::this_thread();
    for (sockets, each) in [(1, 1), (4, 10)] {
        let mut sockets = followers(&app, sockets, each, TITLED, &json!({ "run": run })).await;
        // Later ones got the events of the round before.
        for socket in &mut sockets {
            let earlier = app.database.number("SELECT last_event FROM ingestion_runs").await - 1;
            for _ in 0..usize::try_from(earlier).expect("a count") * each {
                assert_eq!(socket.next().await.expect("an event")["type"], "next");
            }
        }
        watch.take_statements();
        append(&app, &run, 1, "DOCUMENT_STARTED").await;
        for socket in &mut sockets {
            for _ in 0..each {
                let message = socket.next().await.expect("an event");
                assert_eq!(message["payload"]["data"]["ingestProgress"]["document"]["title"], "a title", "{message}");
            }
        }
        let statements = watch.take_statements();
        let count = |part: &str| statements.iter().filter(|statement| statement.contains(part)).count();
        assert_eq!(count("FROM \\\"run_events\\\""), 1, "{statements:#?}");
        // A machine that stalls splits what is asked together.
        let most = (sockets.len() * each).div_ceil(2);
        assert!((1..=most).contains(&count("FROM \\\"documents\\\"")), "{statements:#?}");
    }
}

#[tokio::test]
async fn the_fields_of_an_event_share_a_statement_also_of_one_who_catches_up() {
    const EVENTS: usize = 30;
    let siblings = "subscription($run: ID!) { ingestProgress(runId: $run) { kind
        a: document { title } b: document { title sourceUri } c: document { title } } }";
    let builder = TestApp::builder().set("database.statement_log", true).set("database.slow_statement_ms", NEVER);
    let (app, run) = with_run(builder, 1).await;
    append(&app, &run, EVENTS, "DOCUMENT_STARTED").await;
    let mut socket = app.websocket().await;
    let watch = Watch::this_thread();
    socket.subscribe("0", siblings, json!({ "run": run })).await;
    assert_eq!(socket.next().await.expect("the first event")["type"], "next");
    for _ in 0..EVENTS {
        let message = socket.next().await.expect("an event");
        let event = &message["payload"]["data"]["ingestProgress"];
        let titles = ["a", "b", "c"].map(|document| event[document]["title"].clone());
        assert_eq!(titles, ["a title"; 3], "{message}");
    }
    let statements = watch.take_statements();
    let count = |part: &str| statements.iter().filter(|statement| statement.contains(part)).count();
    assert!((1..=EVENTS).contains(&count("FROM \\\"documents\\\"")), "{statements:#?}");
}

#[tokio::test]
async fn a_queue_is_read_once_for_all_who_follow_it() {
    let builder = TestApp::builder().set("database.statement_log", true).set("database.slow_statement_ms", NEVER);
    let builder = builder.set("events.queue_interval_ms", 1);
    let (app, _) = with_run(builder, 1).await;
    let watch = Watch::this_thread();
    let mut counts = Vec::new();
    for (sockets, each) in [(1, 1), (4, 10)] {
        let mut sockets = followers(&app, sockets, each, QUEUE, &Json::Null).await;
        watch.take_statements();
        app.database.execute("INSERT INTO jobs SELECT (jsonb_populate_record(j, jsonb_build_object('id', gen_random_uuid(), 'last_event', 0))).* FROM jobs j LIMIT 1").await;
        app.app.signals.wake(JOB_EVENTS_CHANNEL, "ingest");
        for socket in &mut sockets {
            for _ in 0..each {
                assert_eq!(socket.next().await.expect("a state")["type"], "next");
            }
        }
        let statements = watch.take_statements();
        counts.push(statements.iter().filter(|statement| statement.contains("queue_counts")).count());
    }
    // A state may be looked at several times until it differs, but not by each of the forty.
    assert!(counts.iter().all(|reads| (1..40).contains(reads)), "{counts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_falls_out_of_the_ring_reads_from_the_database() {
    let (app, run) = with_run(TestApp::builder().set("events.ring_limit", 4), 1).await;
    let mut sockets = followers(&app, 2, 2, PROGRESS, &json!({ "run": run })).await;
    // Read at once, so that the ring has passed by before anyone looks.
    append(&app, &run, 100, "CHUNKS_EMBEDDED").await;
    append(&app, &run, 1, "RUN_FINISHED").await;
    for socket in &mut sockets {
        for events in rest(socket, 2).await {
            assert_eq!(each(&events, "kind"), [vec!["CHUNKS_EMBEDDED"; 100], vec!["RUN_FINISHED"]].concat());
            let cursors: std::collections::HashSet<_> = each(&events, "cursor").into_iter().collect();
            assert_eq!(cursors.len(), 101, "each once");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_hang_leave_connections_to_queries() {
    let builder = TestApp::builder().set("database.pool_size", 4).set("database.pool_overflow", 0);
    // Far above what a busy machine takes, and the end of a test that would otherwise hang.
    let builder = builder.set("database.acquire_timeout_ms", 60_000);
    let (app, run) = with_run(builder, 1).await;
    let sockets = followers(&app, 4, 10, TITLED, &json!({ "run": run })).await;
    // Whatever subscriptions ask now hangs: the tail's next page, the past of those who come, the rows below events.
    let mut other = PgConnection::connect(&app.database.url).await.expect("the test database answers");
    let lock = "BEGIN; LOCK TABLE run_events, ingestion_runs IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(lock).execute(&mut other).await.expect("a lock");
    let mut latecomers = Vec::new();
    for _ in 0..4 {
        let mut socket = app.websocket().await;
        for subscription in 0..10 {
            socket.subscribe(&subscription.to_string(), TITLED, json!({ "run": run })).await;
        }
        latecomers.push(socket);
    }
    let hanging = "SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND wait_event_type = 'Lock'";
    until("subscriptions to hang", async || (app.database.number(hanging).await > 0).then_some(())).await;
    for _ in 0..20 {
        app.data("{ collections { totalCount edges { node { documentCount } } } }", Json::Null).await;
    }
    assert!(app.database.number(hanging).await > 0, "they hang all the while");
    sqlx::raw_sql("COMMIT").execute(&mut other).await.expect("the lock ends");
    for mut socket in latecomers {
        for _ in 0..10 {
            assert_eq!(socket.next().await.expect("an event")["type"], "next");
        }
    }
    drop(sockets);
}

#[tokio::test(flavor = "multi_thread")]
async fn subscriptions_that_nobody_reads_leave_the_others_alone() {
    let builder = TestApp::builder().set("database.pool_size", 4).set("database.pool_overflow", 0);
    let (app, run) = with_run(builder, 1).await;
    let unread = followers(&app, 4, 20, PROGRESS, &json!({ "run": run })).await;
    let mut reading = followers(&app, 1, 1, PROGRESS, &json!({ "run": run })).await;
    // More than the buffers of a connection hold: 20 times 2,000 events of about 400 bytes on each.
    append(&app, &run, 2_000, "CHUNKS_EMBEDDED").await;
    append(&app, &run, 1, "RUN_FINISHED").await;
    assert_eq!(rest(&mut reading[0], 1).await[0].len(), 2_001);
    app.data("{ collections { totalCount } }", Json::Null).await;
    drop(unread);
    until("all subscriptions to end", async || (app.app.signals.topic_count() == 0).then_some(())).await;
}
