//! `vectorforge health`: whether the server can work now.

use std::time::Duration;

use super::ServerOptions;
use super::api_client::{ApiClient, ServerUrl, describe_response};
use super::error::ClientError;
use crate::output::print;

/// Longest wait: below the 30 s after which container engines give a check up.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Options of `vectorforge health`.
#[derive(Debug, Clone, clap::Args)]
pub struct HealthOptions {
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would replace the command's help")]
    pub server: ServerOptions,
}

/// Asks `/readyz` and prints one line where the server is ready.
///
/// # Errors
/// [`ClientError::NotReady`] where it says that it is not, else why it could not be asked.
pub async fn health(options: HealthOptions) -> Result<(), ClientError> {
    let url = check(options).await?;
    Ok(print(&format_args!("the server at {url} is ready\n"))?)
}

/// Address of a server that is ready.
pub(super) async fn check(options: HealthOptions) -> Result<ServerUrl, ClientError> {
    let server = ApiClient::new(options.server.url)?;
    let (status, body) = server.get(server.url.ready(), TIMEOUT).await?;
    if !status.is_success() {
        return Err(ClientError::NotReady { url: server.url.to_string(), got: describe_response(status, &body) });
    }
    Ok(server.url)
}
