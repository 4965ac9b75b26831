//! The HTTP server: GraphQL over HTTP and WebSocket, GraphiQL, health, metrics.

mod accept;
mod clients;
mod connections;
mod door;
mod graphql;
mod header;
mod linger;
mod measure;
mod operation;
mod operations;
mod page;
mod rejection;
mod request;
mod websocket;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::routing::get;
use metrics_exporter_prometheus::PrometheusHandle;
use settings::HttpSettings;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::door::Door;
use self::linger::Patience;
use crate::app::App;
use crate::error::Result;
use crate::graphql::{Engine, Feeds};
use crate::queue::Kinds;
use crate::telemetry::health::Probes;
use connections::Slots;
use websocket::WebSockets;

pub use request::{FormLimits, read_form};

/// What handlers share.
#[derive(Clone)]
pub struct ServerState {
    app: Arc<App>,
    engine: Engine,
    feeds: Arc<Feeds>,
    probes: Arc<Probes>,
    metrics: PrometheusHandle,
    slots: Slots,
    websockets: WebSockets,
    stop: CancellationToken,
}

impl ServerState {
    /// The server over an application. WebSockets are closed when `stop` is cancelled.
    pub fn new(app: Arc<App>, kinds: Kinds, metrics: PrometheusHandle, stop: CancellationToken) -> Self {
        let feeds = Arc::new(Feeds::default());
        let engine = crate::graphql::engine(app.clone(), kinds, feeds.clone());
        let probes = Arc::new(Probes::of(&app));
        let slots = Slots::new(app.config.http.connection_limit);
        let websockets = WebSockets::new(&app.config.http);
        Self { app, engine, feeds, probes, metrics, slots, websockets, stop }
    }

    /// All routes of the API.
    pub fn router(self) -> Router {
        let settings = &self.app.config.http;
        let door = Arc::new(Door::new(settings));
        let patience = Patience { bytes: 2 * settings.body_limit_bytes as u64, time: settings.request_timeout };
        Router::new()
            .route("/graphql", get(graphql::get).post(graphql::post).options(door::options))
            .route_layer(middleware::from_fn_with_state(door.clone(), door::check_origin))
            .route("/schema.graphql", get(graphql::sdl))
            .merge(page::routes())
            .layer(middleware::from_fn_with_state(door, door::check_host))
            // Without a check of hosts: probes and Prometheus ask by whatever name leads here.
            .merge(operations::routes())
            // Our own limit answers in GraphQL's form; axum's would not.
            .layer(DefaultBodyLimit::disable())
            .layer(middleware::from_fn(measure::measure))
            .layer(middleware::from_fn_with_state(patience, linger::linger))
            .with_state(self)
    }

    /// Only health and metrics: what a worker process serves.
    pub fn operations_router(self) -> Router {
        operations::routes().layer(middleware::from_fn(measure::measure)).with_state(self)
    }

    /// Health and metrics, and that there is no more: what is served on connections beyond the limit.
    fn beyond_router(self) -> Router {
        let routes = operations::routes().fallback(graphql::too_many_connections);
        routes.layer(middleware::from_fn(measure::measure)).with_state(self)
    }

    /// Connections that are open now, those that are being closed among them.
    pub fn connections(&self) -> usize {
        self.slots.taken()
    }

    /// WebSockets that are open now.
    pub fn websockets(&self) -> usize {
        self.websockets.open()
    }
}

/// Listens where the settings say.
///
/// # Errors
/// One sentence that says what to do where the address cannot be had.
pub async fn listen(settings: &HttpSettings) -> anyhow::Result<TcpListener> {
    let address = (settings.host.as_str(), settings.port);
    connections::raise_limit(settings.connection_limit);
    TcpListener::bind(address).await.map_err(|cause| {
        let (host, port) = address;
        anyhow::anyhow!(
            "cannot listen on {host}:{port}: {cause}; stop what uses it, or set VECTORFORGE_HTTP__HOST and VECTORFORGE_HTTP__PORT"
        )
    })
}

/// Serves a router of the server's until it stops, then lets open requests end.
///
/// # Errors
/// Where nothing can be served any more.
pub async fn serve(listener: TcpListener, server: ServerState, router: Router) -> Result<()> {
    let (app, stop) = (server.app.clone(), server.stop.clone());
    let slots = server.slots.clone();
    let service = connections::Service { usual: router, beyond: server.beyond_router(), slots };
    connections::serve(listener, service, &app.config.http, stop).await
}
