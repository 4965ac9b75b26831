//! A worker process as `vectorforge worker` runs it, with one queue and a job that does nothing.

use std::io::Read;

use async_trait::async_trait;
use serde_json::json;
use settings::Config;
use tokio_util::sync::CancellationToken;
use vectorforge::error::Result;
use vectorforge::queue::worker::Worker;
use vectorforge::queue::{
    self, ActiveJob, Backoff, Finisher, Handler, Handlers, Leases, Queue, Settler, StepEnd, WorkerSettings,
};
use vectorforge::store::Store;
use vectorforge::store::circuits::CircuitSettings;
use vectorforge::store::jobs;
use vectorforge::store::listen::Signals;
use vectorforge::store::workers::WorkerCard;
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
    let leases = Leases::new(config.queue.lease, stop.child_token());
    let (finisher, done) = Finisher::new();
    let settler = Settler {
        store: store.clone(),
        handlers: Handlers::default().with(KIND, Noop { tells }),
        settings: settings(config),
    };
    let queue = Queue { name: QUEUE, concurrency: slots };
    let worker = Worker { queue, signals: signals.clone(), leases: leases.clone(), finisher, settler };
    let card = WorkerCard {
        id: leases.holder,
        host: "bench".to_owned(),
        pid: std::process::id(),
        version: env!("CARGO_PKG_VERSION"),
        slots: json!({ QUEUE: slots }),
    };
    tasks.spawn("bell", store.bell().clone().keep_ringing(store.clone()));
    tasks.spawn("signals", signals.clone().listen(store.clone()));
    tasks.spawn("due", queue::promote(store.clone(), signals.clone(), config.queue.poll));
    tasks.spawn("leases", leases.clone().keep(store.clone(), signals.clone(), config.queue.heartbeat, card));
    let ends = queue::keep_finishing(done, store.clone(), leases.clone(), stop.clone(), config.http.shutdown_grace);
    tasks.spawn_draining("ends", ends);
    tasks.spawn_draining("worker", worker.run(stop.clone()));
    tell(&json!({ "ready": true }));
    tokio::select! {
        cause = tasks.first_end() => return Err(cause),
        closed = tokio::task::spawn_blocking(|| std::io::stdin().read_to_end(&mut Vec::new())) => { closed??; }
    }
    stop.cancel();
    tasks.stop().await;
    jobs::give_back(store.db(), leases.holder).await?;
    Ok(())
}

/// The defaults.
fn settings(config: &Config) -> WorkerSettings {
    let (queue, circuit) = (&config.queue, &config.circuit);
    WorkerSettings {
        poll: queue.poll,
        timeout: queue.job_timeout,
        backoff: Backoff { base: queue.backoff_base, max: queue.backoff_max },
        circuits: CircuitSettings { failures: circuit.failures, open: circuit.open, open_max: circuit.open_max },
        grace: config.http.shutdown_grace,
    }
}
