//! `Worker`

use async_graphql::{Context, Description, ID, Object, SimpleObject};

use crate::graphql::context::ContextExt;
use crate::graphql::types::date_time::DateTime;
use crate::id::Kind;
use crate::queue::processes::WorkerRow;

/// A process that runs jobs, as it last told of itself.
#[derive(Description)]
pub struct Worker(pub WorkerRow);

#[Object(use_type_description)]
impl Worker {
    /// Global id, `wrk_…`; another one at every start of the process.
    async fn id(&self) -> ID {
        ID(Kind::Worker.encode(self.0.id))
    }

    /// Its machine.
    async fn host(&self) -> &str {
        &self.0.host
    }

    /// Its process id there.
    async fn pid(&self) -> i32 {
        self.0.pid
    }

    /// Its version.
    async fn version(&self) -> &str {
        &self.0.version
    }

    /// How many jobs it runs at once.
    async fn slots(&self) -> Vec<WorkerSlots> {
        let slots = self.0.slots.as_object().into_iter().flatten();
        slots.map(|(queue, _)| WorkerSlots { queue: queue.clone(), slots: self.0.slots_of(queue) }).collect()
    }

    /// Jobs that it runs now.
    async fn running(&self) -> i64 {
        self.0.running
    }

    /// When it started.
    async fn started_at(&self) -> DateTime {
        self.0.started_at.into()
    }

    /// When it last told that it lives.
    async fn seen_at(&self) -> DateTime {
        self.0.seen_at.into()
    }

    /// Whether it was seen within the time of a lease, 30 s (a setting). Of one that was not, the jobs are taken up
    /// again by others.
    async fn is_alive(&self, ctx: &Context<'_>) -> bool {
        self.0.is_alive(ctx.app().config.queue.lease)
    }
}

/// Jobs of one queue that a process runs at once.
#[derive(SimpleObject)]
pub struct WorkerSlots {
    /// The queue.
    queue: String,
    /// Jobs at once.
    slots: i64,
}
