//! What taking jobs costs, in pages of the database: by what is taken, not by what waits or has ended.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::Value as Json;
use uuid::Uuid;
use vectorforge::queue::{self, Claim, Held, candidates_statement, lease_statement};
use vectorforge::store::{DEFAULT_TENANT, Store};

use super::claim;
use crate::support::TestApp;
use crate::support::database::TestDatabase;

/// Finished jobs. A million takes a minute to write on a small machine; the benchmark does it.
const FINISHED: usize = 200_000;
/// Waiting jobs of one tenant: each is in more indexes.
const WAITING: usize = 100_000;
/// Jobs taken at once.
const LIMIT: usize = 10;
/// How much more taking may cost beside a crowd. Its indexes are one or two levels deeper than those of a nearly empty
/// table, which has one level or two: each way down costs up to twice as much. A scan would cost thousands of times.
const DEEPER: i64 = 3;

/// A statement's plan, run and undone.
async fn explain(store: &Store, statement: Statement) -> Json {
    let tx = store.begin().await.expect("begins");
    let sql = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {}", statement.sql);
    let statement = Statement { sql, ..statement };
    let row = tx.query_one_raw(statement).await.expect("explains").expect("a plan");
    let mut plan: Json = row.try_get_by_index(0).expect("JSON");
    plan[0]["Plan"].take()
}

/// Pages that it touched.
fn pages(plan: &Json) -> i64 {
    let count = |field: &str| plan[field].as_i64().unwrap_or_else(|| panic!("no {field} in {plan}"));
    count("Shared Hit Blocks") + count("Shared Read Blocks")
}

/// The values of a field, anywhere in the plan.
fn values<'a>(plan: &'a Json, field: &str) -> Vec<&'a str> {
    let below = plan["Plans"].as_array().into_iter().flatten();
    plan[field].as_str().into_iter().chain(below.flat_map(|plan| values(plan, field))).collect()
}

/// Tables that are read from end to end. Those of queues, limits and circuits have a handful of rows.
fn scanned(plan: &Json) -> Vec<&str> {
    let here = plan["Relation Name"].as_str().filter(|_| plan["Node Type"] == "Seq Scan");
    let below = plan["Plans"].as_array().into_iter().flatten();
    here.into_iter().chain(below.flat_map(scanned)).collect()
}

/// The plan of taking that does not know its parameters: what a connection comes to use after a few times.
async fn explain_generic(store: &Store, claim: Claim<'_>) -> Json {
    let tx = store.begin().await.expect("begins");
    let prepare = format!(
        "SET LOCAL plan_cache_mode = force_generic_plan;
         PREPARE taking (text, uuid, bigint, bigint, uuid) AS {}",
        lease_statement(claim).sql
    );
    tx.execute_unprepared(&prepare).await.expect("prepares");
    let Claim { queue, holder, lease, limit, after_tenant } = claim;
    let lease_ms = lease.as_millis();
    let execute = format!("EXECUTE taking ('{queue}', '{holder}', {lease_ms}, {limit}, '{after_tenant}')");
    let explain = format!("EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {execute}");
    let row = tx.query_one_raw(Statement::from_string(DbBackend::Postgres, explain)).await;
    let mut plan: Json = row.expect("explains").expect("a plan").try_get_by_index(0).expect("JSON");
    tx.execute_unprepared("DEALLOCATE taking").await.expect("it is there");
    plan[0]["Plan"].take()
}

/// What the plans of taking touch; they use the ready index, and never read the table from end to end.
async fn take(store: &Store, claim: Claim<'_>) -> i64 {
    let plans = [explain(store, lease_statement(claim)).await, explain_generic(store, claim).await];
    for plan in &plans {
        assert!(values(plan, "Index Name").contains(&"jobs_ready"), "{plan:#}");
        assert!(!scanned(plan).contains(&"jobs"), "{plan:#}");
    }
    plans.iter().map(pages).max().expect("two plans")
}

/// Puts many jobs into the table, unseen by its triggers.
async fn crowd(database: &TestDatabase, count: usize, state: &str, columns: &str, values: &str) {
    database
        .execute(&format!(
            "ALTER TABLE jobs DISABLE TRIGGER USER;
             INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, max_attempts, state, finished_at,
                 turn {columns})
             SELECT gen_random_uuid(), '{DEFAULT_TENANT}', 'ingest', 'test', '{{}}', 1, 5, '{state}',
                 CASE WHEN '{state}' <> 'PENDING' THEN now() END, n {values} FROM generate_series(1, {count}) AS n;
             ALTER TABLE jobs ENABLE TRIGGER USER;
             ANALYZE jobs"
        ))
        .await;
}

