//! What taking jobs costs.

use std::io::BufRead;
use std::time::{Duration, Instant};

use serde_json::json;
use uuid::Uuid;
use vectorforge::queue::{self, Claim};
use vectorforge::store::Store;

use crate::{QUEUE, tell};

/// Takes jobs for each line read, and ends them; tells how many, and how long taking took.
pub async fn measure(store: &Store, limit: usize) -> anyhow::Result<()> {
    let (holder, lease) = (Uuid::now_v7(), Duration::from_secs(3600));
    let mut after_tenant = Uuid::nil();
    for line in std::io::stdin().lock().lines() {
        line?;
        let started = Instant::now();
        let taken = queue::take(store, Claim { queue: QUEUE, holder, lease, limit, after_tenant }).await?;
        let seconds = started.elapsed().as_secs_f64();
        after_tenant = taken.last().map_or(after_tenant, |job| job.tenant_id);
        let ended: Vec<queue::Ended> = taken.into_iter().map(|job| (job.id, job.lease_token, job.queue)).collect();
        queue::succeed_all(store, &ended).await?;
        tell(&json!({ "jobs": ended.len(), "seconds": seconds }));
    }
    Ok(())
}
