//! `Run`

use async_graphql::{Description, Enum, ID, Object};

use crate::graphql::types::date_time::DateTime;
use crate::id::Kind;
use crate::store::entity::ingestion_run::{Model, RunState as StoredState};

/// What one ingest call started.
#[derive(Description)]
pub struct Run(pub Model);

#[Object(use_type_description)]
impl Run {
    /// Global id, `run_…`.
    pub async fn id(&self) -> ID {
        ID(Kind::Run.encode(self.0.id))
    }

    /// Where it stands.
    async fn state(&self) -> RunState {
        self.0.state.into()
    }

    /// Documents of the call.
    async fn documents_total(&self) -> i32 {
        self.0.documents_total
    }

    /// Documents that are complete, were unchanged, or were replaced or deleted before they were complete.
    async fn documents_done(&self) -> i32 {
        self.0.documents_done
    }

    /// Documents that failed for good.
    async fn documents_failed(&self) -> i32 {
        self.0.documents_failed
    }

    /// Documents that were cancelled.
    async fn documents_cancelled(&self) -> i32 {
        self.0.documents_cancelled
    }

    /// Chunks known so far: a document's are known once it is cut.
    async fn chunks_total(&self) -> i32 {
        self.0.chunks_total
    }

    /// Chunks that have their vector.
    async fn chunks_embedded(&self) -> i32 {
        self.0.chunks_embedded
    }

    /// Tokens embedded, special tokens included; 0 for vectors that callers brought.
    async fn tokens(&self) -> i64 {
        self.0.tokens
    }

    /// When the call came.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When its first document was taken up.
    async fn started_at(&self) -> Option<DateTime> {
        self.0.started_at.map(Into::into)
    }

    /// When its last document was done.
    async fn finished_at(&self) -> Option<DateTime> {
        self.0.finished_at.map(Into::into)
    }
}

/// Where a run stands. `SUCCEEDED`, `PARTIAL`, `FAILED` and `CANCELLED` are terminal, unless a job is redriven.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "StoredState")]
pub enum RunState {
    /// No document was taken up yet.
    Pending,
    /// At work.
    Running,
    /// Every document is done.
    Succeeded,
    /// Some documents are done, others failed or were cancelled.
    Partial,
    /// No document is done, and at least one failed.
    Failed,
    /// No document is done and none failed: they were cancelled.
    Cancelled,
}
