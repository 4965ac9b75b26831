//! A PostgreSQL that may be stopped and killed, four worker processes, and what is done to them.

use std::collections::BTreeSet;
use std::fmt;

use embedded_postgres::{Durability, Server, ServerSettings};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use uuid::Uuid;
use vectorforge::queue::steer::{Selection, Steering, steer};
use vectorforge::queue::{Kinds, NewJob, enqueue};
use vectorforge::store::entity::job::JobState;
use vectorforge::store::{DEFAULT_TENANT, Store};

use crate::support::database::settings;
use crate::support::kinds::{self, LEDGER_KIND};
use crate::support::worker::{Running, WorkerProcess};
use crate::support::{TestApp, until};

/// Worker processes at once.
pub const WORKERS: usize = 4;
/// More than any job needs: no job may die of what is done to the others.
pub const ATTEMPTS: u32 = 100;
/// By this name their connections are told from the test's own.
const WORKERS_NAME: &str = "chaos_worker";

pub struct World {
    pub app: TestApp,
    kinds: Kinds,
    workers: Vec<Running>,
    overrides: Vec<(String, String)>,
    /// Jobs that this test cancelled, and did not redrive after.
    pub cancelled: BTreeSet<Uuid>,
    redriven: usize,
    replaced: usize,
    // Dropped in this order.
    server: Option<Server>,
    server_settings: ServerSettings,
    _dir: TempDir,
}

impl World {
    /// An empty, migrated database; nobody works yet.
    pub async fn begin(overrides: &[(&str, usize)]) -> Self {
        let dir = crate::embedded_server::temporary_directory();
        // What is committed must outlive the server, though not a power cut.
        let extra = vec![("synchronous_commit".into(), "on".into()), ("full_page_writes".into(), "on".into())];
        let new = ServerSettings::new(dir.path().join("data"), settings::runtime_dirs(None));
        let server_settings = ServerSettings { durability: Durability::None, extra, ..new };
        let server = Server::start(server_settings.clone()).await.expect("the server starts");
        let store = Store::connect(&settings().database, server.url()).await.expect("it answers");
        store.migrate().await.expect("migrates");
        store.close().await;
        // It enqueues, so its attempts are those of the documents.
        let app = TestApp::builder().without_workers().set("queue.max_attempts", ATTEMPTS);
        let app = app.database_url(server.url().to_owned()).start().await;
        app.database.execute(kinds::LEDGER).await;
        let kinds = kinds::with_all(app.kinds().clone(), &app.app.store);
        let attempts = ATTEMPTS as usize;
        let own = [
            ("queue.workers", 3),
            ("queue.lease_ms", 1_500),
            ("queue.max_attempts", attempts),
            ("ingest.load_attempts", attempts),
        ];
        let overrides =
            own.iter().chain(overrides).map(|(key, value)| ((*key).to_owned(), value.to_string())).collect();
        Self {
            app,
            kinds,
            workers: Vec::new(),
            overrides,
            cancelled: BTreeSet::new(),
            redriven: 0,
            replaced: 0,
            server: Some(server),
            server_settings,
            _dir: dir,
        }
    }

    /// Enqueues, in one transaction.
    pub async fn enqueue(&self, jobs: Vec<NewJob>) {
        let tx = self.app.app.store.begin().await.expect("begins");
        enqueue(&tx, DEFAULT_TENANT, jobs).await.expect("enqueues");
        tx.commit().await.expect("commits");
    }

    pub fn start_workers(&mut self) {
        self.workers = (0..WORKERS).map(|_| self.worker()).collect();
    }

    fn worker(&self) -> Running {
        let settings: Vec<_> = self.overrides.iter().map(|(key, value)| (&**key, &**value)).collect();
        let url = format!("{}&application_name={WORKERS_NAME}", self.app.database.url);
        WorkerProcess { settings: &settings, with_kinds: true, ..WorkerProcess::default() }.start_over(&url)
    }

    /// Replaces the workers that ended by themselves, as a service manager does.
    pub async fn look(&mut self) {
        for place in 0..WORKERS {
            if self.workers[place].has_ended() {
                self.workers[place] = self.worker();
                self.replaced += 1;
            }
        }
    }

    /// `kill -9`, and another one in its place.
    pub fn kill_worker(&mut self, place: usize) {
        let next = self.worker();
        std::mem::replace(&mut self.workers[place], next).kill();
    }

    /// Ends some connections of the workers.
    pub async fn drop_connections(&self, count: usize) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
             WHERE application_name = '{WORKERS_NAME}' ORDER BY random() LIMIT {count}) AS chosen"
        );
        self.app.database.execute(&sql).await;
    }

    /// Stops PostgreSQL in order, and starts it again.
    pub async fn stop_database(&mut self) {
        self.server.take().expect("it runs").stop().await.expect("it stops");
        self.start_database().await;
    }

    /// Kills PostgreSQL with all its connections, and starts it again: it recovers what was committed.
    pub async fn kill_database(&mut self) {
        let server = self.server.take().expect("it runs");
        let pid = Pid::from_raw(server.pid().cast_signed()).expect("a process id");
        kill_process(pid, Signal::KILL).expect("it runs");
        server.exited().await;
        server.stop().await.expect("nothing is left to stop");
        self.start_database().await;
    }

    async fn start_database(&mut self) {
        let server = Server::start(self.server_settings.clone()).await.expect("it starts again");
        assert_eq!(server.url(), self.app.database.url, "where it was before");
        self.server = Some(server);
    }

    /// How many jobs are in a terminal state.
    pub async fn ended(&self) -> usize {
        let sql = "SELECT count(*) FROM jobs WHERE state IN ('SUCCEEDED', 'CANCELLED', 'DEAD')";
        usize::try_from(self.app.database.number(sql).await).expect("a count")
    }

    /// Jobs that may be cancelled now, and jobs that may be redriven.
    pub async fn steerable(&self) -> (Vec<Uuid>, Vec<Uuid>) {
        let ids = async |condition: &str| {
            let sql = format!("SELECT id::text FROM jobs WHERE {condition} ORDER BY id");
            let ids = self.app.database.texts(&sql).await;
            ids.iter().map(|id| id.parse().expect("a UUID")).collect()
        };
        let running = format!("state = 'RUNNING' AND kind IN ('{LEDGER_KIND}', 'ingest_document')");
        (ids(&running).await, ids("state IN ('SUCCEEDED', 'CANCELLED', 'DEAD') AND redrives < 2").await)
    }

    /// Steers, as often as the database has to be asked, and notes what is cancelled now.
    pub async fn steer(&mut self, ids: Vec<Uuid>, steering: Steering) {
        let (store, limit) = (&self.app.app.store, u64::from(u32::MAX));
        let steered = until("the jobs to be steered", async || {
            let selection = Selection::Ids(ids.clone());
            steer(store, &self.kinds, DEFAULT_TENANT, selection, steering, limit).await.ok()
        });
        let steered = steered.await;
        if matches!(steering, Steering::Retry { .. }) {
            self.redriven += steered.changed.len();
        }
        let left = steered.left.into_iter().filter_map(|left| left.job);
        for job in steered.changed.into_iter().chain(left) {
            if job.state == JobState::Cancelled {
                self.cancelled.insert(job.id);
            } else {
                self.cancelled.remove(&job.id);
            }
        }
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cancelled, redriven, replaced, .. } = self;
        write!(f, "{} jobs cancelled, {redriven} redriven, {replaced} workers ended by themselves", cancelled.len())
    }
}
