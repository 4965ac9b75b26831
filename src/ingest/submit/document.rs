//! A document as it came.

use chrono::{DateTime, Utc};
use serde_json::Value as Json;

use crate::ingest::ready_made::ReadyChunk;

/// One document as it came.
#[derive(Debug)]
pub struct NewDocument {
    /// Its content.
    pub source: Source,
    /// MIME type; by default that of the source.
    pub content_type: Option<String>,
    /// Where it came from; a document of the same collection and source is replaced.
    pub source_uri: Option<String>,
    /// Title; by default the one found in the content.
    pub title: Option<String>,
    /// Author.
    pub author: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// A JSON object.
    pub metadata: Option<Json>,
    /// When it shall be deleted.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A document's content.
#[derive(Debug)]
pub enum Source {
    /// Text.
    Text(String),
    /// A file, with the name and content type that came with it.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its name.
        name: String,
        /// Content type from the upload.
        content_type: Option<String>,
    },
    /// Chunks, cut by the caller.
    Chunks(Vec<ReadyChunk>),
}
