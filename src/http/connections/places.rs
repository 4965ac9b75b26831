//! The places of connections: so many for use, and a few beyond.

use std::sync::Arc;

use metrics::gauge;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Connections beyond the limit: enough to tell probes and people what is the matter, too few to cost memory.
const BEYOND: usize = 32;

/// The places of one process.
#[derive(Clone)]
pub struct Places {
    usual: Arc<Semaphore>,
    beyond: Arc<Semaphore>,
    limit: usize,
}

/// One connection's place, free again when it is dropped.
pub struct Place {
    /// Whether it is beyond the limit.
    pub is_beyond: bool,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    /// So many, and those beyond.
    pub fn new(limit: usize) -> Self {
        Self { usual: Arc::new(Semaphore::new(limit)), beyond: Arc::new(Semaphore::new(BEYOND)), limit }
    }

    /// A place, one beyond the limit where there is no other; waits where there is none at all.
    pub(super) async fn take(&self) -> Place {
        let (usual, beyond) = (self.usual.clone(), self.beyond.clone());
        let (permit, is_beyond) = tokio::select! {
            biased;
            permit = usual.acquire_owned() => (permit, false),
            permit = beyond.acquire_owned() => (permit, true),
        };
        gauge!("vectorforge_connections").increment(1);
        Place { is_beyond, _permit: permit.expect("these semaphores are never closed") }
    }

    /// Connections open now.
    pub fn taken(&self) -> usize {
        self.limit + BEYOND - self.usual.available_permits() - self.beyond.available_permits()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        gauge!("vectorforge_connections").decrement(1);
    }
}
