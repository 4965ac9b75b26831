//! `embedding_spaces`

use sea_orm::entity::prelude::*;

/// One embedding space.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "embedding_spaces")]
#[expect(missing_docs, reason = "the columns are told in the migration and in the API's types")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub collection_id: Uuid,
    pub model: Option<String>,
    pub dimensions: i32,
    pub metric: Metric,
    pub active: bool,
    pub index_state: IndexState,
    pub created_at: DateTimeUtc,
}

/// None: joins are written where they are asked.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}

/// How nearness is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Metric {
    /// Cosine similarity.
    Cosine,
    /// Euclidean distance.
    L2,
    /// Inner product.
    InnerProduct,
}

/// Where the space's index stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum IndexState {
    /// No index: searches scan exactly.
    None,
    /// A job builds it; searches scan exactly meanwhile.
    Building,
    /// Searches use it.
    Ready,
}
