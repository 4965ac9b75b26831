//! The command-line client of a running server: `ingest`, `search` and `health`; and how commands print.
//!
//! It speaks GraphQL over HTTP and, for progress, over one WebSocket (`graphql-transport-ws`), as any other client
//! would: it never touches the database, and of the server's code it uses nothing but the tables that tell formats.

mod answer;
mod api_client;
mod collection;
mod error;
mod health;
mod ingest;
pub mod output;
mod page;
mod retry;
mod search;
mod terminal;

#[cfg(test)]
mod tests;

pub use answer::{ApiError, ApiErrors};
pub use api_client::ServerUrl;
pub use error::ClientError;
pub use health::{HealthOptions, health};
pub use ingest::summary::{FailedDocument, Summary};
pub use ingest::{IngestOptions, ingest};
pub use search::{SearchOptions, search};

/// Where the server is; part of every command's options.
#[derive(Debug, Clone, clap::Args)]
pub struct ServerOptions {
    /// Address of the server
    #[arg(long, env = "VECTORFORGE_URL", value_name = "URL", default_value = "http://127.0.0.1:8000")]
    pub url: ServerUrl,
}
