//! Logs of numbered events: those of a run, those of a job.

use std::sync::Arc;

use uuid::Uuid;

use crate::app::App;
use crate::error::Result;
use crate::queue::history::{self, EventRow};
use crate::queue::jobs;
use crate::store::entity::run_event::{self, EventKind};
use crate::store::listen::{JOB_EVENTS_CHANNEL, RUNS_CHANNEL, Waiter};
use crate::store::{TenantId, runs};

/// Where events are read. They are numbered from 1 without gaps, and a later one never has a lower number.
pub trait Log: Clone + Send + Sync + 'static {
    /// What is read.
    type Event: Send + Sync + 'static;

    /// What it is called in metrics.
    const NAME: &'static str;

    /// Whose it is.
    fn id(&self) -> Uuid;

    /// The application it is read from.
    fn app(&self) -> &App;

    /// Joins the signal that tells of more.
    fn join(&self) -> Waiter;

    /// Events after a number, in order, at most `limit`.
    fn read(&self, after: i64, limit: u64) -> impl Future<Output = Result<Vec<Self::Event>>> + Send;

    /// Where it stands now; `None` where what it is of was removed, so that nothing more can come.
    fn head(&self) -> impl Future<Output = Result<Option<Head>>> + Send;

    /// The event's number.
    fn sequence(event: &Self::Event) -> i64;

    /// Whether it may be the last one: it is, where nothing follows.
    fn may_be_last(event: &Self::Event) -> bool;
}

/// Where a log stood when it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Number of the last event; 0 before the first.
    pub last: i64,
    /// Whether that one was to be the last.
    pub is_over: bool,
}

/// A run's events.
#[derive(Clone)]
pub struct RunLog {
    /// Where to read.
    pub app: Arc<App>,
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub run: Uuid,
}

impl Log for RunLog {
    type Event = run_event::Model;

    const NAME: &'static str = "run";

    fn id(&self) -> Uuid {
        self.run
    }

    fn app(&self) -> &App {
        &self.app
    }

    fn join(&self) -> Waiter {
        self.app.signals.join(RUNS_CHANNEL, self.run.to_string())
    }

    async fn read(&self, after: i64, limit: u64) -> Result<Vec<run_event::Model>> {
        runs::events(self.app.store.db(), self.tenant, self.run, after, limit).await
    }

    async fn head(&self) -> Result<Option<Head>> {
        let row = runs::by_ids(self.app.store.db(), self.tenant, &[self.run]).await?.remove(&self.run);
        Ok(row.map(|run| Head { last: run.last_event, is_over: run.state.is_terminal() }))
    }

    fn sequence(event: &run_event::Model) -> i64 {
        event.sequence
    }

    fn may_be_last(event: &run_event::Model) -> bool {
        event.kind == EventKind::RunFinished
    }
}

/// A job's events.
#[derive(Clone)]
pub struct JobLog {
    /// Where to read.
    pub app: Arc<App>,
    /// Whose.
    pub tenant: TenantId,
    /// Which.
    pub job: Uuid,
}

impl Log for JobLog {
    type Event = EventRow;

    const NAME: &'static str = "job";

    fn id(&self) -> Uuid {
        self.job
    }

    fn app(&self) -> &App {
        &self.app
    }

    fn join(&self) -> Waiter {
        self.app.signals.join(JOB_EVENTS_CHANNEL, self.job.to_string())
    }

    async fn read(&self, after: i64, limit: u64) -> Result<Vec<EventRow>> {
        history::events(self.app.store.db(), self.tenant, self.job, after, limit).await
    }

    async fn head(&self) -> Result<Option<Head>> {
        let row = jobs::by_ids(self.app.store.db(), self.tenant, &[self.job]).await?.remove(&self.job);
        Ok(row.map(|job| Head { last: job.last_event, is_over: job.state.is_terminal() }))
    }

    fn sequence(event: &EventRow) -> i64 {
        event.sequence
    }

    fn may_be_last(event: &EventRow) -> bool {
        event.state.is_terminal()
    }
}
