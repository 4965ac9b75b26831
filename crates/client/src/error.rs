//! What can go wrong for a command, one sentence each for the terminal.

use std::time::Duration;

use super::answer::ApiErrors;
use crate::output;

/// Why a command failed. `Display` is one sentence that says what to do where something can be done; text that came
/// from the server or from file names holds no control characters.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nothing listens there.
    #[error("no server answers at {url}: start one with `vectorforge serve`, or give --url")]
    NoServer {
        /// Address of the server.
        url: String,
    },
    /// The name does not resolve, the certificate is not trusted, the network is down.
    #[error("cannot reach {url}: {cause}")]
    Unreachable {
        /// Address of the server.
        url: String,
        /// The innermost cause.
        cause: String,
    },
    /// The server took the request and said nothing.
    #[error("{url} gave no answer within {} s", limit.as_secs())]
    NoAnswer {
        /// Address of the server.
        url: String,
        /// How long the client waited.
        limit: Duration,
    },
    /// The connection broke within an answer.
    #[error("the connection to {url} broke off: {cause}")]
    BrokenOff {
        /// Address of the server.
        url: String,
        /// The innermost cause.
        cause: String,
    },
    /// Something else listens there, or a proxy stands between.
    #[error("{url} does not answer as a VectorForge server does: {got}; check --url")]
    Protocol {
        /// Address of the server.
        url: String,
        /// What came instead.
        got: String,
    },
    /// The server is up and says that it cannot work.
    #[error("the server at {url} is not ready: {got}")]
    NotReady {
        /// Address of the server.
        url: String,
        /// Status and the begin of the answer.
        got: String,
    },
    /// The server refused the operation.
    #[error("the server answers: {0}")]
    Refused(ApiErrors),
    /// A path of the command line is not there.
    #[error("no such file or folder: {path}")]
    NoSuchPath {
        /// As given.
        path: String,
    },
    /// A path of the command line cannot be read.
    #[error("cannot read {path}: {cause}")]
    UnreadablePath {
        /// As given.
        path: String,
        /// What the system says.
        cause: String,
    },
    /// The paths hold no file that could be sent.
    #[error("nothing to ingest: {found}")]
    NothingToIngest {
        /// What was there instead.
        found: String,
    },
    /// `--prune` was given, and it would have been guesswork.
    #[error("nothing was pruned: {why}")]
    NotPruned {
        /// Why.
        why: &'static str,
    },
    /// The collection is not there and was not to be made.
    #[error("no collection {name:?} at {url}: {advice}")]
    NoCollection {
        /// As given.
        name: String,
        /// Address of the server.
        url: String,
        /// Which one may be meant, which there are, or how to make one.
        advice: String,
    },
    /// The progress of runs could not be followed to the end.
    #[error(
        "lost the connection to {url} ({cause}): the server goes on by itself where it runs; \
         give the same command again for what is missing, nothing is taken in twice"
    )]
    Lost {
        /// Address of the server.
        url: String,
        /// What the last try met.
        cause: String,
    },
    /// What came of it could not be printed.
    #[error(transparent)]
    Unprinted(#[from] output::Lost),
    /// Ctrl-C.
    #[error("interrupted: {advice}")]
    Interrupted {
        /// What goes on, and how to look.
        advice: String,
    },
}

impl ClientError {
    /// The exit code of a command that fails so: 130 for an interrupted one, as shells count it.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted { .. } => 130,
            _ => 1,
        }
    }

    /// The same, saying also that `--prune` did nothing.
    pub(super) fn unpruned(self) -> Self {
        match self {
            Self::NothingToIngest { found } => {
                let found = format!("{found}; nothing was pruned either: a folder that is not mounted looks the same");
                Self::NothingToIngest { found }
            }
            other => other,
        }
    }

    /// Whether the request certainly changed nothing at the server, and the same may succeed in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::NoServer { .. } | Self::Unreachable { .. } => true,
            Self::Refused(refusal) => refusal.is_passing(),
            _ => false,
        }
    }
}
