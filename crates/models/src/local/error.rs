//! What can go wrong while texts are embedded.

use std::any::Any;

use thiserror::Error;

/// Why texts could not be embedded. The texts themselves are never at fault: any string has a vector.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EmbedError {
    /// The model could not be loaded; the next call tries again.
    #[error("the local embedding model could not be loaded: {0}")]
    Load(String),
    /// The computation panicked, which is a bug of ours; other requests are not touched by it.
    #[error("the local embedding model panicked: {0}")]
    Panicked(String),
    /// The embedder was dropped before the work was done.
    #[error("the local embedder stopped before the texts were embedded")]
    Stopped,
}

/// What a panic said, where it said it in words.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
