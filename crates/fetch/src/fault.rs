//! Why a source, or one document of it, could not be read, and whether trying again may help.

use std::time::Duration;

/// A refusal or a failure, told without its cause's inner workings: it may be shown to the API's caller.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct FetchFault {
    /// What to do about it.
    pub kind: FetchFaultKind,
    /// One sentence for people. Of a URL it holds neither query nor fragment, in which tokens stand.
    pub message: String,
}

/// What to do about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FetchFaultKind {
    /// Outside of what the operator allows; nothing was read.
    NotAllowed,
    /// It will be the same the next time.
    Permanent {
        /// The HTTP status, where a server answered.
        status: Option<u16>,
    },
    /// Trying again may help.
    Transient {
        /// The HTTP status, where a server answered.
        status: Option<u16>,
    },
    /// The server asks for patience.
    RateLimited {
        /// How long, where it said so; at most a day.
        retry_after: Option<Duration>,
    },
    /// A document of more bytes than the limit.
    TooLarge,
    /// A directory of more files than the limit.
    TooMany,
}

impl FetchFault {
    /// Whether trying again later may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, FetchFaultKind::Transient { .. } | FetchFaultKind::RateLimited { .. })
    }

    /// Whether a server says that there is no such page (404), or none any more (410).
    #[must_use]
    pub const fn is_gone(&self) -> bool {
        matches!(self.kind, FetchFaultKind::Permanent { status: Some(404 | 410) })
    }

    pub(crate) fn new(kind: FetchFaultKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(FetchFaultKind::NotAllowed, message)
    }

    /// Without an HTTP status.
    pub(crate) fn permanent(message: impl Into<String>) -> Self {
        Self::new(FetchFaultKind::Permanent { status: None }, message)
    }

    /// Without an HTTP status.
    pub(crate) fn transient(message: impl Into<String>) -> Self {
        Self::new(FetchFaultKind::Transient { status: None }, message)
    }
}
