//! `Chunk`

use async_graphql::{Context, Description, ID, Object};
use serde_json::Value as Json;

use super::document::Document;
use super::vector::Vector;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::{DocumentById, VectorOf};
use crate::id::Kind;
use crate::store::entity::{chunk, document};

/// A slice of a document's text, with a vector.
#[derive(Description)]
pub struct Chunk {
    row: chunk::Model,
    /// Where it was read along with the chunk.
    document: Option<document::Model>,
}

impl Chunk {
    /// A chunk whose document is known already.
    pub fn with_document(row: chunk::Model, document: Option<document::Model>) -> Self {
        Self { row, document }
    }
}

impl From<chunk::Model> for Chunk {
    fn from(row: chunk::Model) -> Self {
        Self { row, document: None }
    }
}

#[Object(use_type_description)]
impl Chunk {
    /// Global id, `chk_…`. A new version of the document brings new chunks.
    pub async fn id(&self) -> ID {
        ID(Kind::Chunk.encode(self.row.id))
    }

    /// Characters `startChar` to `endChar` of the document's text.
    async fn text(&self) -> &str {
        &self.row.text
    }

    /// Place among the document's chunks, from 0.
    async fn index(&self) -> i32 {
        self.row.index
    }

    /// Offset of its first character in the document's text, in Unicode characters.
    async fn start_char(&self) -> i32 {
        self.row.start_char
    }

    /// Offset after its last character.
    async fn end_char(&self) -> i32 {
        self.row.end_char
    }

    /// Its tokens as the embedding model counts them; null where no model counts.
    async fn token_count(&self) -> Option<i32> {
        self.row.token_count
    }

    /// Page of the original, from 1; null where the format has none.
    async fn page(&self) -> Option<i32> {
        self.row.page
    }

    /// Titles of the headings above it, outermost first.
    async fn heading_path(&self) -> &[String] {
        &self.row.heading_path
    }

    /// A JSON object.
    async fn metadata(&self) -> &Json {
        &self.row.metadata
    }

    /// Its vector in the collection's embedding space.
    #[graphql(complexity = 10)]
    async fn vector(&self, ctx: &Context<'_>) -> Result<Option<Vector>> {
        let key = VectorOf { collection: self.row.collection_id, chunk: self.row.id };
        Ok(ctx.loader().load_one(key).await.or_fault()?.map(Vector))
    }

    /// The document it is a slice of; null where that was deleted meanwhile.
    async fn document(&self, ctx: &Context<'_>) -> Result<Option<Document>> {
        if let Some(document) = &self.document {
            return Ok(Some(Document(document.clone())));
        }
        Ok(ctx.loader().load_one(DocumentById(self.row.document_id)).await.or_fault()?.map(Document))
    }
}
