//! Whose job is next: the most urgent, then tenants in turn, then a tenant's collections in turn.

use std::time::Duration;

use uuid::Uuid;
use vectorforge::queue::{self, Claim, NewJob};
use vectorforge::store::{DEFAULT_TENANT, TenantId};

use crate::support::TestApp;

/// Enqueues so many jobs of a collection, the first `count` of which have this priority.
async fn enqueue(app: &TestApp, tenant: TenantId, collection: Uuid, count: usize, priority: i16) {
    let now = app.app.now();
    let job = |_| NewJob {
        collection_id: Some(collection),
        priority,
        ..NewJob::new("ingest", "test", (1, serde_json::json!({})), 5, now)
    };
    let tx = app.app.store.begin().await.expect("begins");
    queue::enqueue(&tx, tenant, (0..count).map(job).collect()).await.expect("enqueues");
    tx.commit().await.expect("commits");
}

/// Takes jobs as one worker does, `at_once` at a time; gives what `of` tells of each.
async fn take<T>(app: &TestApp, count: usize, at_once: usize, of: impl Fn(&Claimed) -> T) -> Vec<T> {
    let (mut taken, mut after_tenant) = (Vec::new(), Uuid::nil());
    while taken.len() < count {
        let lease = Duration::from_secs(3600);
        let claim = Claim { queue: "ingest", holder: Uuid::nil(), lease, limit: at_once, after_tenant };
        let jobs = queue::lease(app.app.store.db(), claim).await.expect("takes");
        after_tenant = jobs.last().expect("a job").tenant_id;
        taken.extend(
            jobs.iter().map(|job| {
                of(&Claimed { tenant: job.tenant_id, collection: job.collection_id, priority: job.priority })
            }),
        );
    }
    taken
}

struct Claimed {
    tenant: Uuid,
    collection: Option<Uuid>,
    priority: i16,
}

async fn second_tenant(app: &TestApp) -> TenantId {
    let columns = "SELECT column_name::text FROM information_schema.columns WHERE table_name = 'tenants'
        AND is_nullable = 'NO' AND column_default IS NULL AND column_name <> 'id'";
    let columns = app.database.texts(columns).await;
    let id = Uuid::now_v7();
    let (names, values) = (columns.join(", "), vec!["'second'"; columns.len()].join(", "));
    app.database.execute(&format!("INSERT INTO tenants (id, {names}) VALUES ('{id}', {values})")).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_with_few_jobs_is_served_in_turn_with_one_that_enqueued_many_before() {
    let app = TestApp::builder().without_workers().start().await;
    let (many, few) = (Uuid::now_v7(), Uuid::now_v7());
    enqueue(&app, DEFAULT_TENANT, many, 200, 0).await;
    enqueue(&app, DEFAULT_TENANT, few, 3, 0).await;
    let order = take(&app, 8, 1, |job| job.collection == Some(few)).await;
    assert_eq!(order.iter().filter(|is_few| **is_few).count(), 3, "{order:?}");
    assert!(order[..2].contains(&true) && order[2..4].contains(&true) && order[4..6].contains(&true), "{order:?}");
    // One that comes while the others are at work begins at their turn, not before all that waited.
    enqueue(&app, DEFAULT_TENANT, few, 2, 0).await;
    let order = take(&app, 6, 1, |job| job.collection == Some(few)).await;
    assert!(order[..2].contains(&true) && order[2..4].contains(&true), "{order:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tenants_take_turns_however_many_jobs_each_has() {
    let app = TestApp::builder().without_workers().start().await;
    let second = second_tenant(&app).await;
    enqueue(&app, DEFAULT_TENANT, Uuid::now_v7(), 200, 0).await;
    enqueue(&app, second, Uuid::now_v7(), 8, 0).await;
    for at_once in [1, 2, 4] {
        let order = take(&app, 4, at_once, |job| job.tenant == second).await;
        assert_eq!(order.iter().filter(|is_second| **is_second).count(), 2, "{at_once} at once: {order:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn higher_priority_comes_first_whoevers_turn_it_is() {
    let app = TestApp::builder().without_workers().start().await;
    let second = second_tenant(&app).await;
    enqueue(&app, DEFAULT_TENANT, Uuid::now_v7(), 5, 0).await;
    enqueue(&app, second, Uuid::now_v7(), 2, 9).await;
    enqueue(&app, DEFAULT_TENANT, Uuid::now_v7(), 2, 5).await;
    let order = take(&app, 9, 1, |job| job.priority).await;
    assert_eq!(order, [9, 9, 5, 5, 0, 0, 0, 0, 0]);
}
