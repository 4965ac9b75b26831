//! The parts of `benches/jobs.py` that use the library: a migrated database, worker processes with a job that does
//! nothing, clients that enqueue, and a taker of jobs. Each prints lines of JSON.
//!
//! Built by `cargo build --release --bench queue`, which reuses the release build; started by the script alone.

#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "the clock is what is measured with; the lines are its answer"
)]

mod enqueue;
mod lease;
mod worker;

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::{Parser, Subcommand};
use settings::{Config, Machine, Sources};
use vectorforge::store::Store;

/// The queue of all jobs here.
const QUEUE: &str = "bench";
/// Their kind.
const KIND: &str = "noop";
/// Attempts of each.
const ATTEMPTS: u32 = 5;

#[derive(Parser)]
struct Arguments {
    /// The database.
    #[arg(long, env = "DATABASE_URL")]
    url: String,
    #[command(subcommand)]
    part: Part,
    /// Given by `cargo bench`; without meaning here.
    #[arg(long, hide = true, global = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Part {
    /// Migrates the database.
    Migrate,
    /// Runs jobs until its standard input closes; writes a line when it is ready.
    Worker {
        /// Jobs at once.
        #[arg(long)]
        slots: usize,
        /// Whether to tell when each job starts.
        #[arg(long)]
        tell: bool,
    },
    /// Enqueues jobs in one transaction.
    Enqueue {
        /// How many.
        #[arg(long)]
        jobs: usize,
    },
    /// Enqueues one job after the other, with pauses.
    Trickle {
        /// How many.
        #[arg(long)]
        jobs: usize,
        /// Milliseconds between two.
        #[arg(long)]
        pause_ms: u64,
    },
    /// Takes jobs, once for each line on its standard input; writes how long that took.
    Lease {
        /// Jobs at once.
        #[arg(long)]
        limit: usize,
    },
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { url, part, .. } = Arguments::parse();
    let sources = Sources { overrides: vec![("data_dir".into(), "/nowhere".into())], ..Sources::default() };
    let config = Config::load(&sources, &Machine::of_process()).map_err(|faults| anyhow::anyhow!("{faults}"))?;
    let store = Store::connect(&config.database, &url).await.context("connect")?;
    match part {
        Part::Migrate => drop(store.migrate().await?),
        Part::Worker { slots, tell } => worker::run(&config, store, slots, tell).await?,
        Part::Enqueue { jobs } => enqueue::at_once(&store, jobs).await?,
        Part::Trickle { jobs, pause_ms } => enqueue::one_by_one(&store, jobs, pause_ms).await?,
        Part::Lease { limit } => lease::measure(&store, limit).await?,
    }
    Ok(())
}

/// Microseconds since 1970, which processes on one machine agree on.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// Writes one line at once.
fn tell(line: &serde_json::Value) {
    println!("{line}");
}
