//! What scheduled ingestion reads: directories of this machine, and web pages.
//!
//! Whoever may call the API names a source, so both are fenced in: a directory lies under a root that the operator
//! allowed ([`Roots`]), and a page has a public address ([`Reach`]) unless the operator says otherwise. Knows nothing
//! of documents, loaders and jobs; stores nothing.

mod address;
mod directory;
mod fault;
mod reach;
mod retry_after;
#[cfg(test)]
mod tests;
mod url;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use self::url::{Fetcher, shown};
pub use directory::{Directory, Listing, Roots};
pub use fault::{FetchFault, FetchFaultKind};
pub use reach::Reach;

/// Where documents come from. As JSON it is tagged by `kind`: `{"kind": "directory", "path": "/srv/notes"}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Source {
    /// Every file of a directory of the machine that runs the workers, and of the directories in it.
    Directory {
        /// Absolute.
        path: PathBuf,
    },
    /// Web pages, each by itself: links are not followed.
    Urls {
        /// `http` or `https`.
        urls: Vec<String>,
    },
}

/// A document as its source gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// Names the document for good, so that a later run finds what became of it: a `file:` URL, or the page's own.
    pub source_uri: String,
    /// The last part of the path, for people and for telling the format by its extension; may be empty.
    pub name: String,
    /// The `Content-Type` that the server gave, with its parameters; a file has none.
    pub content_type: Option<String>,
    /// As they were read, in whatever encoding.
    pub bytes: Vec<u8>,
}
