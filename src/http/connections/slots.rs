//! The slots of connections: so many for use, and a few beyond.

use std::sync::Arc;

use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections beyond the limit: enough to tell probes and people what is the matter, too few to cost memory.
const BEYOND: usize = 32;

/// The slots of one process.
#[derive(Clone)]
pub struct Slots {
    usual: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
    limit: usize,
}

/// One connection's slot, free again when it is dropped.
pub struct Slot {
    /// Whether it is beyond the limit.
    pub is_beyond: bool,
    _permit: OwnedSemaphorePermit,
}

impl Slots {
    /// So many, and those beyond.
    pub fn new(limit: usize) -> Self {
        Self { usual: Arc::new(Semaphore::new(limit)), beyond: Arc::new(Semaphore::new(BEYOND)), limit }
    }

    /// A slot, one beyond the limit where there is no other; waits where there is none at all.
    pub(super) async fn take(&self) -> Slot {
        let (usual, beyond) = (self.usual.clone(), self.beyond.clone());
        let (permit, is_beyond) = tokio::select! {
            biased;
            permit = usual.acquire_owned() => (permit, false),
            permit = beyond.acquire_owned() => (permit, true),
        };
        gauge!("vectorforge_connections").increment(1);
        Slot { is_beyond, _permit: permit.expect("these semaphores are never closed") }
    }

    /// Connections open now.
    pub fn taken(&self) -> usize {
        self.limit + BEYOND - self.usual.available_permits() - self.beyond.available_permits()
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        gauge!("vectorforge_connections").decrement(1);
    }
}
