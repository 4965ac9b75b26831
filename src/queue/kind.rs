//! Kinds of jobs: what is known of each, and the handlers of this process.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value as Json;

use super::{Handler, NewJob, Step};
use crate::error::{Error, Result};
use crate::store::entity::job;

/// What is known of a kind of job before there is one.
#[derive(Debug, Clone, Copy)]
pub struct JobKind {
    /// Its name, stable: every job bears it.
    pub name: &'static str,
    /// The queue of its jobs.
    pub queue: &'static str,
    /// Version of its payload's shape.
    pub version: i32,
    /// Where schedules may enqueue such jobs: what one with a payload depends on.
    pub schedulable: Option<ProviderOf>,
}

/// What a job with a payload depends on, for limits and circuits.
pub type ProviderOf = fn(&Json) -> Option<String>;

impl JobKind {
    /// A kind that schedules do not enqueue.
    pub const fn new(name: &'static str, queue: &'static str, version: i32) -> Self {
        Self { name, queue, version, schedulable: None }
    }

    /// A job of this kind, for now.
    ///
    /// # Panics
    /// Where the payload cannot be written as JSON: it is made of ids and texts.
    pub fn job(&self, payload: &impl Serialize, max_attempts: u32, at: DateTime<Utc>) -> NewJob {
        let payload = serde_json::to_value(payload).expect("a payload of ids and texts is JSON");
        NewJob::new(self.queue, self.name, (self.version, payload), max_attempts, at)
    }

    /// What a job of this kind was enqueued with; or says which kind and version cannot be read.
    pub fn payload<T: DeserializeOwned>(&self, job: &job::Model) -> Result<T> {
        let unreadable = |cause: anyhow::Error| {
            let cause = cause.context(format!("payload of `{}` version {}", job.kind, job.payload_version));
            Error::input("job.payload", format!("{cause:#}"), format!("version {}", self.version))
        };
        if job.payload_version != self.version {
            return Err(unreadable(anyhow::anyhow!("unknown version")));
        }
        serde_json::from_value(job.payload.clone()).map_err(|cause| unreadable(cause.into()))
    }
}

/// The kinds of jobs that this process knows, each with its handler. Made once: a clone is the same one.
#[derive(Clone, Default)]
pub struct Kinds(Arc<BTreeMap<&'static str, Known>>);

#[derive(Clone)]
struct Known {
    kind: JobKind,
    steps: Vec<Step>,
    handler: Arc<dyn Handler>,
}

impl Kinds {
    /// With one more.
    #[must_use]
    pub fn with(mut self, kind: JobKind, handler: impl Handler) -> Self {
        let known = Known { kind, steps: handler.steps(), handler: Arc::new(handler) };
        Arc::make_mut(&mut self.0).insert(kind.name, known);
        self
    }

    /// The handler of a kind.
    pub fn handler(&self, kind: &str) -> Option<&Arc<dyn Handler>> {
        self.0.get(kind).map(|known| &known.handler)
    }

    /// The steps of a kind in order; none where it is not known.
    pub fn steps(&self, kind: &str) -> &[Step] {
        self.0.get(kind).map_or(&[], |known| &known.steps)
    }

    /// The name of every kind, in order.
    pub fn names(&self) -> Vec<&'static str> {
        self.0.keys().copied().collect()
    }

    /// A kind that schedules may enqueue, and what its jobs depend on.
    pub fn schedulable(&self, kind: &str) -> Result<(JobKind, ProviderOf)> {
        let schedulable = || self.0.values().filter_map(|known| Some((known.kind, known.kind.schedulable?)));
        let expected = || schedulable().map(|(known, _)| format!("`{}`", known.name)).collect::<Vec<_>>().join(", ");
        let found = schedulable().find(|(known, _)| known.name == kind);
        found.ok_or_else(|| Error::input("kind", kind, expected()))
    }
}

impl fmt::Debug for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
