//! Clients that enqueue.

use std::time::{Duration, Instant};

use chrono::Utc;
use serde_json::json;
use uuid::Uuid;
use vectorforge::error::Result;
use vectorforge::queue::{self, NewJob};
use vectorforge::store::{DEFAULT_TENANT, Store};

use crate::{ATTEMPTS, KIND, QUEUE, now_us, tell};

/// Jobs in one transaction; tells how long it took, and when it was committed.
pub async fn at_once(store: &Store, jobs: usize) -> anyhow::Result<()> {
    let started = Instant::now();
    commit(store, (0..jobs).map(|_| job()).collect()).await?;
    let (seconds, at_us) = (started.elapsed().as_secs_f64(), now_us());
    store.bell().send(store).await?;
    tell(&json!({ "jobs": jobs, "seconds": seconds, "at_us": at_us }));
    Ok(())
}

/// Jobs each in a transaction of its own; tells when it was asked for, and when it was committed.
pub async fn one_by_one(store: &Store, jobs: usize, pause_ms: u64) -> anyhow::Result<()> {
    let bell = tokio::spawn(store.bell().clone().keep_ringing(store.clone()));
    for _ in 0..jobs {
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        let (job, asked_us) = (job(), now_us());
        let id: Uuid = job.id;
        commit(store, vec![job]).await?;
        tell(&json!({ "job": id, "asked_us": asked_us, "at_us": now_us() }));
    }
    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
    bell.abort();
    Ok(())
}

fn job() -> NewJob {
    NewJob::new(QUEUE, KIND, (1, json!({})), ATTEMPTS, Utc::now())
}

async fn commit(store: &Store, jobs: Vec<NewJob>) -> Result<(), anyhow::Error> {
    let tx = store.begin().await?;
    queue::enqueue(&tx, DEFAULT_TENANT, jobs).await?;
    Ok(tx.commit().await?)
}
