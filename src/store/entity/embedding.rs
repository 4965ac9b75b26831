//! `embeddings`

use sea_orm::entity::prelude::*;

/// One vector: a chunk's, in a space.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "embeddings")]
#[expect(missing_docs, reason = "the columns are told in the migration and in the API's types")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub space_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub chunk_id: Uuid,
    pub document_id: Uuid,
    pub tenant_id: Uuid,
    pub live: bool,
    pub embedding: pgvector::Vector,
}

/// None: joins are written where they are asked.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
