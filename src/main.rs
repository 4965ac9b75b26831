//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use client::output::{Lost, check_open, complain, print};
use settings::{Config, EXIT_CONFIG, Machine, Sources, parse_override};
use vectorforge::causes::chain;
use vectorforge::process;

/// Semantic search and RAG backend: GraphQL over one PostgreSQL with pgvector.
#[derive(Parser)]
#[command(version, about)]
struct Cli {
    #[command(flatten)]
    settings: SettingsArgs,
    #[command(subcommand)]
    command: Command,
}

/// Where settings come from besides the environment and `.env`.
#[derive(Args)]
struct SettingsArgs {
    /// Config file (TOML); `./vectorforge.toml` where it is there.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A setting, such as `--set http.port=9000`; wins over all other places.
    #[arg(long, global = true, value_name = "KEY=VALUE")]
    set: Vec<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the API, and run jobs unless `queue.workers` is 0.
    Serve,
    /// Run jobs only, on the database of another process's API.
    Worker,
    /// Change the database's schema.
    Migrate {
        #[command(subcommand)]
        direction: Migrate,
    },
    /// Print the GraphQL schema.
    Schema,
    /// Ingest files and folders into a collection of a running server, and follow until they are indexed.
    Ingest(client::IngestOptions),
    /// Search a collection of a running server.
    Search(client::SearchOptions),
    /// Ask a running server whether it is ready.
    Health(client::HealthOptions),
}

#[derive(Subcommand)]
enum Migrate {
    /// Apply what is missing.
    Up,
    /// Undo the last migrations. Their tables and what is in them are lost.
    Down {
        /// How many.
        #[arg(default_value_t = 1)]
        steps: u32,
    },
}

fn main() -> ExitCode {
    let Cli { settings, command } = match Cli::try_parse() {
        Ok(given) => given,
        Err(told) => return tell(&told),
    };
    match command {
        Command::Schema => match print(&vectorforge::graphql::sdl()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(lost) => lost.exit(),
        },
        Command::Ingest(options) => ask(async { Ok(client::ingest(options).await?.is_success()) }),
        Command::Search(options) => ask(async { client::search(options).await.map(|()| true) }),
        Command::Health(options) => ask(async { client::health(options).await.map(|()| true) }),
        Command::Serve => work(settings, process::serve),
        Command::Worker => work(settings, process::work),
        Command::Migrate { direction: Migrate::Up } => work(settings, |config| process::migrate(config, None)),
        Command::Migrate { direction: Migrate::Down { steps } } => {
            work(settings, move |config| process::migrate(config, Some(steps)))
        }
    }
}

/// Help, the version, or what is wrong with the command line.
fn tell(told: &clap::Error) -> ExitCode {
    match told.print().map_err(Lost::from).and_then(|()| check_open()) {
        Err(lost) if !told.use_stderr() => lost.exit(),
        _ => u8::try_from(told.exit_code()).map_or(ExitCode::FAILURE, ExitCode::from),
    }
}

/// Asks a running server; needs no settings of this process.
fn ask(request: impl Future<Output = Result<bool, client::ClientError>>) -> ExitCode {
    match process::run_to_end(request) {
        Ok(Ok(true)) => ExitCode::SUCCESS,
        Ok(Ok(false)) => ExitCode::FAILURE,
        Ok(Err(client::ClientError::Unprinted(lost))) => lost.exit(),
        Ok(Err(error)) => {
            complain(&format_args!("error: {error}"));
            error.exit_code().into()
        }
        Err(cause) => {
            complain(&format_args!("error: cannot start: {cause}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs a part of the house under this process's settings.
fn work<F: Future<Output = anyhow::Result<()>>>(args: SettingsArgs, part: impl FnOnce(Config) -> F) -> ExitCode {
    let config = match load(args) {
        Ok(config) => config,
        Err(told) => {
            complain(&told);
            return EXIT_CONFIG.into();
        }
    };
    if let Err(cause) = vectorforge::telemetry::logs::init(&config.log) {
        complain(&format_args!("error: {}", chain(&cause)));
        return ExitCode::FAILURE;
    }
    match run(config, part) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!("{}", chain(cause.as_ref()));
            cause.downcast_ref::<process::Interrupted>().map_or(ExitCode::FAILURE, |signal| signal.exit_code().into())
        }
    }
}

fn load(args: SettingsArgs) -> Result<Config, String> {
    let overrides: Result<Vec<_>, _> = args.set.iter().map(|given| parse_override(given)).collect();
    let sources = Sources::of_process(args.config, overrides.map_err(|fault| format!("--set: {fault}"))?);
    Config::load(&sources, &Machine::of_process()).map_err(|faults| faults.to_string())
}

fn run<F: Future<Output = anyhow::Result<()>>>(config: Config, part: impl FnOnce(Config) -> F) -> anyhow::Result<()> {
    process::run_to_end(part(config))?
}
