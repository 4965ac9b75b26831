//! Worker processes that a test may kill: this test binary started again, as [`entry_of_a_worker`].

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::embedder::WordEmbedder;
use super::{TestApp, kinds};

const DATABASE: &str = "VECTORFORGE_TEST_WORKER_DATABASE";
const LOG: &str = "VECTORFORGE_TEST_WORKER_LOG";
const HANG_AFTER: &str = "VECTORFORGE_TEST_WORKER_HANG_AFTER";
/// Set: with the kinds of jobs of [`kinds`].
const KINDS: &str = "VECTORFORGE_TEST_WORKER_KINDS";
const SETTINGS: &str = "VECTORFORGE_TEST_WORKER_SETTINGS";

/// How to run a worker process.
#[derive(Default)]
pub struct WorkerProcess<'a> {
    /// Where its embedder notes what it embeds.
    pub log: Option<&'a Path>,
    /// Calls after which its embedder hangs.
    pub hang_after: Option<usize>,
    /// Settings, `key=value`.
    pub settings: &'a [(&'a str, &'a str)],
    /// With the kinds of jobs of [`kinds`].
    pub with_kinds: bool,
}

/// A process that is killed with the test.
pub struct Running(Child);

impl WorkerProcess<'_> {
    /// Starts it over a test's database.
    pub fn start(&self, app: &TestApp) -> Running {
        self.start_over(&app.database.url)
    }

    /// Starts it over a database.
    pub fn start_over(&self, url: &str) -> Running {
        let mut command = Command::new(std::env::current_exe().expect("this binary"));
        command.args(["support::worker::entry_of_a_worker", "--exact", "--ignored", "--nocapture"]).env(DATABASE, url);
        if self.with_kinds {
            command.env(KINDS, "");
        }
        if let Some(log) = self.log {
            command.env(LOG, log);
        }
        if let Some(calls) = self.hang_after {
            command.env(HANG_AFTER, calls.to_string());
        }
        let settings: Vec<_> = self.settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        command.env(SETTINGS, settings.join("\n")).stdin(Stdio::null()).stdout(Stdio::null());
        Running(command.spawn().expect("this binary starts"))
    }
}

impl Running {
    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.0.try_wait().expect("our own child").is_some()
    }

    /// Its process id, as it tells it of itself.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill(mut self) {
        self.0.kill().expect("our own child");
        self.0.wait().expect("our own child");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Not a test: workers until killed, for [`WorkerProcess::start`].
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "runs for ever; other tests start it in a process of its own"]
async fn entry_of_a_worker() {
    let url = std::env::var(DATABASE).expect("started by another test");
    let embedder = WordEmbedder {
        log: std::env::var_os(LOG).map(Into::into),
        hang_after: std::env::var(HANG_AFTER).ok().and_then(|calls| calls.parse().ok()),
        ..WordEmbedder::default()
    };
    let mut builder = TestApp::builder().embedder(Arc::new(embedder)).database_url(url);
    for setting in std::env::var(SETTINGS).unwrap_or_default().lines() {
        let (key, value) = setting.split_once('=').expect("key=value");
        builder = builder.set(key, value);
    }
    if std::env::var_os(KINDS).is_some() {
        builder = builder.kinds(kinds::with_all);
    }
    let cause = builder.start().await.first_end().await;
    panic!("the worker process ends: {cause}");
}
