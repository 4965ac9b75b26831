//! Every setting, declared once: name, type, what is expected, default and the reason for it.

mod providers;

use std::path::PathBuf;
use std::time::Duration;

pub use providers::*;

use crate::choice::{LlmProvider, LogFormat, LogLevel};
use crate::kind::{
    bytes, choice, cron, database_url, decimal, flag, host, hosts, log_filter, millis, origins, path, paths, port,
    prompt, seconds, secret_url, whole,
};
use crate::machine::Machine;
use crate::reader::{Reader, settings};
use crate::secret::SecretUrl;
use crate::unread::Unread;
use crate::web::{HostRule, Origin};

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;
const GIB: usize = 1 << 30;
const MEGABYTE: usize = 1_000_000;
const SECOND_MS: u64 = 1_000;
const MINUTE_MS: u64 = 60 * SECOND_MS;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const DAY_S: u64 = 24 * 60 * 60;
const YEAR_S: u64 = 365 * DAY_S;

settings! {
    /// Places on disk, and the groups of settings; the path of a field is its key.
    pub struct Config[""] {
        /// Directory of what the process keeps on disk, such as the embedded database.
        pub data_dir: PathBuf = path().or_computed(
            "/var/lib/vectorforge for root, otherwise vectorforge under XDG_DATA_HOME or ~/.local/share",
            Machine::data_dir,
        ),
        /// Directory of the PostgreSQL programs and the model that come along; looked for where not given.
        pub runtime_dir: Option<PathBuf> = path().optional(),
    }
    with {
        /// `http.*`
        pub http: HttpSettings,
        /// `graphql.*`
        pub graphql: GraphqlSettings,
        /// `database.*`
        pub database: DatabaseSettings,
        /// `log.*`
        pub log: LogSettings,
        /// `storage.*`
        pub storage: StorageSettings,
        /// `object_store.*`
        pub object_store: ObjectStoreSettings,
        /// `chunking.*`
        pub chunking: ChunkingSettings,
        /// `embedding.*`
        pub embedding: EmbeddingSettings,
        /// `llm.*`
        pub llm: LlmSettings,
        /// `providers.*`
        pub providers: ProvidersSettings,
        /// `ingest.*`
        pub ingest: IngestSettings,
        /// `search.*`
        pub search: SearchSettings,
        /// `index.*`
        pub index: IndexSettings,
        /// `queue.*`
        pub queue: QueueSettings,
        /// `schedule.*`
        pub schedule: ScheduleSettings,
        /// `circuit.*`
        pub circuit: CircuitSettings,
        /// `retention.*`
        pub retention: RetentionSettings,
        /// `source.*`
        pub source: SourceSettings,
        /// `events.*`
        pub events: EventsSettings,
        /// `health.*`
        pub health: HealthSettings,
        /// What was given of all these and is read by nothing yet; the last, because it looks at the others.
        pub unread: Unread,
    }
}

