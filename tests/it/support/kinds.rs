//! Kinds of jobs for tests: what they do is seen in the table [`LEDGER`], which has no constraint on purpose, so that
//! what happened twice is there twice.

use std::time::Duration;

use async_trait::async_trait;
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use serde_json::{Value as Json, json};
use vectorforge::error::{Error, Result};
use vectorforge::queue::{self, ActiveJob, Handler, INGEST, JobKind, Kinds, Step, StepEnd, steps};
use vectorforge::store::{Doing, Store};

/// The table that [`Ledger`] writes to.
pub const LEDGER: &str = "CREATE TABLE test_ledger (job_id uuid NOT NULL, step text NOT NULL, lease integer NOT NULL)";

/// Does nothing.
pub const NOOP: &str = "test_noop";
/// Writes a line per step, in the transaction that ends the step. `payload.pause_ms`: works so long before each.
pub const LEDGER_KIND: &str = "test_ledger";
/// Fails twice, as something does that is down for a while.
pub const FLAKY: &str = "test_flaky";
/// Fails for good.
pub const POISON: &str = "test_poison";
/// Kills its process at its first lease.
pub const CRASH: &str = "test_crash";

/// The house's kinds with those of this room.
pub fn with_all(own: Kinds, store: &Store) -> Kinds {
    own.with(kind(NOOP), Noop)
        .with(kind(LEDGER_KIND), Ledger::new(store))
        .with(kind(FLAKY), Flaky)
        .with(kind(POISON), Poison)
        .with(kind(CRASH), Crash)
}

/// A kind of jobs in the queue of those that ingest.
pub const fn kind(name: &'static str) -> JobKind {
    JobKind::new(name, INGEST, 1)
}

struct Noop;

#[async_trait]
impl Handler for Noop {
    async fn run(&self, _: &ActiveJob, _: &'static str) -> Result<StepEnd> {
        Ok(StepEnd::Done(Json::Null))
    }
}

struct Flaky;

#[async_trait]
impl Handler for Flaky {
    async fn run(&self, job: &ActiveJob, _: &'static str) -> Result<StepEnd> {
        match job.row.leases {
            1 | 2 => Err(Error::unavailable("reach the other side", std::io::Error::other("told to fail"))),
            _ => Ok(StepEnd::Done(Json::Null)),
        }
    }
}

struct Poison;

#[async_trait]
impl Handler for Poison {
    async fn run(&self, _: &ActiveJob, _: &'static str) -> Result<StepEnd> {
        Err(Error::input("job.payload", "poison", "something wholesome"))
    }
}

struct Crash;

#[async_trait]
impl Handler for Crash {
    async fn run(&self, job: &ActiveJob, _: &'static str) -> Result<StepEnd> {
        if job.row.leases == 1 {
            std::process::abort();
        }
        Ok(StepEnd::Done(Json::Null))
    }
}

/// Two steps. The second one's transaction ends the job too.
pub struct Ledger {
    store: Store,
}

impl Ledger {
    /// A handler.
    pub fn new(store: &Store) -> Self {
        Self { store: store.clone() }
    }
}

#[async_trait]
impl Handler for Ledger {
    fn steps(&self) -> Vec<Step> {
        vec![Step::new("first"), Step::new("second")]
    }

    async fn run(&self, job: &ActiveJob, step: &'static str) -> Result<StepEnd> {
        let row = &job.row;
        tokio::time::sleep(Duration::from_millis(row.payload["pause_ms"].as_u64().unwrap_or(0))).await;
        let tx = self.store.begin().await?;
        let line = "INSERT INTO test_ledger VALUES ($1, $2, $3)";
        let values = [row.id.into(), step.into(), row.leases.into()];
        let line = Statement::from_sql_and_values(DbBackend::Postgres, line, values);
        tx.execute_raw(line).await.doing("write the line")?;
        let is_last = step == "second";
        steps::finish_step(&tx, row, step, json!({ "lease": row.leases }), (!is_last).then_some("second")).await?;
        if is_last {
            queue::succeed(&tx, row).await?;
        }
        tx.commit().await.doing("end the step")?;
        Ok(if is_last { StepEnd::JobEnded } else { StepEnd::Stored })
    }
}
