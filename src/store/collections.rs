//! Questions about collections. A deleted one is never seen.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, PaginatorTrait,
    QueryFilter, QueryOrder, QuerySelect, Statement, prelude::DateTimeUtc,
};
use serde_json::Value as Json;
use uuid::Uuid;

use super::entity::collection::{ActiveModel, Column, Entity, Model};
use super::{Doing, TenantId, is_unique_violation};
use crate::error::{Code, Error, Result};

/// A collection to be created.
#[derive(Debug, Clone)]
pub struct NewCollection {
    /// UUIDv7.
    pub id: Uuid,
    /// 1-255 characters, unique among the tenant's collections.
    pub name: String,
    /// Free text.
    pub description: String,
    /// A JSON object.
    pub metadata: Json,
    /// Chunk settings as JSON.
    pub chunking: Json,
    /// Now.
    pub at: DateTimeUtc,
}

/// Inserts one; `ALREADY_EXISTS` where the tenant has one of that name.
pub async fn insert(db: &impl ConnectionTrait, tenant: TenantId, new: NewCollection) -> Result<Model> {
    let name = new.name.clone();
    let row = ActiveModel {
        id: Set(new.id),
        tenant_id: Set(tenant),
        name: Set(new.name),
        description: Set(new.description),
        metadata: Set(new.metadata),
        chunking: Set(new.chunking),
        created_at: Set(new.at),
        updated_at: Set(new.at),
        deleted_at: Set(None),
    };
    Entity::insert(row).exec_with_returning(db).await.map_err(|error| name_taken(&name, error))
}

/// Changes what is given; `ALREADY_EXISTS` where another one has the name. `None` where there is no such collection.
pub async fn update(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    id: Uuid,
    change: CollectionChange,
    at: DateTimeUtc,
) -> Result<Option<Model>> {
    let name = change.name.clone().unwrap_or_default();
    let mut row = ActiveModel { updated_at: Set(at), ..Default::default() };
    change.name.into_iter().for_each(|name| row.name = Set(name));
    change.description.into_iter().for_each(|description| row.description = Set(description));
    change.metadata.into_iter().for_each(|metadata| row.metadata = Set(metadata));
    let updated = Entity::update_many()
        .set(row)
        .filter(Column::Id.eq(id))
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::DeletedAt.is_null())
        .exec_with_returning(db)
        .await
        .map_err(|error| name_taken(&name, error))?;
    Ok(updated.into_iter().next())
}

/// What to change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct CollectionChange {
    /// New name.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// New metadata, replacing the old.
    pub metadata: Option<Json>,
}

fn name_taken(name: &str, error: sea_orm::DbErr) -> Error {
    if is_unique_violation(&error) {
        return Error::refused(Code::AlreadyExists, "input.name", name, "a name that no other collection has");
    }
    match Err::<(), _>(error).doing("write the collection") {
        Err(error) => error,
        Ok(()) => unreachable!("an error stays an error"),
    }
}

/// Those of `ids` that are there.
pub async fn by_ids(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Model>> {
    let rows = Entity::find()
        .filter(Column::Id.is_in(ids.iter().copied()))
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::DeletedAt.is_null())
        .all(db)
        .await
        .doing("read collections")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The one, or `NOT_FOUND` that names `field`. Locks the row until the transaction ends: submissions to one collection come one after another,
/// and none comes to a collection that is being deleted.
pub async fn lock(db: &impl ConnectionTrait, tenant: TenantId, field: &str, id: Uuid) -> Result<Model> {
    let row = Entity::find_by_id(id)
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::DeletedAt.is_null())
        .lock(sea_orm::sea_query::LockType::NoKeyUpdate)
        .one(db)
        .await
        .doing("lock the collection")?;
    row.ok_or_else(|| Error::not_found(field, "collection", crate::id::Kind::Collection.encode(id)))
}

/// The one of that name.
pub async fn by_name(db: &impl ConnectionTrait, tenant: TenantId, name: &str) -> Result<Option<Model>> {
    Entity::find()
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::Name.eq(name))
        .filter(Column::DeletedAt.is_null())
        .one(db)
        .await
        .doing("read the collection")
}

/// Up to `limit` in order of creation, after the given id.
pub async fn page(db: &impl ConnectionTrait, tenant: TenantId, after: Option<Uuid>, limit: u64) -> Result<Vec<Model>> {
    let mut question = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::DeletedAt.is_null());
    if let Some(after) = after {
        question = question.filter(Column::Id.gt(after));
    }
    question.order_by_asc(Column::Id).limit(limit).all(db).await.doing("list collections")
}

/// How many the tenant has.
pub async fn count(db: &impl ConnectionTrait, tenant: TenantId) -> Result<u64> {
    let question = Entity::find().filter(Column::TenantId.eq(tenant)).filter(Column::DeletedAt.is_null());
    question.count(db).await.doing("count collections")
}

/// How much a collection holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, FromQueryResult)]
pub struct Totals {
    /// Whose.
    pub collection_id: Uuid,
    /// Documents, in any status.
    pub documents: i64,
    /// Chunks that searches can find.
    pub chunks: i64,
}

/// Totals of those of `ids` that hold a document.
pub async fn totals(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Totals>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT collection_id, count(*) AS documents, coalesce(sum(chunk_count), 0)::bigint AS chunks
         FROM documents WHERE tenant_id = $1 AND collection_id = ANY($2) GROUP BY collection_id",
        [tenant.into(), ids.to_vec().into()],
    );
    let rows = Totals::find_by_statement(question).all(db).await.doing("count documents")?;
    Ok(rows.into_iter().map(|row| (row.collection_id, row)).collect())
}

/// Hides the collection and everything under it at once. False where there is no such collection.
pub async fn hide(db: &impl ConnectionTrait, tenant: TenantId, id: Uuid, at: DateTimeUtc) -> Result<bool> {
    let hidden = Entity::update_many()
        .set(ActiveModel { deleted_at: Set(Some(at)), ..Default::default() })
        .filter(Column::Id.eq(id))
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::DeletedAt.is_null())
        .exec(db)
        .await
        .doing("delete the collection")?;
    Ok(hidden.rows_affected == 1)
}