settings! {
    /// The HTTP server.
    pub struct HttpSettings["http"] {
        /// Interface to listen on; loopback, so that nothing is open to the network by accident.
        pub host: String = host().or("127.0.0.1"),
        /// TCP port to listen on.
        pub port: u16 = port().alias(&["PORT"]).or(8_000_u16),
        /// Hosts by which the API and its page may be asked, besides localhost, the addresses of loopback and `http.host`; so no
        /// page whose name is made to mean this machine gets in. Health and metrics answer under any name.
        pub allowed_hosts: Vec<HostRule> = hosts().or_empty(),
        /// Origins of web pages that may use the API, besides its own (CORS). Whoever serves a page there can do everything.
        pub allowed_origins: Vec<Origin> = origins().or_empty(),
        /// Time for which browsers remember what pages of allowed origins may send; what is allowed changes rarely.
        pub cors_max_age: Duration = seconds(0..=DAY_S).or(600_u64),
        /// Longest request body; room for a few documents as multipart uploads.
        pub body_limit_bytes: usize = bytes(KIB..=GIB).or(64 * MIB),
        /// Most JSON values in a request; each takes some seventy bytes, however short it is written.
        pub json_values_limit: usize = whole("values", 1_000..=1_000_000_000).or(2_000_000_usize),
        /// Longest time to answer a request; subscriptions are not bound by it.
        pub request_timeout: Duration = millis(1..=HOUR_MS).or(30 * SECOND_MS),
        /// Time that open requests and running jobs get to end at shutdown; then they are given up, and the process ends
        /// after at most 2 s more, and the stop of a PostgreSQL of its own. Kubernetes kills after 30 s.
        pub shutdown_grace: Duration = millis(0..=HOUR_MS).or(10 * SECOND_MS),
        /// Connections open at once: the WebSockets, and 2,000 for requests. What comes beyond is told so, or waits.
        pub connection_limit: usize = whole("connections", 1..=1_000_000).or(12_000_usize),
        /// Time in which a request's head must arrive; clients send it in one piece.
        pub head_timeout: Duration = millis(1..=HOUR_MS).or(10 * SECOND_MS),
        /// Time that a connection may stay open between two requests; above the 60 s of proxies, so that they close first.
        pub idle_timeout: Duration = millis(1..=HOUR_MS).or(75 * SECOND_MS),
        /// Longest time in which a client takes nothing of what is sent to it; answers that wait for it cost memory.
        pub stall_timeout: Duration = millis(1..=HOUR_MS).or(30 * SECOND_MS),
        /// Time in which a WebSocket client must send `connection_init`; idle sockets cost memory.
        pub websocket_init_timeout: Duration = millis(1..=HOUR_MS).or(10 * SECOND_MS),
        /// Time between pings on a quiet WebSocket; below the 60 s after which proxies drop a connection.
        pub websocket_keepalive: Duration = millis(1..=HOUR_MS).or(15 * SECOND_MS),
        /// WebSockets open at once; bounds the memory that clients can take.
        pub websocket_limit: usize = whole("connections", 0..=1_000_000).or(10_000_usize),
        /// WebSockets of one client address, so that one cannot take all places; 0 for no limit, as behind a proxy that
        /// is the address of everybody.
        pub websocket_client_limit: usize = whole("connections", 0..=1_000_000).or(5_000_usize),
        /// Longest message from a WebSocket client; operations are small, documents do not come this way.
        pub websocket_message_limit_bytes: usize = bytes(KIB..=GIB).or(MIB),
        /// Operations that run at once on one WebSocket, mostly subscriptions; far above what a page shows.
        pub subscription_limit: usize = whole("operations", 1..=1_000_000).or(100_usize),
        /// The same over all WebSockets of one client address; 0 for no limit.
        pub subscription_client_limit: usize = whole("operations", 0..=1_000_000).or(10_000_usize),
    }
}

