//! The workers of an instance, and the schedules that give them work.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::app::App;
use crate::causes::warn_of;
use crate::queue::{Crew, Kinds, Queue, Settler, WorkerSettings};
use crate::schedule;
use crate::store::{Store, leaders};
use crate::tasks::Tasks;

/// Starts them. Tasks end when `stop` is cancelled, or with an error that should end the process.
pub(super) fn start(app: &Arc<App>, kinds: &Kinds, tasks: &mut Tasks, stop: &CancellationToken) {
    let settings = WorkerSettings::of(&app.config);
    let settler = Settler { store: app.store.clone(), kinds: kinds.clone(), settings };
    let queues = Queue::all(app.config.queue.workers).into();
    let holder = Crew { queues, settler: settler.clone(), signals: app.signals.clone() }.start(tasks, stop);
    tasks.spawn("schedules", schedule::lead(app.clone(), settler, holder));
    tasks.on_stop(resign(app.store.clone(), holder));
}

/// Another process may lead at once.
async fn resign(store: Store, holder: Uuid) {
    if let Err(error) = leaders::resign(store.db(), schedule::LEADER, holder).await {
        warn_of!(error);
    }
}
