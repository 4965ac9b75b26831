//! `ingestion_runs`

use sea_orm::entity::prelude::*;

/// What one ingest call started.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "ingestion_runs")]
#[expect(missing_docs, reason = "the columns are told in the migration and in the API's types")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub collection_id: Uuid,
    pub state: RunState,
    pub documents_total: i32,
    pub documents_done: i32,
    pub documents_failed: i32,
    pub chunks_total: i32,
    pub chunks_embedded: i32,
    pub tokens: i64,
    pub last_event: i64,
    pub created_at: DateTimeUtc,
    pub started_at: Option<DateTimeUtc>,
    pub finished_at: Option<DateTimeUtc>,
    pub documents_cancelled: i32,
}

/// None: joins are written where they are asked.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where a run stands. The last four are terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RunState {
    /// No document has started.
    Pending,
    /// At least one document has started.
    Running,
    /// Every document is done.
    Succeeded,
    /// Some documents are done, others failed or were cancelled.
    Partial,
    /// Every document failed.
    Failed,
    /// Documents were cancelled; none is done, none failed.
    Cancelled,
}

impl RunState {
    /// Whether nothing more will happen.
    pub fn is_terminal(self) -> bool {
        matches!(self, Self::Succeeded | Self::Partial | Self::Failed | Self::Cancelled)
    }
}
