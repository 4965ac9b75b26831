//! Taking jobs: at once where nothing stands in the way, otherwise one taker at a time under the rules.

#![expect(clippy::disallowed_methods, reason = "a job is due by the clock of its process")]

use chrono::Utc;

use super::admit::Rules;
use super::candidates::candidates;
use super::lease::{Claim, lease, lease_these};
use super::{circuits, limits, queues};
use crate::error::Result;
use crate::store::entity::job;
use crate::store::{Doing, Store};

/// Takes what may start now.
pub async fn take(store: &Store, claim: Claim<'_>) -> Result<Vec<job::Model>> {
    let mut taken = lease(store.db(), claim).await?;
    if taken.is_empty() {
        let obstacles = queues::obstacles(store.db(), claim.queue).await?;
        if obstacles.has_rules && !obstacles.is_paused {
            taken = take_under_rules(store, claim).await?;
        }
    }
    if !taken.is_empty() {
        store.bell().ring_jobs(claim.queue, taken.iter().map(|job| job.id));
    }
    Ok(taken)
}

async fn take_under_rules(store: &Store, claim: Claim<'_>) -> Result<Vec<job::Model>> {
    let tx = store.begin().await?;
    limits::lock_takers(&tx).await?;
    let now = Utc::now();
    let limits = limits::all(&tx).await?;
    let (circuits, running) = (circuits::all(&tx).await?, limits::running(&tx).await?);
    let mut rules = Rules::new(claim.queue, limits, &circuits, &running, now);
    let admitted = match rules.held() {
        Some(held) => rules.admit(candidates(&tx, claim, held).await?, claim.after_tenant, claim.limit),
        None => Vec::new(),
    };
    if admitted.is_empty() {
        // At once, not when the connection is looked at next: other takers wait.
        tx.rollback().await.doing("let other takers in")?;
        return Ok(Vec::new());
    }
    let taken = lease_these(&tx, claim, admitted).await?;
    limits::set_tokens(&tx, &rules.into_limits()).await?;
    tx.commit().await.doing("take jobs")?;
    Ok(taken)
}
