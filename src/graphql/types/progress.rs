//! `IngestProgress`: one event of a run.

use std::sync::Arc;

use async_graphql::{Context, Description, Enum, ID, Object, SimpleObject};
use uuid::Uuid;

use super::document::{DocumentStatus, Failure};
use super::run::RunState;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::DocumentById;
use crate::graphql::page::{List, Place};
use crate::graphql::types::date_time::DateTime;
use crate::id::Kind;
use crate::store::entity::run_event::{EventKind, Model};

/// One thing that happened in a run, with the counts it led to. A run's events come in order, each once.
#[derive(Description)]
pub struct IngestProgress(pub Arc<Model>);

impl IngestProgress {
    /// The list of a run's events.
    pub fn list(run: Uuid) -> List {
        List::new("run events", &run)
    }
}

#[Object(use_type_description)]
impl IngestProgress {
    /// Where this event stands: subscribe again with it as `after`, and the next one comes first.
    async fn cursor(&self) -> String {
        Self::list(self.0.run_id).cursor(Place::Number(self.0.sequence))
    }

    /// When it happened.
    async fn at(&self) -> DateTime {
        self.0.at.into()
    }

    /// What happened.
    async fn kind(&self) -> IngestEventKind {
        self.0.kind.into()
    }

    /// The document it happened to, as it was then.
    async fn document(&self) -> Option<DocumentProgress> {
        let id = self.0.document_id?;
        Some(DocumentProgress { event: self.0.clone(), id })
    }

    /// The run as it was then.
    async fn run(&self) -> RunProgress {
        RunProgress {
            id: ID(Kind::Run.encode(self.0.run_id)),
            state: self.0.run_state.into(),
            documents_total: self.0.documents_total,
            documents_done: self.0.documents_done,
            documents_failed: self.0.documents_failed,
            documents_cancelled: self.0.documents_cancelled,
            chunks_total: self.0.chunks_total,
            chunks_embedded: self.0.chunks_embedded,
        }
    }
}

/// A document at one event.
#[derive(Description)]
pub struct DocumentProgress {
    event: Arc<Model>,
    id: Uuid,
}

#[Object(use_type_description)]
impl DocumentProgress {
    /// Global id, `doc_…`.
    async fn id(&self) -> ID {
        ID(Kind::Document.encode(self.id))
    }

    /// Its status then.
    async fn status(&self) -> DocumentStatus {
        self.event.document_status.map_or(DocumentStatus::Pending, Into::into)
    }

    /// Its chunks then: of the version at work once it is cut, of the one before until then.
    async fn chunk_count(&self) -> i32 {
        self.event.chunk_count.unwrap_or(0)
    }

    /// Why an attempt failed.
    async fn error(&self) -> Option<Failure> {
        Failure::of(self.event.error_code.as_deref(), self.event.error_message.as_deref())
    }

    /// Where the document came from, as it is now; null where it was deleted.
    async fn source_uri(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(ctx.loader().load_one(DocumentById(self.id)).await.or_fault()?.and_then(|row| row.source_uri))
    }

    /// The document's title, as it is now; null where it was deleted.
    async fn title(&self, ctx: &Context<'_>) -> Result<Option<String>> {
        Ok(ctx.loader().load_one(DocumentById(self.id)).await.or_fault()?.and_then(|row| row.title))
    }
}

/// A run at one event; see `Run` for the meaning of the counts.
#[derive(SimpleObject)]
pub struct RunProgress {
    /// Global id, `run_…`.
    id: ID,
    /// Its state then.
    state: RunState,
    /// Documents of the call.
    documents_total: i32,
    /// Documents done.
    documents_done: i32,
    /// Documents failed for good.
    documents_failed: i32,
    /// Documents cancelled.
    documents_cancelled: i32,
    /// Chunks known.
    chunks_total: i32,
    /// Chunks that have their vector.
    chunks_embedded: i32,
}

/// What happened in a run.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "EventKind")]
pub enum IngestEventKind {
    /// The call was accepted: always the first event.
    RunAccepted,
    /// A worker took the document up.
    DocumentStarted,
    /// The document is cut into chunks. Small documents go straight to `DOCUMENT_INDEXED`.
    DocumentChunked,
    /// More of the document's chunks have vectors.
    ChunksEmbedded,
    /// The document is complete: searches find it.
    DocumentIndexed,
    /// An attempt failed; another follows.
    DocumentRetrying,
    /// The document failed for good.
    DocumentFailed,
    /// The document was replaced or deleted before this version was complete.
    DocumentSuperseded,
    /// The document's job was cancelled: the document is what it was before.
    DocumentCancelled,
    /// The document's job was redriven: a run that had ended goes on.
    DocumentRedriven,
    /// Every document is done, failed or cancelled: the last event, unless a job is redriven later.
    RunFinished,
}