settings! {
    /// Limits on one GraphQL operation.
    pub struct GraphqlSettings["graphql"] {
        /// Longest text of a document: hand-written and generated ones are far shorter, and long values come as variables.
        pub query_limit_bytes: usize = bytes(KIB..=MIB).or(64 * KIB),
        /// Most words and signs of a document; introspection by common tools has about 400.
        pub tokens_limit: usize = whole("tokens", 100..=1_000_000).or(15_000_usize),
        /// Longest name in a document; the longest generated ones stay below it. Errors repeat names.
        pub name_limit_bytes: usize = bytes(64..=4 * KIB).or(255_usize),
        /// Deepest nesting of brackets, and of braces once fragments are written out: each level takes stack.
        pub nesting_limit: usize = whole("levels", 8..=128).or(64_usize),
        /// Most operations of a document: tools send all tabs of an editor at once.
        pub operations_limit: usize = whole("operations", 1..=10_000).or(100_usize),
        /// Most fragments that a document defines; each component of a frontend brings its own.
        pub fragments_limit: usize = whole("fragments", 1..=10_000).or(500_usize),
        /// Most variables that the operations of a document declare.
        pub variables_limit: usize = whole("variables", 1..=10_000).or(250_usize),
        /// Most fields of a document with fragments written out, each operation and each fragment by itself.
        pub fields_limit: usize = whole("fields", 1..=1_000_000).or(10_000_usize),
        /// Most places of fragments, named or not, once those within them are written out too.
        pub spreads_limit: usize = whole("places", 1..=1_000_000).or(2_000_usize),
        /// Most renamed fields, with fragments written out: one request shall not be hundreds.
        pub aliases_limit: usize = whole("aliases", 1..=1_000_000).or(250_usize),
        /// Most fields of an operation itself; those of a query run at once, over one pool of connections.
        pub root_fields_limit: usize = whole("fields", 1..=10_000).or(50_usize),
        /// Most directives, with fragments written out.
        pub directives_limit: usize = whole("directives", 1..=1_000_000).or(1_000_usize),
        /// Most values that introspection may give; the whole schema, as editors read it, must fit.
        pub introspection_limit: usize = whole("values", 100..=10_000_000).or(20_000_usize),
        /// Most steps that validation may take, counted before: parts of the document with fragments written out, and
        /// pairs of them that are compared.
        pub steps_limit: usize = whole("steps", 1_000..=100_000_000).or(200_000_usize),
        /// Deepest nesting of fields; introspection by common tools, the deepest usual query, must still fit.
        pub depth_limit: usize = whole("levels", 1..=1_000).or(16_usize),
        /// Highest complexity, counted as fields times the rows asked for.
        pub complexity_limit: usize = whole("points", 1..=10_000_000).or(20_000_usize),
        /// Largest data of an answer as JSON; room for the text of a few documents of the largest kind.
        pub answer_limit_bytes: usize = bytes(KIB..=GIB).or(32 * MIB),
        /// Most errors of an answer; nobody reads more, and one mistake may give thousands.
        pub errors_limit: usize = whole("errors", 1..=10_000).or(50_usize),
        /// Most rows on a page of a connection.
        pub page_limit: usize = whole("rows", 1..=10_000).or(100_usize),
        /// Rows up to which long lists are counted: of a million jobs nobody needs the last digit.
        pub count_limit: u64 = whole("rows", 1..=10_000_000).or(10_000_u64),
        /// Longest summary of a job's payload as JSON; enough to recognise it.
        pub payload_limit_bytes: usize = bytes(64..=MIB).or(4_096_usize),
    }
}

settings! {
    /// PostgreSQL.
    pub struct DatabaseSettings["database"] {
        /// The database to use; where it is not given, the process runs a PostgreSQL of its own in the data directory.
        pub url: Option<SecretUrl> = database_url().alias(&["DATABASE_URL"]).optional(),
        /// Connections kept open; a few per core serve most loads. One listens for signals, and a migration needs two.
        pub pool_size: u32 = whole("connections", 3..=10_000).or(10_u32),
        /// Connections that may be opened beyond the pool's size under load.
        pub pool_overflow: u32 = whole("connections", 0..=10_000).or(10_u32),
        /// Connections of the pool that subscriptions use at once, however many there are; one that listens and one for the
        /// rest are always left. What many follow is read once, so that two keep up with a busy queue.
        pub subscription_share: u32 = whole("connections", 1..=10_000).or(2_u32),
        /// Longest wait for a free connection; then the request is refused instead of piling up.
        pub acquire_timeout: Duration = millis(1..=HOUR_MS).or(5 * SECOND_MS),
        /// Age at which a connection is replaced, so that failovers and leaks heal.
        pub recycle: Duration = seconds(1..=DAY_S).or(1_800_u64),
        /// Whether a connection that was idle for a second is tested before use; one round trip saves a failed request.
        pub pre_ping: bool = flag().or(true),
        /// Whether every SQL statement is logged.
        pub statement_log: bool = flag().or(false),
        /// A statement slower than this is logged with a warning.
        pub slow_statement: Duration = millis(1..=HOUR_MS).or(500_u64),
        /// How long connecting is tried again at start, with growing pauses, before the process gives up.
        pub connect_timeout: Duration = millis(1..=HOUR_MS).or(30 * SECOND_MS),
        /// Whether statements are prepared; false behind a pooler that shares connections per transaction.
        pub prepared_statements: bool = flag().or(true),
        /// TCP port of the embedded server on loopback; without it only its Unix socket is open.
        pub server_port: Option<u16> = port().optional(),
    }
}

