//! An application over a database of its own, served on a free port.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusBuilder;
use models::{Embedder, Embedders};
use settings::{Config, Machine, Sources};
use tokio::net::TcpListener;
use vectorforge::app::App;
use vectorforge::http::ServerState;
use vectorforge::process::{Instance, Parts, Role};
use vectorforge::queue::{Kinds, Settler, WorkerSettings};
use vectorforge::store::Store;

use super::database::TestDatabase;
use super::embedder::WordEmbedder;
use super::until;

/// A running application. Dropped, it stops and its database goes.
pub struct TestApp {
    /// What it is made of.
    pub app: Arc<App>,
    /// What serves it.
    pub server: ServerState,
    /// Where it listens: `127.0.0.1:port`.
    pub address: String,
    /// Keeps connections open between requests.
    pub client: reqwest::Client,
    instance: Instance,
    /// Last, so that it is dropped last.
    pub database: Arc<TestDatabase>,
}

/// How to run it.
pub struct TestAppBuilder {
    overrides: Vec<(String, String)>,
    embedders: Vec<Arc<dyn Embedder>>,
    database: Option<Arc<TestDatabase>>,
    workers: bool,
    further_kinds: FurtherKinds,
}

/// Adds kinds of jobs to the house's own.
type FurtherKinds = Box<dyn FnOnce(Kinds, &Store) -> Kinds>;

impl TestApp {
    /// With workers and the test embedder.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    /// With choices.
    pub fn builder() -> TestAppBuilder {
        TestAppBuilder {
            overrides: Vec::new(),
            embedders: Vec::new(),
            database: None,
            workers: true,
            further_kinds: Box::new(|own, _| own),
        }
    }

    /// Stops it as SIGTERM does: jobs get the grace, then their leases are given back. Gives its database.
    pub async fn shut_down(self) -> Arc<TestDatabase> {
        self.instance.stop().await;
        self.app.store.close().await;
        self.database
    }

    /// Waits for the first background task to end: then the process ends too, with this cause.
    pub async fn first_end(mut self) -> String {
        format!("{:#}", self.instance.first_end().await)
    }

    /// The kinds of jobs that it knows.
    pub fn kinds(&self) -> &Kinds {
        &self.instance.kinds
    }

    /// What settles its jobs.
    pub fn settler(&self) -> Settler {
        let settings = WorkerSettings::of(&self.app.config);
        Settler { store: self.app.store.clone(), kinds: self.kinds().clone(), settings }
    }

    /// Waits until no job is unfinished.
    pub async fn drain(&self) {
        let open = "SELECT count(*) FROM jobs WHERE state IN ('SCHEDULED', 'PENDING', 'RUNNING', 'RETRYING')";
        until("all jobs to end", async || (self.database.number(open).await == 0).then_some(())).await;
    }
}

impl TestAppBuilder {
    /// With a setting.
    pub fn set(mut self, key: &str, value: impl ToString) -> Self {
        self.overrides.push((key.to_owned(), value.to_string()));
        self
    }

    /// With another embedder than the usual one.
    pub fn embedder(mut self, embedder: Arc<dyn Embedder>) -> Self {
        self.embedders.push(embedder);
        self
    }

    /// Over another application's database.
    pub fn database(mut self, database: Arc<TestDatabase>) -> Self {
        self.database = Some(database);
        self
    }

    /// Over a database that belongs to another process.
    pub fn database_url(mut self, url: String) -> Self {
        self.database = Some(Arc::new(TestDatabase::of_another(url)));
        self
    }

    /// Without workers: jobs stay where they are.
    pub fn without_workers(mut self) -> Self {
        self.workers = false;
        self
    }

    /// With further kinds of jobs.
    pub fn kinds(mut self, further: impl FnOnce(Kinds, &Store) -> Kinds + 'static) -> Self {
        self.further_kinds = Box::new(further);
        self
    }

    /// Runs it.
    pub async fn start(self) -> TestApp {
        let database = match self.database {
            Some(database) => database,
            None => Arc::new(TestDatabase::create().await),
        };
        let config = config(self.overrides);
        let store = Store::connect(&config.database, &database.url).await.expect("the test database answers");
        let mut embedders = Embedders::default();
        for embedder in self.embedders {
            embedders = embedders.with(embedder);
        }
        if embedders.models().is_empty() {
            embedders = embedders.with(Arc::new(WordEmbedder::default()));
        }
        let further = self.further_kinds;
        let parts = Parts {
            config,
            store,
            embedders,
            kinds: Box::new(|app| further(vectorforge::kinds::all(app), &app.store)),
            works: self.workers,
            recorder: PrometheusBuilder::new().build_recorder().handle(),
            listener: TcpListener::bind("127.0.0.1:0").await.expect("a free port"),
            role: Role::Api,
        };
        let instance = Instance::start(parts).expect("an address");
        let (app, server, address) = (instance.app.clone(), instance.server.clone(), instance.address.to_string());
        TestApp { app, server, address, client: client(), instance, database }
    }
}

/// A client for HTTP. It wants a TLS provider even where no TLS is spoken.
pub fn client() -> reqwest::Client {
    http_client::builder().build().expect("TLS is set up")
}

/// Settings for tests: few connections each, quick to look and to try again. A lease lasts longer than any test: a busy
/// machine loses none, and a test that wants one to run out says so in the database.
fn config(overrides: Vec<(String, String)>) -> Config {
    let quick = [
        ("data_dir", "/nowhere"),
        ("database.pool_size", "8"),
        ("database.pool_overflow", "0"),
        ("queue.lease_ms", "3600000"),
        ("queue.heartbeat_ms", "200"),
        ("queue.poll_ms", "200"),
        ("queue.backoff_base_ms", "10"),
        ("queue.backoff_max_ms", "50"),
        ("schedule.tick_ms", "100"),
        ("schedule.lease_ms", "1000"),
        ("schedule.sweep", "* * * * * *"),
        ("schedule.indexes", "* * * * * *"),
        ("schedule.statistics", "* * * * * *"),
        ("schedule.expiry", "* * * * * *"),
        ("http.shutdown_grace_ms", "0"),
    ];
    let quick = quick.map(|(key, value)| (key.to_owned(), value.to_owned()));
    settings(quick.into_iter().chain(overrides).collect())
}

/// Settings as they are without any source, but for these.
pub fn settings(overrides: Vec<(String, String)>) -> Config {
    let machine = Machine { cores: 2, root: false, home: None, xdg_data_home: None };
    let sources = Sources { overrides, ..Sources::default() };
    Config::load(&sources, &machine).expect("the test's settings are valid")
}
