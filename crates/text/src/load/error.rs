//! Why a document could not be loaded.

use super::{ContentType, Stopped};

/// A document that no loader takes. The fault of the input and never worth a retry, unless the loader was stopped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// No loader for this MIME type.
    #[error("got content type {got}, expected one of {}", ContentType::expected())]
    UnsupportedContentType {
        /// The MIME type as received.
        got: String,
    },
    /// A `charset` parameter that names anything but UTF-8.
    #[error("got charset {got}, expected utf-8: convert the document and send it again")]
    UnsupportedCharset {
        /// The charset as received.
        got: String,
    },
    /// The bytes are not UTF-8.
    #[error("invalid utf-8 at byte {offset}: convert the document to utf-8 and send it again")]
    InvalidUtf8 {
        /// Offset in bytes of the first byte that is not part of a valid character.
        offset: usize,
    },
    /// A NUL, which the database cannot hold in text and no text document needs.
    #[error("nul byte at byte {offset}, expected text: is this a binary file, or utf-16?")]
    NulByte {
        /// Offset in bytes of the first NUL.
        offset: usize,
    },
    /// Nothing but whitespace and markup.
    #[error("the document holds no text, only whitespace or markup")]
    Empty,
    /// Nobody waits for it any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl LoadError {
    /// The stable code of this error, for clients, logs and metrics.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::UnsupportedContentType { .. } => "UNSUPPORTED_CONTENT_TYPE",
            Self::UnsupportedCharset { .. } => "UNSUPPORTED_CHARSET",
            Self::InvalidUtf8 { .. } => "INVALID_UTF8",
            Self::NulByte { .. } => "NUL_BYTE",
            Self::Empty => "EMPTY_DOCUMENT",
            Self::Stopped(_) => "INTERRUPTED",
        }
    }
}
