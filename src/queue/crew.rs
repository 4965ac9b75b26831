//! Everything that works on jobs in one process: a worker for each queue, and what keeps their leases and ends.

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::finish::{Finisher, keep_finishing};
use super::leases::Leases;
use super::processes::{self, WorkerCard};
use super::worker::Worker;
use super::{Queue, Settler, due, leases};
use crate::causes::warn_of;
use crate::error::Result;
use crate::store::Store;
use crate::store::listen::Signals;
use crate::tasks::Tasks;

/// What works on jobs.
pub struct Crew {
    /// On which queues.
    pub queues: Vec<Queue>,
    /// Settles what fails.
    pub settler: Settler,
    /// Wake it.
    pub signals: Signals,
}

impl Crew {
    /// Starts to work. Tasks end when `stop` is cancelled, or with an error that should end the process. Gives the holder
    /// of its leases: this process, anew at every start.
    pub fn start(self, tasks: &mut Tasks, stop: &CancellationToken) -> Uuid {
        let (store, settings) = (self.settler.store.clone(), self.settler.settings);
        let leases = Leases::new(settings.lease, stop.child_token());
        let (finisher, done) = Finisher::new();
        let card = card(leases.holder, &self.queues);
        for queue in self.queues {
            let (signals, settler) = (self.signals.clone(), self.settler.clone());
            let worker = Worker { queue, signals, leases: leases.clone(), finisher: finisher.clone(), settler };
            tasks.spawn_draining(queue.name, worker.run(stop.clone()));
        }
        let ends = keep_finishing(done, store.clone(), leases.clone(), stop.clone(), settings.grace);
        tasks.spawn_draining("ends", ends);
        tasks.spawn("due", due::promote(store.clone(), self.signals.clone(), settings.poll));
        tasks.spawn("leases", leases.clone().keep(store.clone(), self.signals, settings.heartbeat, card));
        let holder = leases.holder;
        tasks.on_stop(leave(store, leases));
        holder
    }
}

/// What this process tells of itself.
fn card(id: Uuid, queues: &[Queue]) -> WorkerCard {
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let slots = queues.iter().map(|queue| (queue.name.to_owned(), queue.concurrency.into()));
    let slots = serde_json::Map::from_iter(slots).into();
    WorkerCard { id, host, pid: std::process::id(), version: env!("CARGO_PKG_VERSION"), slots }
}

/// Leases of jobs that could not end in time go to other processes at once.
async fn leave(store: Store, leases: Leases) {
    let holder = leases.holder;
    let _nobody_takes = leases.no_more_taking().await;
    match leases::give_back(store.db(), holder).await {
        Ok(0) => {}
        Ok(given) => tracing::info!(given, "unfinished jobs were given back"),
        Err(error) => warn_of!(error),
    }
    if let Err(error) = take_leave(&store, holder).await {
        warn_of!(error);
    }
}

async fn take_leave(store: &Store, holder: Uuid) -> Result<()> {
    processes::forget(store.db(), holder).await?;
    store.bell().send(store).await
}
