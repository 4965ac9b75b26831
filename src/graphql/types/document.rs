//! `Document` and the input that changes it.

use async_graphql::{Context, Description, Enum, ID, InputObject, MaybeUndefined, Object, SimpleObject};
use serde_json::Value as Json;

use super::chunk::Chunk;
use super::collection::{Collection, page_cost};
use super::connection::Connection;
use super::job::Job;
use crate::graphql::check;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::{ChunkPage, CollectionById, NewestJobOf, TextOf};
use crate::graphql::name;
use crate::graphql::page::{self, List, Place};
use crate::graphql::types::date_time::DateTime;
use crate::id::Kind;
use crate::store::documents::DocumentChange;
use crate::store::entity::document::{Model, Status};

/// A document. Its chunks and counts are those of the newest complete version; the status is that of the newest
/// submitted one.
#[derive(Description)]
pub struct Document(pub Model);

impl From<Model> for Document {
    fn from(row: Model) -> Self {
        Self(row)
    }
}

#[Object(use_type_description)]
impl Document {
    /// Global id, `doc_…`.
    pub async fn id(&self) -> ID {
        ID(Kind::Document.encode(self.0.id))
    }

    /// Where the newest submitted version stands.
    async fn status(&self) -> DocumentStatus {
        self.0.status.into()
    }

    /// Why it failed, while the status is `ERROR` or another attempt follows.
    async fn error(&self) -> Option<Failure> {
        Failure::of(self.0.error_code.as_deref(), self.0.error_message.as_deref())
    }

    /// Given by the caller, or found in the content.
    async fn title(&self) -> Option<&str> {
        self.0.title.as_deref()
    }

    /// Where it came from. A collection has one document per source.
    async fn source_uri(&self) -> Option<&str> {
        self.0.source_uri.as_deref()
    }

    /// Given by the caller.
    async fn author(&self) -> Option<&str> {
        self.0.author.as_deref()
    }

    /// Given by the caller.
    async fn tags(&self) -> &[String] {
        &self.0.tags
    }

    /// MIME type of the original.
    async fn content_type(&self) -> &str {
        &self.0.content_type
    }

    /// SHA-256 over content type and original, in hexadecimal.
    async fn content_hash(&self) -> String {
        hex::encode(&self.0.content_hash)
    }

    /// Size of the original in bytes.
    async fn size_bytes(&self) -> i64 {
        self.0.size_bytes
    }

    /// Where the original is stored.
    async fn storage_backend(&self) -> &str {
        &self.0.storage_backend
    }

    /// A JSON object of the caller's; searches filter by it.
    async fn metadata(&self) -> &Json {
        &self.0.metadata
    }

    /// Chunks that searches can find.
    async fn chunk_count(&self) -> i32 {
        self.0.chunk_count
    }

    /// Tokens of those chunks together; 0 where no model counts.
    async fn token_count(&self) -> i64 {
        self.0.token_count
    }

    /// When it was first submitted.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When anything about it last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }

    /// When the newest complete version was.
    async fn indexed_at(&self) -> Option<DateTime> {
        self.0.indexed_at.map(Into::into)
    }

    /// When it is deleted by itself; null: never.
    async fn expires_at(&self) -> Option<DateTime> {
        self.0.expires_at.map(Into::into)
    }

    /// The text that `startChar` and `endChar` of its chunks count in; null until a version is complete.
    #[graphql(complexity = 100)]
    async fn text(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        ctx.loader().load_one(TextOf(self.0.id)).await.or_fault()
    }

    /// The collection it is in.
    async fn collection(&self, ctx: &Context<'_>) -> Result<Option<Collection>> {
        let row = ctx.loader().load_one(CollectionById(self.0.collection_id)).await.or_fault()?;
        Ok(row.map(Collection))
    }

    /// The newest job that works or worked on it.
    async fn job(&self, ctx: &Context<'_>) -> Result<Option<Job>> {
        Ok(ctx.loader().load_one(NewestJobOf(self.0.id)).await.or_fault()?.map(Job))
    }

    /// Its chunks in order.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn chunks(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "page::DEFAULT_FIRST", desc = "Chunks on the page, 1-100.")] first: i32,
        #[graphql(desc = "Start after this cursor.")] after: Option<String>,
    ) -> Result<Connection<Chunk, ChunkTotal>> {
        let (first, limit) = page::rows_to_read("first", first, ctx.app().config.graphql.page_limit).or_fault()?;
        let (list, last) = (List::new("chunks", &self.0.id), i64::from(self.0.chunk_count) - 1);
        let cursor = list.number_after("after", after.as_deref(), last).or_fault()?;
        let after = cursor.map(|index| i32::try_from(index).unwrap_or(i32::MAX));
        let rows = ctx.loader().load_one(ChunkPage { document: self.0.id, after, limit }).await.or_fault()?;
        let total = ChunkTotal { total_count: self.0.chunk_count };
        let rows = rows.unwrap_or_default();
        Ok(list.page(rows, first, after.is_some(), total, |row| Place::Number(i64::from(row.index))))
    }
}

/// The whole list behind a page of chunks.
#[derive(SimpleObject)]
pub struct ChunkTotal {
    /// Chunks of the document, not only on this page.
    total_count: i32,
}

/// Why something failed.
#[derive(SimpleObject, Clone, Debug)]
pub struct Failure {
    /// Stable code.
    code: String,
    /// One sentence.
    message: String,
}

impl Failure {
    /// The failure of a row that has one.
    pub fn of(code: Option<&str>, message: Option<&str>) -> Option<Self> {
        let message = message.unwrap_or_default().to_owned();
        Some(Self { code: code?.to_owned(), message })
    }
}

/// Where a document's newest version stands.
#[derive(Enum, Clone, Copy, PartialEq, Eq, Debug)]
#[graphql(remote = "Status")]
pub enum DocumentStatus {
    /// Stored; waits for a worker.
    Pending,
    /// A worker is at it.
    Processing,
    /// Complete: searches find it.
    Indexed,
    /// Failed for good; `error` says why.
    Error,
    /// Deleted.
    Deleted,
    /// Its job was cancelled.
    Cancelled,
}

/// A change to a document's attributes; what is left out stays. Content changes by ingesting it again.
#[derive(InputObject)]
pub struct UpdateDocumentInput {
    /// Which.
    pub id: ID,
    /// New title, 1-255 characters; line breaks become spaces.
    title: Option<String>,
    /// New metadata, replacing the old.
    metadata: Option<Json>,
    /// New time at which it is deleted; null: never. One in the past deletes it within a minute.
    expires_at: MaybeUndefined<DateTime>,
}

impl UpdateDocumentInput {
    /// The checked change.
    pub fn checked(self, metadata_limit: usize) -> crate::error::Result<DocumentChange> {
        let expires_at: Option<Option<DateTime>> = self.expires_at.into();
        let expires_at = expires_at.map(|given| DateTime::optional(given, "input.expiresAt")).transpose()?;
        Ok(DocumentChange {
            title: name::optional_line("input.title", self.title.as_deref())?,
            metadata: check::optional_object("input.metadata", self.metadata, metadata_limit)?,
            expires_at,
        })
    }
}
