//! Metrics in Prometheus form: names begin with `vectorforge_` and end in their unit.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::app::App;
use crate::causes::warn_of;
use crate::error::Result;
use crate::queue::NAMES;
use crate::queue::circuits::{self, Circuit};
use crate::queue::queues::{self, QueueState};
use crate::store::disk;
use crate::store::entity::job::JobState;

/// Bounds of all histograms of seconds: a millisecond is a fast search, a minute a long job.
const SECONDS: [f64; 15] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];

/// Bounds of all histograms of tokens: a question has ten, a full pass of documents about five hundred.
const TOKENS: [f64; 9] = [4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];

/// How often the recorder drops what it holds of histograms that were not read.
const UPKEEP: Duration = Duration::from_secs(5);

/// How often figures that are asked of the database are renewed: below the usual scrape interval of 15 s.
const GAUGE_INTERVAL: Duration = Duration::from_secs(10);

/// Every queue and state that is told even while it is empty: a gauge that vanishes at zero hides an outage.
const STATES: [(JobState, &str); 5] = [
    (JobState::Scheduled, "SCHEDULED"),
    (JobState::Pending, "PENDING"),
    (JobState::Running, "RUNNING"),
    (JobState::Retrying, "RETRYING"),
    (JobState::Dead, "DEAD"),
];

/// Installs the process's recorder.
///
/// # Errors
/// Where one is installed already.
pub fn install() -> anyhow::Result<PrometheusHandle> {
    let [seconds, tokens] = ["_seconds", "_tokens"].map(|unit| Matcher::Suffix(unit.to_owned()));
    let builder = PrometheusBuilder::new().set_buckets_for_metric(seconds, &SECONDS)?;
    let handle = builder.set_buckets_for_metric(tokens, &TOKENS)?.install_recorder()?;
    describe();
    Ok(handle)
}

fn describe() {
    describe_counter!("vectorforge_http_requests_total", "HTTP requests by route, method and status");
    describe_histogram!("vectorforge_http_request_duration_seconds", Unit::Seconds, "HTTP requests by route");
    describe_gauge!("vectorforge_connections", "Connections open now, WebSockets among them");
    describe_gauge!("vectorforge_websockets", "WebSockets open now");
    describe_counter!("vectorforge_graphql_requests_total", "GraphQL requests by code of the first error, or OK");
    describe_histogram!("vectorforge_graphql_field_duration_seconds", Unit::Seconds, "Root fields");
    describe_counter!(
        "vectorforge_event_reads_total",
        "Reads for subscriptions by log and reader: its tail's, or one's own of the past"
    );
    describe_counter!("vectorforge_search_requests_total", "Searches by error code, or OK");
    describe_counter!("vectorforge_search_exact_fallbacks_total", "Index searches answered exactly instead");
    describe_histogram!("vectorforge_search_duration_seconds", Unit::Seconds, "Searches");
    describe_histogram!("vectorforge_search_stage_duration_seconds", Unit::Seconds, "Parts of searches");
    describe_counter!("vectorforge_ingest_documents_total", "Documents that reached an end, by outcome");
    describe_counter!("vectorforge_ingest_chunks_total", "Chunks indexed");
    describe_histogram!("vectorforge_ingest_stage_duration_seconds", Unit::Seconds, "Parts of ingest jobs");
    describe_counter!("vectorforge_job_attempts_total", "Attempts of jobs by kind and error code, or OK");
    describe_histogram!("vectorforge_job_duration_seconds", Unit::Seconds, "Attempts of jobs by kind");
    describe_counter!("vectorforge_embedding_tokens_total", "Tokens embedded by model and purpose");
    describe_counter!("vectorforge_embedding_texts_total", "Texts embedded by model and purpose");
    describe_counter!("vectorforge_embedding_truncated_texts_total", "Texts longer than their model reads");
    describe_gauge!("vectorforge_embedding_waiting_texts", "Texts that wait for a local model by model and lane");
    describe_histogram!(
        "vectorforge_embedding_wait_seconds",
        Unit::Seconds,
        "Calls until their first pass by model and lane"
    );
    describe_histogram!(
        "vectorforge_embedding_pass_duration_seconds",
        Unit::Seconds,
        "Passes of a local model by model and lane"
    );
    describe_histogram!("vectorforge_embedding_pass_tokens", "Tokens per pass of a local model by model and lane");
    describe_gauge!("vectorforge_jobs", "Unfinished and dead jobs by queue and state");
    describe_gauge!("vectorforge_job_oldest_pending_seconds", Unit::Seconds, "Age of the oldest due job by queue");
    describe_gauge!("vectorforge_queue_paused", "1 while the queue is paused");
    describe_gauge!("vectorforge_circuits_open", "Providers that are left alone because they fail");
    describe_gauge!("vectorforge_database_connections", "Connections of the pool by state");
    describe_gauge!("vectorforge_storage_full", "1 while the disk of the database is full");
    describe_gauge!(
        "vectorforge_storage_free_bytes",
        Unit::Bytes,
        "Room in the data directory of the embedded database"
    );
    describe_counter!("vectorforge_log_lines_lost_total", "Lines that could not be logged, by place");
}

