//! `Queue`

use std::sync::Arc;

use async_graphql::{Context, Description, InputObject, Object, SimpleObject};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::job::JobState;
use crate::app::App;
use crate::error::{Error, Result};
use crate::graphql::context::ContextExt;
use crate::graphql::page::{List, Place};
use crate::graphql::types::date_time::DateTime;
use crate::queue::queues::{self, QueueState};
use crate::queue::{self, processes};
use crate::store::entity::job::JobState as StoredState;

/// A queue of jobs.
#[derive(Description, Clone)]
pub struct Queue {
    state: QueueState,
    slots: i64,
}

#[Object(use_type_description)]
impl Queue {
    /// Its name.
    async fn name(&self) -> &str {
        &self.state.name
    }

    /// Whether it is paused: running jobs run on, no other starts.
    async fn is_paused(&self) -> bool {
        self.state.paused_at.is_some()
    }

    /// Since when it is paused.
    async fn paused_at(&self) -> Option<DateTime> {
        self.state.paused_at.map(Into::into)
    }

    /// Jobs in each of the seven states, of all tenants.
    async fn depth(&self) -> Vec<QueueDepth> {
        let states = StoredState::UNFINISHED.into_iter().chain(TERMINAL);
        states.map(|state| QueueDepth { state: state.into(), jobs: self.state.depth(state) }).collect()
    }

    /// Jobs that run now.
    async fn running(&self) -> i64 {
        self.state.depth(StoredState::Running)
    }

    /// Jobs that living worker processes run at once, together.
    async fn slots(&self) -> i64 {
        self.slots
    }

    /// Jobs that reached an end per second, over about the last minute; renewed every 10 s (a setting).
    async fn rate_per_second(&self) -> f64 {
        self.state.rate_per_s
    }

    /// Since when the job that has waited longest for a worker could have started.
    async fn oldest_pending_at(&self) -> Option<DateTime> {
        self.state.oldest_pending_at.map(Into::into)
    }

    /// How long that is; null where none waits.
    async fn oldest_pending_seconds(&self, ctx: &Context<'_>) -> Option<f64> {
        let waited = ctx.app().now() - self.state.oldest_pending_at?;
        Some(waited.to_std().unwrap_or_default().as_secs_f64())
    }
}

const TERMINAL: [StoredState; 3] = [StoredState::Succeeded, StoredState::Cancelled, StoredState::Dead];

/// Jobs of a queue in one state.
#[derive(SimpleObject)]
pub struct QueueDepth {
    /// The state.
    state: JobState,
    /// How many.
    jobs: i64,
}

impl Queue {
    /// Every known queue, in order of their names.
    pub async fn all(app: &App) -> Result<Vec<Self>> {
        Self::read(app, &queue::NAMES, true).await
    }

    /// One queue; refused where it is not known.
    pub async fn of_name(app: &App, field: &str, name: &str) -> Result<Self> {
        check(app, &[(field.to_owned(), name)]).await?;
        Self::one(app, name).await
    }

    /// One queue that is known.
    pub async fn one(app: &App, name: &str) -> Result<Self> {
        let gone = || Error::internal("read the queue", anyhow::anyhow!("no state of queue {name}"));
        Self::read(app, &[name], false).await?.pop().ok_or_else(gone)
    }

    async fn read(app: &App, names: &[&str], with_others: bool) -> Result<Vec<Self>> {
        let (db, lease) = (app.store.db(), app.config.queue.lease);
        let states = queues::states(db, names, with_others).await?;
        let workers = processes::all(db).await?;
        let queue = |state: QueueState| {
            let alive = workers.iter().filter(|worker| worker.is_alive(lease));
            let slots = alive.map(|worker| worker.slots_of(&state.name)).sum();
            Self { state, slots }
        };
        Ok(states.into_iter().map(queue).collect())
    }
}

/// Refuses queues that nobody knows; given are their fields and names.
pub async fn check(app: &App, given: &[(String, &str)]) -> Result<()> {
    if given.iter().all(|(_, name)| queue::NAMES.contains(name)) {
        return Ok(());
    }
    let mut known = queues::names(app.store.db()).await?;
    known.extend(queue::NAMES.map(str::to_owned));
    known.sort_unstable();
    known.dedup();
    match given.iter().find(|(_, name)| !known.iter().any(|known| known == name)) {
        None => Ok(()),
        Some((field, name)) => Err(Error::input(field, name, format!("a queue: {}", known.join(", ")))),
    }
}

/// Which queue.
#[derive(InputObject)]
pub struct QueueInput {
    /// Its name.
    pub name: String,
}

/// A queue that was paused or let go on.
#[derive(SimpleObject)]
pub struct QueuePayload {
    /// As it is now.
    pub queue: Queue,
    /// False where it was so already.
    pub changed: bool,
}

/// A queue at one time.
#[derive(SimpleObject, Clone)]
pub struct QueueUpdate {
    /// What the queue was like: subscribe again with it as `after`, and the next state comes that differs.
    cursor: String,
    /// When it was read.
    at: DateTime,
    /// The queue.
    queue: Queue,
}

/// What tells two states of a queue apart.
pub type Fingerprint = Uuid;

impl QueueUpdate {
    /// The list of a queue's states.
    pub fn list(queue: &str) -> List {
        List::new("queue states", &queue)
    }

    /// The queue as it is now.
    pub async fn read(app: &Arc<App>, name: &str) -> Result<(Fingerprint, Self)> {
        let queue = Queue::one(app, name).await?;
        let fingerprint = queue.fingerprint();
        let cursor = Self::list(name).cursor(Place::Id(fingerprint));
        Ok((fingerprint, Self { cursor, at: app.now().into(), queue }))
    }
}

impl Queue {
    /// The same for the same state, in every process. Rates that look the same are the same.
    fn fingerprint(&self) -> Fingerprint {
        let state = &self.state;
        let depths: Vec<i64> =
            StoredState::UNFINISHED.into_iter().chain(TERMINAL).map(|depth| state.depth(depth)).collect();
        let rate = format!("{:.2}", state.rate_per_s);
        let shown = format!("{:?}", (&state.name, state.paused_at, depths, rate, state.oldest_pending_at, self.slots));
        let digest: [u8; 32] = Sha256::digest(shown).into();
        let (half, _) = digest.split_at(16);
        Uuid::from_slice(half).unwrap_or_default()
    }
}
