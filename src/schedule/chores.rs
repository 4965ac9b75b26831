//! What the leader does itself at the times of the built-in schedules.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use uuid::Uuid;

use super::built_in::Chore;
use crate::app::App;
use crate::causes::warn_of;
use crate::error::Result;
use crate::ingest::delete;
use crate::queue::{self, Kinds, Settler, processes, queues};
use crate::search::build;
use crate::store::entity::job::JobState;
use crate::store::schedules::{self, Schedule};
use crate::store::{documents, retention};

/// How long a worker that was lost is still shown.
const LOST_WORKERS_SHOWN: Duration = Duration::from_secs(3_600);
/// Expired documents read at once.
const EXPIRED_AT_ONCE: u64 = 500;

/// The chores that are under way in this process. Each runs in a task of its own: one that takes long keeps neither the
/// lead nor the others waiting. Any number of processes may do the same chore at once, as they may after a hand-over.
pub(super) struct Chores {
    app: Arc<App>,
    settler: Settler,
    tasks: JoinSet<()>,
    running: Vec<(Chore, AbortHandle)>,
}

impl Chores {
    /// None yet. Dropped, it ends them all.
    pub(super) fn new(app: Arc<App>, settler: Settler) -> Self {
        Self { app, settler, tasks: JoinSet::new(), running: Vec::new() }
    }

    /// Begins the chore of a schedule that fired, where it has one that is not under way already.
    pub(super) fn begin(&mut self, fired: &Schedule) {
        while self.tasks.try_join_next().is_some() {}
        self.running.retain(|(_, task)| !task.is_finished());
        let chore = Chore::of_kind(&fired.kind).filter(|_| fired.tenant_id.is_none());
        let Some(chore) = chore.filter(|chore| self.running.iter().all(|(running, _)| running != chore)) else {
            return;
        };
        let task = self.tasks.spawn(run_and_tell(self.app.clone(), self.settler.clone(), chore, fired.id));
        self.running.push((chore, task));
    }
}

/// Does a chore, and notes how it went.
async fn run_and_tell(app: Arc<App>, settler: Settler, chore: Chore, schedule: Uuid) {
    let done = run(&app, &settler, chore).await;
    let error = done.as_ref().err().map(|error| (error.code.as_str(), &*error.message));
    let told = schedules::set_error(app.store.db(), schedule, error).await;
    for error in [done, told.map(|_| ())].into_iter().filter_map(Result::err) {
        warn_of!(error, chore = chore.name());
    }
}

/// Does a chore to its end.
async fn run(app: &App, settler: &Settler, chore: Chore) -> Result<()> {
    match chore {
        Chore::Sweep => sweep(settler).await,
        Chore::Indexes => build::enqueue_due(app).await,
        Chore::Statistics => queues::fold_counts(app.store.db()).await,
        Chore::Expiry => expire(app, &settler.kinds).await,
        Chore::Retention => retain(app).await,
    }
}

async fn sweep(settler: &Settler) -> Result<()> {
    queue::sweep(settler).await?;
    let unseen = LOST_WORKERS_SHOWN.max(settler.settings.lease);
    processes::forget_lost(settler.store.db(), unseen).await?;
    Ok(())
}

/// Ends also where a look deletes nothing: what is left is somebody else's, such as a deleted collection's.
async fn expire(app: &App, kinds: &Kinds) -> Result<()> {
    let mut has_deleted = true;
    while has_deleted {
        has_deleted = false;
        for (tenant, document) in documents::expired(app.store.db(), app.now(), EXPIRED_AT_ONCE).await? {
            has_deleted |= delete::delete(app, kinds, tenant, document).await?;
        }
    }
    Ok(())
}

async fn retain(app: &App) -> Result<()> {
    let (db, ages) = (app.store.db(), &app.config.retention);
    for (state, age) in
        [(JobState::Succeeded, ages.succeeded), (JobState::Cancelled, ages.cancelled), (JobState::Dead, ages.dead)]
    {
        while retention::some_jobs(db, state, age).await? > 0 {}
    }
    while retention::some_runs(db, ages.runs).await? > 0 {}
    Ok(())
}