settings! {
    /// Logs.
    pub struct LogSettings["log"] {
        /// Least severe level that is logged; libraries that talk much are held at warn.
        pub level: LogLevel = choice().or(LogLevel::Info),
        /// Filter directives that take the place of the level, for libraries too.
        pub filter: Option<String> = log_filter().alias(&["RUST_LOG"]).optional(),
        /// Form of a line: text for people, json for collectors.
        pub format: LogFormat = choice().or(LogFormat::Text),
        /// File to log to besides standard error; each process needs its own.
        pub file: Option<PathBuf> = path().optional(),
        /// Size at which the file is put aside and a new one begun.
        pub file_max_bytes: u64 = whole("bytes", 1_024..=1_000_000_000_000).or(10_000_000_u64),
        /// Files put aside that are kept; with the size it bounds the disk that logs take.
        pub file_backups: u32 = whole("files", 0..=1_000).or(5_u32),
    }
}

settings! {
    /// Where the originals of documents are stored.
    pub struct StorageSettings["storage"] {
        /// Originals of at least this size go to the object store, where one is configured; large rows burden backups.
        pub threshold_bytes: usize = bytes(1..=GIB).or(10 * MEGABYTE),
    }
}

settings! {
    /// The store of large originals.
    pub struct ObjectStoreSettings["object_store"] {
        /// A bucket of S3 or a compatible store, or a local directory; without it originals stay in PostgreSQL.
        pub url: Option<SecretUrl> =
            secret_url(&["s3", "file"], "a URL such as s3://bucket/prefix or file:///directory").optional(),
    }
}

settings! {
    /// How documents are cut where a collection does not say otherwise.
    pub struct ChunkingSettings["chunking"] {
        /// Longest chunk; a little under the 256 tokens that the local model reads.
        pub size: usize = whole("tokens", 1..=1_000_000).or(240_usize),
        /// Tokens that neighbouring chunks share, so that no sentence is lost at a cut; at most half of the size.
        pub overlap: usize = whole("tokens", 0..=1_000_000).or(32_usize),
    }
}

settings! {
    /// Embedding on this machine.
    pub struct EmbeddingSettings["embedding"] {
        /// Directory of the local model (`tokenizer.json`, and `model.safetensors` of a BERT model, else `model.onnx`); the one brought along where not given.
        pub model_dir: Option<PathBuf> = path().optional(),
        /// Threads that embed documents. Queries have threads of their own, which the system lets run first; a core is left
        /// to them, to the database and to the server.
        pub threads: usize = whole("threads", 1..=1_024).or_computed("one less than cores, at least 1", |machine| machine.cores.saturating_sub(1).max(1)),
        /// What stands before a query, a space at its end included. By default what the model's own files say; those of E5
        /// say nothing, and want `query: `. It changes the vectors: collections that have some want to be ingested anew.
        pub query_prompt: Option<String> = prompt().optional(),
        /// What stands before a document's text, likewise. E5 wants `passage: `.
        pub document_prompt: Option<String> = prompt().optional(),
        /// Chunks embedded and committed together: the most that a crash makes the process do again.
        pub batch_size: usize = whole("chunks", 1..=10_000).or(64_usize),
    }
}

settings! {
    /// Generation of answers.
    pub struct LlmSettings["llm"] {
        /// Service that writes answers; without it generation is disabled.
        pub provider: Option<LlmProvider> = choice().optional(),
        /// How freely the model words its answers; low, because answers keep to their sources.
        pub temperature: f64 = decimal(0.0..=2.0).or(0.2),
    }
}

settings! {
    /// Limits on what is taken in.
    pub struct IngestSettings["ingest"] {
        /// Largest document; parsers hold it in memory several times over.
        pub document_limit_bytes: usize = bytes(1..=GIB).or(10 * MIB),
        /// Most documents in one call, which is one transaction.
        pub documents_limit: usize = whole("documents", 1..=100_000).or(1_000_usize),
        /// Largest metadata of a document as JSON; filters read it at every search.
        pub metadata_limit_bytes: usize = bytes(2..=16 * MIB).or(64 * KIB),
        /// Most ready-made chunks of a document.
        pub chunks_limit: usize = whole("chunks", 1..=1_000_000).or(10_000_usize),
        /// Longest time to read and cut a document: seconds for the largest ones, so that a hanging parser is noticed.
        pub load_timeout: Duration = millis(1..=DAY_MS).or(5 * MINUTE_MS),
        /// Times that reading a document is tried: what fails twice by itself will fail again.
        pub load_attempts: u32 = whole("attempts", 1..=1_000).or(3_u32),
    }
}

