//! Making, changing and removing schedules, and every refusal.

use serde_json::json;

use super::{CREATE, DELETE, RUN, UPDATE, YEARLY, create, input, with_directory};
use crate::support::gql::id;
use crate::support::refusal::Refusals;
use crate::support::{TestApp, until};

const COUNT: &str = "SELECT count(*) FROM schedules";

#[tokio::test]
async fn a_schedule_is_made_shown_changed_and_removed() {
    let (directory, builder) = with_directory();
    let app = builder.without_workers().start().await;
    let collection = app.collection("notes").await;
    let source = json!({ "directory": directory.path() });
    let mut asked = input("nightly", &collection, source.clone());
    asked["cron"] = json!("30 3 * * *");
    asked["timeZone"] = json!("Europe/Berlin");
    let made = create(&app, asked).await;
    assert_eq!((&made["name"], &made["kind"]), (&json!("nightly"), &json!("ingest_source")));
    assert_eq!(made["payload"], json!({ "collectionId": collection, "source": source, "prune": false }));
    assert_eq!(
        (&made["missedRuns"], &made["enabled"], &made["isBuiltIn"]),
        (&json!("RUN_ONCE"), &json!(true), &json!(false))
    );
    assert_eq!((&made["nextRunAt"], &made["collection"]["name"]), (&made["nextRuns"][0], &json!("notes")));
    assert_eq!((&made["lastJob"], &made["error"]), (&json!(null), &json!(null)));

    let query = "query($id: ID!) { node(id: $id) { id ... on Schedule { name } } schedule(id: $id) { name }
        schedules { totalCount edges { node { id } } } }";
    let shown = app.data(query, json!({ "id": id(&made) })).await;
    assert_eq!((&shown["node"]["name"], &shown["schedule"]["name"]), (&json!("nightly"), &json!("nightly")));
    assert_eq!(
        (&shown["schedules"]["totalCount"], &shown["schedules"]["edges"][0]["node"]["id"]),
        (&json!(1), &made["id"])
    );

    let change = json!({ "id": id(&made), "name": "hourly", "cron": "@hourly", "missedRuns": "SKIP" });
    let changed = app.data(UPDATE, json!({ "input": change })).await["updateSchedule"]["schedule"].take();
    assert_eq!(
        (&changed["name"], &changed["cron"], &changed["missedRuns"]),
        (&json!("hourly"), &json!("@hourly"), &json!("SKIP"))
    );
    assert_eq!(changed["timeZone"], "Europe/Berlin", "what is left out stays");
    assert_ne!(changed["nextRunAt"], made["nextRunAt"]);

    let removed = app.data(DELETE, json!({ "id": id(&made) })).await;
    assert_eq!(removed["deleteSchedule"]["deletedScheduleId"], made["id"]);
    assert_eq!(app.database.number(COUNT).await, 0);
}

#[tokio::test]
async fn a_schedule_that_is_off_shows_no_next_run_and_turned_on_again_counts_from_now() {
    let (directory, builder) = with_directory();
    let app = builder.without_workers().start().await;
    let collection = app.collection("notes").await;
    let made = create(&app, input("a", &collection, json!({ "directory": directory.path() }))).await;
    let set = async |enabled| {
        let input = json!({ "input": { "id": id(&made), "enabled": enabled } });
        app.data(UPDATE, input).await["updateSchedule"]["schedule"].take()
    };
    let off = set(false).await;
    assert_eq!((&off["nextRunAt"], &off["nextRuns"]), (&json!(null), &json!([])));
    app.database.execute("UPDATE schedules SET next_run_at = now() - interval '3 years'").await;
    assert_eq!(set(true).await["nextRunAt"], made["nextRunAt"], "what was due while it was off is not made up for");
}