/// Keeps the figures that are asked of the database and of the recorder, for ever.
pub async fn keep(app: Arc<App>, recorder: PrometheusHandle) -> Result<()> {
    let (mut asked, mut upkeep) = (tokio::time::interval(GAUGE_INTERVAL), tokio::time::interval(UPKEEP));
    loop {
        tokio::select! {
            _ = upkeep.tick() => recorder.run_upkeep(),
            _ = asked.tick() => if let Err(error) = set_gauges(&app).await {
                warn_of!(error);
            },
        }
    }
}

async fn set_gauges(app: &App) -> Result<()> {
    let db = app.store.db();
    queues::states(db, &NAMES, false).await?.iter().for_each(|queue| set_queue_gauges(app, queue));
    set_circuit_gauges(app, &circuits::all(db).await?);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn set_queue_gauges(app: &App, queue: &QueueState) {
    let name = || queue.name.clone();
    for (state, label) in STATES {
        gauge!("vectorforge_jobs", "queue" => name(), "state" => label).set(queue.depth(state) as f64);
    }
    let waited = queue.oldest_pending_at.and_then(|since| (app.now() - since).to_std().ok());
    let waited = waited.unwrap_or_default().as_secs_f64();
    gauge!("vectorforge_job_oldest_pending_seconds", "queue" => name()).set(waited);
    let is_paused = u8::from(queue.paused_at.is_some());
    gauge!("vectorforge_queue_paused", "queue" => name()).set(f64::from(is_paused));
}

fn set_circuit_gauges(app: &App, circuits: &[Circuit]) {
    let open = circuits.iter().filter(|circuit| circuit.open_until.is_some_and(|until| until > app.now()));
    let open = u32::try_from(open.count()).unwrap_or(u32::MAX);
    gauge!("vectorforge_circuits_open").set(f64::from(open));
}

/// Renews the figures that cost nothing to ask, at each scrape.
#[expect(clippy::cast_precision_loss, reason = "a disk of 2^53 bytes may be told with an error of one")]
pub fn set_scrape_gauges(app: &App) {
    set_pool_gauges(app);
    gauge!("vectorforge_storage_full").set(f64::from(u8::from(disk::full_since().is_some())));
    if let Some(free) = app.free_bytes() {
        gauge!("vectorforge_storage_free_bytes").set(free as f64);
    }
}

fn set_pool_gauges(app: &App) {
    let pool = app.store.pool();
    let idle = u32::try_from(pool.num_idle()).unwrap_or(u32::MAX);
    gauge!("vectorforge_database_connections", "state" => "idle").set(f64::from(idle));
    gauge!("vectorforge_database_connections", "state" => "active").set(f64::from(pool.size().saturating_sub(idle)));
}
