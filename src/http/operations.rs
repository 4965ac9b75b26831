//! What operators and orchestrators ask.

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use serde_json::json;

use super::ServerState;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::set_scrape_gauges;

/// `/health`, `/healthz`, `/readyz`, `/metrics`
pub fn routes() -> Router<ServerState> {
    Router::new()
        .route("/health", get(health))
        .route("/healthz", get(health))
        .route("/readyz", get(ready))
        .route("/metrics", get(metrics))
}

/// The process lives.
async fn health() -> impl IntoResponse {
    Json(json!({ "status": "ok" }))
}

/// The process can do its work: 200 unless something that it cannot do without is missing.
async fn ready(State(server): State<ServerState>) -> impl IntoResponse {
    let report = server.probes.ask(&server.app).await;
    let status = if report.status == Health::Unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    (status, Json(report))
}

/// Prometheus's text format. <https://prometheus.io/docs/instrumenting/exposition_formats/>
async fn metrics(State(server): State<ServerState>) -> impl IntoResponse {
    set_scrape_gauges(&server.app);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], server.metrics.render())
}
