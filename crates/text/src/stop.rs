//! The signal that ends work on a document before it is done.

use tokio_util::sync::CancellationToken;

/// Asked by everything that reads a document, every few kilobytes: a job that was cancelled, took too long or lost its
/// lease, and a process that ends, get their thread back at once.
#[derive(Debug, Clone, Default)]
pub struct Stop(CancellationToken);

/// The work was stopped, and what was made so far is no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work was stopped")]
pub struct Stopped;

impl Stop {
    /// Whether work goes on.
    ///
    /// # Errors
    /// When it should not.
    pub fn check(&self) -> Result<(), Stopped> {
        if self.0.is_cancelled() { Err(Stopped) } else { Ok(()) }
    }
}

impl From<CancellationToken> for Stop {
    fn from(token: CancellationToken) -> Self {
        Self(token)
    }
}