settings! {
    /// Search.
    pub struct SearchSettings["search"] {
        /// Up to this many vectors a search is exact and no index is built: a scan is then as fast.
        pub exact_threshold: usize = whole("vectors", 0..=100_000_000).or(10_000_usize),
        /// Candidates that an HNSW search keeps; more find better and take longer (pgvector allows 1 to 1000).
        pub ef_search: u16 = whole("candidates", 1..=1_000).or(100_u16),
        /// Longest time of a search, embedding included.
        pub timeout: Duration = millis(1..=HOUR_MS).or(10 * SECOND_MS),
        /// Longest query text; a model reads only its beginning anyway.
        pub query_limit_bytes: usize = bytes(1..=16 * MIB).or(32 * KIB),
    }
}

settings! {
    /// Building of vector indexes.
    pub struct IndexSettings["index"] {
        /// Links per node of an HNSW graph; more find better and take more memory (pgvector allows 2 to 100).
        pub hnsw_m: u16 = whole("links", 2..=100).or(16_u16),
        /// Candidates while an HNSW graph is built; at least twice the links (pgvector allows 4 to 1000).
        pub hnsw_ef_construction: u16 = whole("candidates", 4..=1_000).or(64_u16),
        /// PostgreSQL's `maintenance_work_mem` while an index is built: a graph that does not fit builds much slower.
        pub maintenance_memory_bytes: usize = bytes(MIB..=1024 * GIB).or(GIB),
    }
}

settings! {
    /// Background jobs.
    pub struct QueueSettings["queue"] {
        /// Jobs that a process runs at once; 0 makes it serve the API only.
        pub workers: usize = whole("jobs", 0..=1_024).or(4_usize),
        /// After this time without a heartbeat a job counts as abandoned and another worker takes it.
        pub lease: Duration = millis(100..=DAY_MS).or(30 * SECOND_MS),
        /// Time between renewals of the leases; less than half a lease, so that one may fail.
        pub heartbeat: Duration = millis(10..=DAY_MS).or(10 * SECOND_MS),
        /// Time between looks for due jobs where no notification came.
        pub poll: Duration = millis(10..=HOUR_MS).or(2 * SECOND_MS),
        /// Times that a job is tried before it counts as failed.
        pub max_attempts: u32 = whole("attempts", 1..=1_000).or(5_u32),
        /// Pause before the second attempt; it doubles with each further one.
        pub backoff_base: Duration = millis(1..=DAY_MS).or(SECOND_MS),
        /// Longest pause between attempts.
        pub backoff_max: Duration = millis(1..=DAY_MS).or(10 * MINUTE_MS),
        /// Most jobs that one mutation cancels, retries or prefers: each is a transaction, and the caller waits.
        pub selection_limit: usize = whole("jobs", 1..=100_000).or(1_000_usize),
        /// Places up to which a waiting job is told its own exactly; counting further would cost more than it tells.
        pub position_limit: u64 = whole("jobs", 1..=1_000_000).or(10_000_u64),
        /// Longest time of an attempt at a step; a hanging job must not hold its place for ever.
        pub job_timeout: Duration = millis(1..=7 * DAY_MS).or(HOUR_MS),
    }
}

