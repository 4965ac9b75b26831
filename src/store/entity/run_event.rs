//! `run_events`

use sea_orm::entity::prelude::*;

/// One event of a run, with the state it led to.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "run_events")]
#[expect(missing_docs, reason = "the columns are told in the migration and in the API's types")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub run_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub sequence: i64,
    pub tenant_id: Uuid,
    pub at: DateTimeUtc,
    pub kind: EventKind,
    pub document_id: Option<Uuid>,
    pub document_status: Option<super::document::Status>,
    pub chunk_count: Option<i32>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub run_state: super::ingestion_run::RunState,
    pub documents_total: i32,
    pub documents_done: i32,
    pub documents_failed: i32,
    pub chunks_total: i32,
    pub chunks_embedded: i32,
    pub documents_cancelled: i32,
}

/// None: joins are written where they are asked.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum EventKind {
    /// The call was accepted; first event of every run.
    RunAccepted,
    /// A worker took the document up.
    DocumentStarted,
    /// The document is cut into chunks.
    DocumentChunked,
    /// More of the document's chunks have vectors.
    ChunksEmbedded,
    /// The document is complete and found by searches.
    DocumentIndexed,
    /// An attempt failed; another follows.
    DocumentRetrying,
    /// The document failed for good.
    DocumentFailed,
    /// The document was replaced or deleted before this run's version was complete.
    DocumentSuperseded,
    /// The document's job was cancelled; the document is what it was before.
    DocumentCancelled,
    /// The document's job was redriven: the run goes on.
    DocumentRedriven,
    /// Every document is done, failed or cancelled; the last event unless one is redriven.
    RunFinished,
}
