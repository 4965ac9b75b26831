//! `chunks`

use sea_orm::entity::prelude::*;

/// One chunk.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "chunks")]
#[expect(missing_docs, reason = "the columns are told in the migration and in the API's types")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub id: Uuid,
    pub tenant_id: Uuid,
    pub collection_id: Uuid,
    pub document_id: Uuid,
    pub version: i32,
    pub index: i32,
    pub text: String,
    pub start_char: i32,
    pub end_char: i32,
    pub token_count: Option<i32>,
    pub page: Option<i32>,
    pub heading_path: Vec<String>,
    pub metadata: Json,
}

/// None: joins are written where they are asked.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
