//! Schedules: made and refused, fired once whatever happens to their leader, and what they do.

mod built_in;
mod firing;
mod making;
mod pruning;
mod sources;

use serde_json::{Value as Json, json};
use tempfile::TempDir;

use crate::support::TestApp;
use crate::support::app::TestAppBuilder;
use crate::support::gql::id;

const CREATE: &str = "mutation($input: CreateScheduleInput!) { createSchedule(input: $input) { schedule { id name kind
    payload cron timeZone missedRuns enabled isBuiltIn nextRuns(count: 2) nextRunAt lastRunAt lastJob { id }
    error { code message } collection { name } createdAt updatedAt } } }";
const UPDATE: &str = "mutation($input: UpdateScheduleInput!) { updateSchedule(input: $input) { schedule { id name cron
    timeZone missedRuns enabled nextRuns nextRunAt payload error { code } } } }";
const DELETE: &str = "mutation($id: ID!) { deleteSchedule(input: { id: $id }) { deletedScheduleId } }";
const RUN: &str = "mutation($id: ID!) { runSchedule(input: { id: $id }) { isNew job { id kind state } } }";

/// Fires on no day that a test sees, unless it moves the time.
const YEARLY: &str = "0 0 1 1 *";

/// A directory that schedules may read, and an application that allows it.
fn with_directory() -> (TempDir, TestAppBuilder) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let builder = TestApp::builder().set("source.directories", directory.path().display());
    (directory, builder)
}

/// An input that is right.
fn input(name: &str, collection: &str, source: Json) -> Json {
    let job = json!({ "ingestSource": { "collectionId": collection, "source": source } });
    json!({ "name": name, "cron": YEARLY, "job": job })
}

/// Makes a schedule; gives it.
async fn create(app: &TestApp, input: Json) -> Json {
    app.data(CREATE, json!({ "input": input })).await["createSchedule"]["schedule"].take()
}

/// Runs a schedule now, waits until all jobs have ended, and gives its job.
async fn run_to_end(app: &TestApp, schedule: &Json) -> Json {
    let ran = app.data(RUN, json!({ "id": id(schedule) })).await["runSchedule"]["job"].take();
    app.drain().await;
    ran
}

/// A schedule's error, and how its last job and that job's source went.
async fn told(app: &TestApp, schedule: &Json) -> Json {
    let query = "query($id: ID!) { schedule(id: $id) { error { code message } lastJob { state error { code message }
        sourceReport { outcome found accepted replaced unchanged pruned failed failures { uri code message }
        runs { id state documentsTotal } } } } }";
    app.data(query, json!({ "id": id(schedule) })).await["schedule"].take()
}

/// The result of the newest source job's second step.
async fn result(app: &TestApp) -> Json {
    let sql = "SELECT s.result::text FROM job_steps s JOIN jobs j ON j.id = s.job_id
        WHERE s.name = 'submit' AND s.finished_at IS NOT NULL ORDER BY j.id DESC LIMIT 1";
    let texts = app.database.texts(sql).await;
    serde_json::from_str(texts.first().expect("a finished step")).expect("JSON")
}
