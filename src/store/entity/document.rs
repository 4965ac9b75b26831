//! `documents`

use sea_orm::entity::prelude::*;

/// One document.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "documents")]
#[expect(missing_docs, reason = "the columns are told in the migration and in the API's types")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub collection_id: Uuid,
    pub source_uri: Option<String>,
    pub title: Option<String>,
    pub author: Option<String>,
    pub tags: Vec<String>,
    pub content_type: String,
    pub content_hash: Vec<u8>,
    pub size_bytes: i64,
    pub storage_backend: String,
    pub metadata: Json,
    pub status: Status,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub version: i32,
    pub indexed_version: i32,
    pub chunk_count: i32,
    pub token_count: i64,
    pub created_at: DateTimeUtc,
    pub updated_at: DateTimeUtc,
    pub indexed_at: Option<DateTimeUtc>,
    pub expires_at: Option<DateTimeUtc>,
}

/// None: joins are written where they are asked.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// Where the document's newest version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    /// Stored; its job has not started.
    Pending,
    /// A job works on it.
    Processing,
    /// Complete and found by searches.
    Indexed,
    /// Its job failed for good; the error says why.
    Error,
    /// Deleted.
    Deleted,
    /// Its job was cancelled.
    Cancelled,
}