#[tokio::test]
async fn a_schedule_with_a_wrong_field_is_refused() {
    let (directory, builder) = with_directory();
    let app = builder.set("source.documents_limit", 2).without_workers().start().await;
    let collection = app.collection("notes").await;
    let own = app.collection_with(json!({ "name": "own", "embedding": { "dimensions": 3 } })).await;
    let right = input("new", &collection, json!({ "directory": directory.path() }));
    let taken = create(&app, input("taken", &collection, json!({ "urls": ["https://example.org/"] }))).await;
    let other = create(&app, input("other", &collection, json!({ "urls": ["https://example.org/"] }))).await;
    let refusals = Refusals::of(&app).await;
    let unknown = "00000000000070008000000000000000";
    let gone = directory.path().join("gone");
    let job = |source| json!({ "ingestSource": { "collectionId": collection, "source": source } });
    let of = |collection: &str| json!({ "ingestSource": { "collectionId": collection, "source": { "urls": [] } } });
    let collection_id = "input.job.ingestSource.collectionId";
    let source = |field| format!("input.job.ingestSource.source.{field}");
    let fields = ["directory", "urls", "urls.0", "urls.1"].map(source);
    let [directories, urls, first, second] = fields.each_ref().map(String::as_str);
    for (field, value, code, path) in [
        ("name", json!(""), "BAD_USER_INPUT", "input.name"),
        ("name", json!("a\0"), "BAD_USER_INPUT", "input.name"),
        ("name", json!("taken"), "ALREADY_EXISTS", "input.name"),
        ("cron", json!(""), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("x"), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("\0"), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("0 0 30 2 *"), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("* * * * * *"), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("61 * * * *"), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("*/90 * * * *"), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("0 0 */40 * *"), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("10-20/30 * * * *"), "BAD_USER_INPUT", "input.cron"),
        ("cron", json!("L * * * *"), "BAD_USER_INPUT", "input.cron"),
        ("timeZone", json!("Mars/Olympus"), "BAD_USER_INPUT", "input.timeZone"),
        ("timeZone", json!(""), "BAD_USER_INPUT", "input.timeZone"),
        ("job", of("notes"), "BAD_USER_INPUT", collection_id),
        ("job", of(&format!("col_{unknown}")), "NOT_FOUND", collection_id),
        ("job", of(&own), "BAD_USER_INPUT", collection_id),
        ("job", job(json!({ "directory": "/etc" })), "BAD_USER_INPUT", directories),
        ("job", job(json!({ "directory": "notes" })), "BAD_USER_INPUT", directories),
        ("job", job(json!({ "directory": gone })), "BAD_USER_INPUT", directories),
        ("job", job(json!({ "directory": "\0" })), "BAD_USER_INPUT", directories),
        ("job", job(json!({ "urls": [] })), "BAD_USER_INPUT", urls),
        ("job", job(json!({ "urls": vec!["http://a.org/"; 3] })), "PAYLOAD_TOO_LARGE", urls),
        ("job", job(json!({ "urls": ["http://a.org/", "file:///etc/passwd"] })), "BAD_USER_INPUT", second),
        ("job", job(json!({ "urls": ["http://127.0.0.1/"] })), "BAD_USER_INPUT", first),
    ] {
        let mut new = right.clone();
        new[field] = value.clone();
        refusals.check([(CREATE, json!({ "input": new }), code, path)]).await;
        let change = json!({ "input": { "id": id(&other), field: value } });
        refusals.check([(UPDATE, change, code, path)]).await;
    }
    for (given, code) in [("sch_x".to_owned(), "BAD_USER_INPUT"), (format!("sch_{unknown}"), "NOT_FOUND")] {
        refusals.check([(DELETE, json!({ "id": given }), code, "input.id")]).await;
        refusals.check([(RUN, json!({ "id": given }), code, "input.id")]).await;
        refusals.check([(UPDATE, json!({ "input": { "id": given } }), code, "input.id")]).await;
    }
    let runs = "query($id: ID!) { schedule(id: $id) { nextRuns(count: 51) } }";
    refusals.check([(runs, json!({ "id": id(&taken) }), "BAD_USER_INPUT", "count")]).await;
    refusals.are_kept_as("refused_schedules");
    refusals.left_nothing().await;
    assert_eq!(app.database.number(COUNT).await, 2);
}

#[tokio::test]
async fn a_schedule_that_fires_too_often_is_refused_where_the_operator_wants_so() {
    let (directory, builder) = with_directory();
    let app = builder.set("schedule.min_interval_s", 3600).without_workers().start().await;
    let collection = app.collection("notes").await;
    let mut often = input("often", &collection, json!({ "directory": directory.path() }));
    for (cron, is_refused) in [("0,30 * * * *", true), ("0 * * * *", false)] {
        often["cron"] = json!(cron);
        let answer = app.gql(CREATE, json!({ "input": often })).await;
        let field = answer["errors"][0]["extensions"]["field"] == "input.cron";
        assert_eq!(field, is_refused, "{answer}");
    }
}

#[tokio::test]
async fn a_built_in_schedule_can_be_turned_off_and_on_and_nothing_else() {
    let app = TestApp::start().await;
    until("the built-in schedules", async || (app.database.number(COUNT).await == 5).then_some(())).await;
    let query = "{ schedules { edges { node { id name kind isBuiltIn payload nextRuns } } } }";
    let shown = app.data(query, json!({})).await;
    let nodes = shown["schedules"]["edges"].as_array().expect("edges").iter().map(|edge| &edge["node"]);
    let mut names: Vec<_> = nodes.clone().map(|node| node["name"].as_str().expect("a name")).collect();
    names.sort_unstable();
    assert_eq!(names, ["expiry", "indexes", "retention", "statistics", "sweep"]);
    let retention = nodes.clone().find(|node| node["name"] == "retention").expect("shown");
    assert_eq!((&retention["isBuiltIn"], &retention["payload"]), (&json!(true), &json!({})));
    let set = async |enabled| {
        let input = json!({ "input": { "id": id(retention), "enabled": enabled } });
        app.data(UPDATE, input).await["updateSchedule"]["schedule"]["enabled"].take()
    };
    assert_eq!((set(false).await, set(true).await), (json!(false), json!(true)));
    let built_in = id(retention);
    for (query, variables) in [
        (DELETE, json!({ "id": built_in })),
        (RUN, json!({ "id": built_in })),
        (UPDATE, json!({ "input": { "id": built_in, "cron": YEARLY } })),
        (UPDATE, json!({ "input": { "id": built_in, "name": "x", "enabled": false } })),
    ] {
        let refusal = app.refusal(query, variables).await;
        assert_eq!((&refusal["code"], &refusal["field"]), (&json!("BAD_USER_INPUT"), &json!("input.id")), "{refusal}");
    }
}

#[tokio::test]
async fn deleting_a_collection_removes_its_schedules_at_once() {
    let app = TestApp::builder().without_workers().start().await;
    let (gone, stays) = (app.collection("gone").await, app.collection("stays").await);
    for (name, collection) in [("a", &gone), ("b", &gone), ("c", &stays)] {
        create(&app, input(name, collection, json!({ "urls": ["https://example.org/"] }))).await;
    }
    app.delete_collection(&gone).await;
    assert_eq!(app.database.texts("SELECT name FROM schedules").await, ["c"]);
}
