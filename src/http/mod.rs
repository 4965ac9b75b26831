//! The HTTP server: GraphQL over HTTP and WebSocket, GraphiQL, health, metrics.

mod graphql;
mod measure;
mod operations;
mod page;
mod rules;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;
use axum::serve::ListenerExt;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::error::{Error, Result};
use crate::graphql::AppSchema;
use crate::telemetry::health::Probes;

/// What handlers share.
#[derive(Clone)]
pub struct Server {
    app: Arc<App>,
    schema: AppSchema,
    probes: Arc<Probes>,
    metrics: PrometheusHandle,
    websockets: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Server {
    /// The server over an application. WebSockets are closed when `stop` is cancelled.
    pub fn new(app: Arc<App>, metrics: PrometheusHandle, stop: CancellationToken) -> Self {
        let schema = crate::graphql::schema(app.clone());
        let probes = Arc::new(Probes::of(&app));
        let websockets = Arc::new(Semaphore::new(app.config.http.websocket_limit));
        Self { app, schema, probes, metrics, websockets, stop }
    }

    /// All routes of the API.
    pub fn router(self) -> Router {
        let limit = self.app.config.http.body_limit_bytes;
        Router::new()
            .route("/graphql", get(graphql::get).post(graphql::post))
            .route("/schema.graphql", get(graphql::sdl))
            .merge(page::routes())
            .merge(operations::routes())
            // Our own limit answers in GraphQL's form; axum's would not.
            .layer(DefaultBodyLimit::disable())
            .layer(axum::Extension(graphql::BodyLimit(limit)))
            .layer(middleware::from_fn(measure::measure))
            .with_state(self)
    }

    /// Only health and metrics: what a worker process serves.
    pub fn operations_router(self) -> Router {
        operations::routes().layer(middleware::from_fn(measure::measure)).with_state(self)
    }
}

/// Listens where the settings say.
///
/// # Errors
/// One sentence that says what to do where the address cannot be had.
pub async fn listen(app: &App) -> anyhow::Result<TcpListener> {
    let address = (app.config.http.host.as_str(), app.config.http.port);
    TcpListener::bind(address).await.map_err(|cause| {
        let (host, port) = address;
        anyhow::anyhow!(
            "cannot listen on {host}:{port}: {cause}; stop what uses it, or set VECTORFORGE_HTTP__HOST and VECTORFORGE_HTTP__PORT"
        )
    })
}

/// Serves until `stop`, then lets open requests end.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
    grace: std::time::Duration,
) -> Result<()> {
    // Events are small and come one by one: none shall wait for the acknowledgement of the one before.
    let listener = listener.tap_io(|stream| drop(stream.set_nodelay(true)));
    let serving = axum::serve(listener, router).with_graceful_shutdown(stop.clone().cancelled_owned());
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
    };
    tokio::select! {
        ended = serving => ended.map_err(|cause| Error::internal("serve HTTP", cause)),
        () = overdue => Ok(()),
    }
}
