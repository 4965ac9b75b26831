//! The command line.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use vectorforge::config::{Config, EXIT_CONFIG, Machine, Sources, parse_override};
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
    let cli = Cli::parse();
    if let Command::Schema = cli.command {
        print!("{}", vectorforge::graphql::sdl());
        return ExitCode::SUCCESS;
    }
    let config = match load(cli.settings) {
        Ok(config) => config,
        Err(told) => {
            eprintln!("{told}");
            return EXIT_CONFIG.into();
        }
    };
    match run(config, cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            tracing::error!("{cause:#}");
            ExitCode::FAILURE
        }
    }
}

fn load(args: SettingsArgs) -> Result<Config, String> {
    let overrides: Result<Vec<_>, _> = args.set.iter().map(|given| parse_override(given)).collect();
    let sources = Sources::of_process(args.config, overrides.map_err(|fault| format!("--set: {fault}"))?);
    Config::load(&sources, &Machine::of_process()).map_err(|faults| faults.to_string())
}

fn run(config: Config, command: Command) -> anyhow::Result<()> {
    vectorforge::telemetry::logs::init(&config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match command {
            Command::Serve => process::serve(config).await,
            Command::Worker => process::work(config).await,
            Command::Migrate { direction: Migrate::Up } => process::migrate(config, None).await,
            Command::Migrate { direction: Migrate::Down { steps } } => process::migrate(config, Some(steps)).await,
            Command::Schema => Ok(()),
        }
    })
}
