//! What can go wrong while a model is loaded.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// Why a model directory could not be loaded. Each message names the file, and its fault is the operator's.
#[derive(Debug, Error)]
pub enum LoadError {
    /// The file is missing or cannot be read.
    #[error("cannot read {}: {cause}; expected a file of the embedding model", file.display())]
    Unreadable {
        /// The file that was asked for.
        file: PathBuf,
        /// What the operating system answered.
        cause: io::Error,
    },
    /// The file was read, and holds something else than the model needs.
    #[error("{}: found {found}, expected {expected}", file.display())]
    Unexpected {
        /// The file that was read.
        file: PathBuf,
        /// What it holds.
        found: String,
        /// What it should hold.
        expected: String,
    },
}

impl LoadError {
    pub(crate) fn unreadable(file: &Path) -> impl FnOnce(io::Error) -> Self {
        let file = file.to_owned();
        move |cause| Self::Unreadable { file, cause }
    }

    pub(crate) fn unexpected(file: &Path, found: impl Into<String>, expected: impl Into<String>) -> Self {
        Self::Unexpected { file: file.to_owned(), found: found.into(), expected: expected.into() }
    }
}
