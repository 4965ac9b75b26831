//! The product over a database: put together here and nowhere else, for a process as for a test.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use models::Embedders;
use settings::Config;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::workers;
use crate::app::App;
use crate::http::{self, ServerState};
use crate::queue::Kinds;
use crate::store::Store;
use crate::store::listen::Signals;
use crate::tasks::Tasks;

/// What an instance shows of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The API.
    Api,
    /// Health and metrics only.
    Worker,
}

/// Makes the kinds of jobs over the application that they work for.
pub type MakeKinds = Box<dyn FnOnce(&Arc<App>) -> Kinds>;

/// What an instance is made of.
pub struct Parts {
    /// Settings.
    pub config: Config,
    /// The database, its schema up to date.
    pub store: Store,
    /// The models.
    pub embedders: Embedders,
    /// The kinds of jobs: [`crate::kinds::all`], with others where a test wants them.
    pub kinds: MakeKinds,
    /// Whether it works on jobs, and leads the schedules where nobody else does.
    pub works: bool,
    /// What `/metrics` shows.
    pub recorder: PrometheusHandle,
    /// Where it is served.
    pub listener: TcpListener,
    /// What is served there.
    pub role: Role,
}

/// A running instance. Dropped, it stops where it stands.
pub struct Instance {
    /// What its parts share.
    pub app: Arc<App>,
    /// The kinds of jobs that it knows.
    pub kinds: Kinds,
    /// What serves it.
    pub server: ServerState,
    /// Where it is served.
    pub address: SocketAddr,
    /// Its background tasks.
    pub tasks: Tasks,
    stop: CancellationToken,
}

impl Instance {
    /// Starts it.
    ///
    /// # Errors
    /// Where the listener has no address.
    pub fn start(parts: Parts) -> io::Result<Self> {
        let Parts { config, store, embedders, kinds, works, recorder, listener, role } = parts;
        let address = listener.local_addr()?;
        let app = Arc::new(App { config, store, signals: Signals::default(), embedders });
        let kinds = kinds(&app);
        let (stop, mut tasks) = (CancellationToken::new(), Tasks::default());
        let server = ServerState::new(app.clone(), kinds.clone(), recorder, stop.clone());
        tasks.spawn("bell", app.store.bell().clone().keep_ringing(app.store.clone()));
        tasks.spawn("signals", app.signals.clone().listen(app.store.clone()));
        if works {
            workers::start(&app, &kinds, &mut tasks, &stop);
        }
        let router = match role {
            Role::Api => server.clone().router(),
            Role::Worker => server.clone().operations_router(),
        };
        tasks.spawn_draining("http", http::serve(listener, server.clone(), router));
        Ok(Self { app, kinds, server, address, tasks, stop })
    }

    /// Waits for the first background task to end: that is always a reason to stop.
    pub async fn first_end(&mut self) -> anyhow::Error {
        self.tasks.first_end().await
    }

    /// Stops it in order: requests and jobs get the grace, then unfinished jobs are given back.
    pub async fn stop(mut self) {
        self.stop.cancel();
        std::mem::take(&mut self.tasks).stop().await;
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
