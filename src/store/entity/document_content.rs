//! `document_contents`

use sea_orm::entity::prelude::*;

/// What was submitted as one version of a document.
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "document_contents")]
#[expect(missing_docs, reason = "the columns are told in the migration and in the API's types")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub document_id: Uuid,
    #[sea_orm(primary_key, auto_increment = false)]
    pub version: i32,
    pub tenant_id: Uuid,
    pub original: Vec<u8>,
    pub body: Option<String>,
    pub vectors: Option<Vec<u8>>,
    pub other_attributes: Option<Json>,
}

/// None: joins are written where they are asked.
#[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
pub enum Relation {}

impl ActiveModelBehavior for ActiveModel {}