settings! {
    /// Schedules: work that recurs.
    pub struct ScheduleSettings["schedule"] {
        /// Shortest time between two runs of a schedule: cron's own finest grain, and longer than most runs take.
        pub min_interval: Duration = seconds(1..=DAY_S).or(60_u64),
        /// A run that starts later than this was missed, and the schedule says what becomes of it; covers a restart.
        pub missed_grace: Duration = seconds(1..=DAY_S).or(60_u64),
        /// Most missed runs of a schedule that are started at one look; the others wait for the next.
        pub catch_up_limit: usize = whole("runs", 1..=10_000).or(100_usize),
        /// Time between looks for due schedules: cron knows no time shorter than this.
        pub tick: Duration = millis(10..=MINUTE_MS).or(SECOND_MS),
        /// After this time without a renewal another process takes over the schedules; at most the grace, so that none
        /// is missed by it.
        pub lease: Duration = millis(100..=HOUR_MS).or(15 * SECOND_MS),
        /// When jobs of lost workers are taken up again: cron with seconds, in UTC, as the following ones.
        pub sweep: String = cron().or("*/10 * * * * *"),
        /// When collections that have outgrown exact search get their index build.
        pub indexes: String = cron().or("*/10 * * * * *"),
        /// When queues are counted and their rates renewed.
        pub statistics: String = cron().or("*/10 * * * * *"),
        /// When expired documents are deleted.
        pub expiry: String = cron().or("0 * * * * *"),
        /// When jobs and runs that are over for long are removed.
        pub retention: String = cron().or("0 */10 * * * *"),
    }
}

settings! {
    /// Circuit breakers: a provider that fails again and again is left alone, and its jobs wait.
    pub struct CircuitSettings["circuit"] {
        /// Failures in a row after which a provider is left alone.
        pub failures: u32 = whole("failures", 1..=1_000_000).or(5_u32),
        /// How long it is left alone the first time, until one job may try; doubled each time that the trial fails.
        pub open: Duration = millis(1..=DAY_MS).or(30 * SECOND_MS),
        /// Longest time that it is left alone: how late its recovery may be noticed.
        pub open_max: Duration = millis(1..=DAY_MS).or(10 * MINUTE_MS),
    }
}

settings! {
    /// How long finished work is kept.
    pub struct RetentionSettings["retention"] {
        /// Jobs that succeeded: a week shows last weekend's ingest, and 2,000 jobs/s would still fit a disk for a day.
        pub succeeded: Duration = seconds(1..=YEAR_S).or(7 * DAY_S),
        /// Jobs that were cancelled.
        pub cancelled: Duration = seconds(1..=YEAR_S).or(7 * DAY_S),
        /// Jobs that failed for good: long enough for someone to come back from holiday and redrive them.
        pub dead: Duration = seconds(1..=YEAR_S).or(30 * DAY_S),
        /// Runs without jobs, with their events.
        pub runs: Duration = seconds(1..=YEAR_S).or(90 * DAY_S),
    }
}

settings! {
    /// Sources that the server reads by itself.
    pub struct SourceSettings["source"] {
        /// Directories under which a source may lie; without any, none is read, because callers of the API name them.
        pub directories: Vec<PathBuf> = paths().or_empty(),
        /// Whether URLs may lead to this machine and its networks; otherwise callers could read internal services.
        pub allow_private_addresses: bool = flag().or(false),
        /// Longest time to fetch one URL, redirects included.
        pub timeout: Duration = millis(1..=HOUR_MS).or(30 * SECOND_MS),
        /// Most files or URLs of one run; bounds what one mistaken path can set in motion.
        pub documents_limit: usize = whole("documents", 1..=1_000_000).or(10_000_usize),
    }
}

settings! {
    /// Progress of jobs as it reaches subscribers.
    pub struct EventsSettings["events"] {
        /// Time between looks for new events where no notification came: the net under LISTEN/NOTIFY.
        pub poll: Duration = millis(10..=HOUR_MS).or(5 * SECOND_MS),
        /// Shortest time between two states of a queue: faster than people read, rare enough for a busy queue.
        pub queue_interval: Duration = millis(1..=MINUTE_MS).or(250_u64),
        /// Newest events of a run or job that are kept for those who follow it; who is further behind reads them from the
        /// database. A second of a busy run, in about half a megabyte.
        pub ring_limit: usize = whole("events", 1..=1_000_000).or(1_000_usize),
    }
}

settings! {
    /// Health probes.
    pub struct HealthSettings["health"] {
        /// Longest time of one probe; then it counts as failed.
        pub probe_timeout: Duration = millis(1..=10 * MINUTE_MS).or(5 * SECOND_MS),
        /// Room in the data directory of the embedded database below which readiness warns; time to act before it is full.
        pub free_bytes: u64 = whole("bytes", 0..=1_000_000_000_000_000).or(1_000_000_000_u64),
    }
}
