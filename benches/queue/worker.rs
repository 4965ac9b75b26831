//! A worker process as `vectorforge worker` runs it, with one queue and a job that does nothing.

use std::io::Read;

use async_trait::async_trait;
use serde_json::json;
use settings::Config;
use tokio_util::sync::CancellationToken;
use vectorforge::error::Result;
use vectorforge::queue::{ActiveJob, Crew, Handler, JobKind, Kinds, Queue, Settler, StepEnd, WorkerSettings};
use vectorforge::store::Store;
use vectorforge::store::listen::Signals;
use vectorforge::tasks::Tasks;

use crate::{KIND, QUEUE, now_us, tell};

/// Does nothing, and says when where asked to.
struct Noop {
    tells: bool,
}

#[async_trait]
impl Handler for Noop {
    async fn run(&self, job: &ActiveJob, _: &'static str) -> Result<StepEnd> {
        if self.tells {
            tell(&json!({ "job": job.row.id, "at_us": now_us() }));
        }
        Ok(StepEnd::Stored)
    }
}

/// Works until standard input closes.
pub async fn run(config: &Config, store: Store, slots: usize, tells: bool) -> anyhow::Result<()> {
    let (signals, stop, mut tasks) = (Signals::default(), CancellationToken::new(), Tasks::default());
    let kinds = Kinds::default().with(JobKind::new(KIND, QUEUE, 1), Noop { tells });
    let settler = Settler { store: store.clone(), kinds, settings: WorkerSettings::of(config) };
    tasks.spawn("bell", store.bell().clone().keep_ringing(store.clone()));
    tasks.spawn("signals", signals.clone().listen(store.clone()));
    let queues = vec![Queue { name: QUEUE, concurrency: slots }];
    Crew { queues, settler, signals }.start(&mut tasks, &stop);
    tell(&json!({ "ready": true }));
    tokio::select! {
        cause = tasks.first_end() => return Err(cause),
        closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())) => { closed??; }
    }
    stop.cancel();
    tasks.stop().await;
    Ok(())
}
