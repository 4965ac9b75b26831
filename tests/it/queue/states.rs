//! The state machine: the database keeps to the table of `docs/jobs.md`, and no sequence of calls and crashes leaves it.

mod calls;
mod model;
mod play;

use std::collections::BTreeSet;

use proptest::test_runner::{Config, TestRunner};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;
use vectorforge::store::DEFAULT_TENANT;

use crate::support::TestApp;

const STATES: [&str; 7] = ["SCHEDULED", "PENDING", "RUNNING", "RETRYING", "SUCCEEDED", "CANCELLED", "DEAD"];

/// The table of transitions in `docs/jobs.md`. From nothing a job begins.
fn transitions() -> BTreeSet<(String, String)> {
    let page = include_str!("../../../docs/jobs.md");
    let (_, section) = page.split_once("## States").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("another section follows");
    let named = |cell: &str| -> Vec<String> {
        let words = cell.split('`').map(str::to_owned);
        words.filter(|word| STATES.contains(&word.as_str())).collect()
    };
    let mut found = BTreeSet::new();
    for cells in section
        .lines()
        .filter(|line| line.starts_with("| ") && line.contains('`'))
        .map(|line| line.split('|').collect::<Vec<_>>())
    {
        let from = match cells[1].trim() {
            "" => vec![String::new()],
            cell => named(cell),
        };
        for from in from {
            found.extend(named(cells[2]).into_iter().map(|to| (from.clone(), to)));
        }
    }
    found
}

/// From a state in which a job may begin to each state.
fn path(to: &str) -> &'static [&'static str] {
    match to {
        "SCHEDULED" => &["SCHEDULED"],
        "PENDING" => &["PENDING"],
        "RUNNING" => &["PENDING", "RUNNING"],
        "RETRYING" => &["PENDING", "RUNNING", "RETRYING"],
        "SUCCEEDED" => &["PENDING", "RUNNING", "SUCCEEDED"],
        "CANCELLED" => &["SCHEDULED", "CANCELLED"],
        _ => &["PENDING", "RUNNING", "DEAD"],
    }
}

async fn insert(connection: &mut PgConnection, id: Uuid, state: &str) -> sqlx::Result<()> {
    let sql = format!(
        "INSERT INTO jobs (id, tenant_id, queue, kind, payload, payload_version, state, max_attempts, lease_holder,
             lease_until) SELECT '{id}', '{DEFAULT_TENANT}', 'test', 'test', '{{}}', 1, '{state}', 5,
             CASE WHEN '{state}' = 'RUNNING' THEN '{id}'::uuid END, CASE WHEN '{state}' = 'RUNNING' THEN now() END"
    );
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
}

async fn move_to(connection: &mut PgConnection, id: Uuid, state: &str) -> sqlx::Result<()> {
    let holds =
        if state == "RUNNING" { format!("'{id}', lease_until = now()") } else { "NULL, lease_until = NULL".into() };
    let sql = format!("UPDATE jobs SET state = '{state}', lease_holder = {holds} WHERE id = '{id}'");
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await.map(|_| ())
}

/// Whether it was done; otherwise it must have been refused by the rule that is tested.
fn is_done(outcome: sqlx::Result<()>) -> bool {
    let Err(error) = outcome else { return true };
    let refusal = error.as_database_error().expect("an answer of the database");
    assert_eq!((refusal.code().as_deref(), refusal.constraint()), (Some("23514"), Some("jobs_transition")), "{error}");
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn the_database_accepts_exactly_the_documented_transitions() {
    let app = TestApp::builder().without_workers().start().await;
    let mut connection = PgConnection::connect(&app.database.url).await.expect("connects");
    let table = transitions();
    assert_eq!(table.len(), 16, "{table:?}");
    for from in STATES {
        for to in STATES.into_iter().filter(|to| *to != from) {
            let id = Uuid::now_v7();
            insert(&mut connection, id, path(from)[0]).await.expect("begins");
            for step in &path(from)[1..] {
                move_to(&mut connection, id, step).await.expect("a transition of the table");
            }
            let is_in_table = table.contains(&(from.to_owned(), to.to_owned()));
            assert_eq!(is_done(move_to(&mut connection, id, to).await), is_in_table, "from {from} to {to}");
        }
        let begins = is_done(insert(&mut connection, Uuid::now_v7(), from).await);
        assert_eq!(begins, table.contains(&(String::new(), from.to_owned())), "begin as {from}");
    }
}

/// Sequences tried; of up to [`calls::LONGEST`] calls each.
const CASES: u32 = 40;

#[tokio::test(flavor = "multi_thread")]
async fn no_sequence_of_calls_and_crashes_leaves_the_table_or_surprises_the_model() {
    let app = TestApp::builder().without_workers().start().await;
    let handle = tokio::runtime::Handle::current();
    let config = Config { cases: CASES, failure_persistence: None, max_shrink_iters: 200, ..Config::default() };
    let tried = tokio::task::spawn_blocking(move || {
        let calls = calls::sequences();
        TestRunner::new(config).run(&calls, |calls| {
            handle.block_on(play::play(&app, &transitions(), calls));
            Ok(())
        })
    });
    tried.await.expect("the runner ends").unwrap_or_else(|failure| panic!("{failure}"));
}