/// Some tenants with a few jobs each, the last of all by id.
async fn tenants(database: &TestDatabase, count: usize) {
    database
        .execute(&format!(
            "INSERT INTO tenants (id, name) SELECT gen_id, gen_id::text FROM (
                 SELECT ('ffffffff-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid AS gen_id
                 FROM generate_series(1, {count}) AS n) AS ids;
             INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, max_attempts, state, turn)
             SELECT gen_random_uuid(), t.id, 'ingest', 'test', '{{}}', 1, 5, 'PENDING', n
             FROM tenants t, generate_series(1, 20) AS n WHERE t.id <> '{DEFAULT_TENANT}';
             ANALYZE jobs"
        ))
        .await;
}

fn after(tenant: u32) -> Uuid {
    format!("ffffffff-0000-7000-8000-{tenant:012}").parse().expect("a UUID")
}

#[tokio::test(flavor = "multi_thread")]
async fn finished_jobs_do_not_make_taking_dearer() {
    let app = TestApp::builder().without_workers().start().await;
    let store = &app.app.store;
    tenants(&app.database, 50).await;
    let empty = take(store, claim(LIMIT)).await;
    crowd(&app.database, FINISHED, "SUCCEEDED", "", "").await;
    let full = take(store, claim(LIMIT)).await;
    assert!(full <= empty * DEEPER, "{empty} pages without finished jobs, {full} with {FINISHED}");
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_jobs_of_one_tenant_do_not_make_taking_dearer_nor_keep_the_others_waiting() {
    let app = TestApp::builder().without_workers().start().await;
    let store = &app.app.store;
    tenants(&app.database, 50).await;
    crowd(&app.database, 20, "PENDING", "", "").await;
    let claims = [Uuid::nil(), DEFAULT_TENANT, after(7), after(50)];
    let mut few = Vec::new();
    for after_tenant in claims {
        few.push(take(store, Claim { after_tenant, ..claim(LIMIT) }).await);
    }
    crowd(&app.database, WAITING, "PENDING", "", "").await;
    for (after_tenant, few) in claims.into_iter().zip(few) {
        let many = take(store, Claim { after_tenant, ..claim(LIMIT) }).await;
        assert!(many <= few * DEEPER, "after {after_tenant}: {few} pages beside few, {many} beside {WAITING}");
    }
    let taken = queue::lease(store.db(), claim(LIMIT)).await.expect("takes");
    let of_the_crowd = taken.iter().filter(|job| job.tenant_id == DEFAULT_TENANT).count();
    assert_eq!((taken.len(), of_the_crowd), (LIMIT, 1), "its turn comes once a round");
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_wait_for_their_provider_are_stepped_over_however_many_they_are() {
    let app = TestApp::builder().without_workers().start().await;
    let store = &app.app.store;
    tenants(&app.database, 50).await;
    let held = || Held { providers: vec!["down".to_owned()], ..Held::default() };
    let find = async |after_tenant| {
        let claim = Claim { after_tenant, ..claim(LIMIT) };
        let plan = explain(store, candidates_statement(claim, held())).await;
        assert!(!values(&plan, "Node Type").contains(&"Seq Scan"), "{plan:#}");
        let found = queue::candidates(store.db(), claim, held()).await.expect("looks");
        (pages(&plan), found.len())
    };
    // As many collections as a thousand flows and half as many again: more than are offered at once.
    const FLOWS: usize = 1_500;
    let columns = ", provider, flow";
    crowd(&app.database, FLOWS, "PENDING", columns, ", 'down', n").await;
    let mut few = Vec::new();
    for after_tenant in [Uuid::nil(), after(7)] {
        let (pages, found) = find(after_tenant).await;
        assert_eq!(found, 50 * LIMIT, "every job of the other tenants that could be taken is offered");
        few.push(pages);
    }
    crowd(&app.database, WAITING, "PENDING", columns, &format!(", 'down', 1 + n % {FLOWS}")).await;
    for (after_tenant, few) in [Uuid::nil(), after(7)].into_iter().zip(few) {
        let (many, found) = find(after_tenant).await;
        assert_eq!(found, 50 * LIMIT);
        assert!(many <= few * DEEPER, "{few} pages beside few, {many} beside {WAITING}");
    }
}
