//! Embedding spaces: rows, and the partition of `embeddings` that holds a space's vectors.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::Set, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QuerySelect,
    Statement, prelude::DateTimeUtc,
};
use uuid::Uuid;

use super::entity::embedding_space::{ActiveModel, Column, Entity, IndexState, Metric, Model};
use super::{Doing, TenantId};
use crate::error::{Error, Result};

/// A space to be created; it becomes the collection's active one.
#[derive(Debug, Clone)]
pub struct NewSpace {
    /// UUIDv7.
    pub id: Uuid,
    /// Whose vectors.
    pub collection_id: Uuid,
    /// Embedding model; `None`: callers bring their own vectors.
    pub model: Option<String>,
    /// 1-16,000.
    pub dimensions: u32,
    /// How nearness is measured.
    pub metric: Metric,
    /// Now.
    pub at: DateTimeUtc,
}

/// The partition that holds a space's vectors.
pub fn partition(space: Uuid) -> String {
    format!("embeddings_{}", space.simple())
}

/// Inserts the row and makes the partition. The table is made apart and then attached, because attaching lets
/// others read and write `embeddings` meanwhile and `CREATE TABLE … PARTITION OF` does not.
pub async fn create(db: &impl ConnectionTrait, tenant: TenantId, new: NewSpace) -> Result<Model> {
    let row = ActiveModel {
        id: Set(new.id),
        tenant_id: Set(tenant),
        collection_id: Set(new.collection_id),
        model: Set(new.model),
        dimensions: Set(new.dimensions.cast_signed()),
        metric: Set(new.metric),
        active: Set(true),
        index_state: Set(IndexState::None),
        created_at: Set(new.at),
    };
    let space = Entity::insert(row).exec_with_returning(db).await.doing("write the embedding space")?;
    let (table, id) = (partition(space.id), space.id);
    let ddl = format!(
        "CREATE TABLE {table} (LIKE embeddings INCLUDING DEFAULTS INCLUDING CONSTRAINTS,
             CHECK (space_id = '{id}'), CHECK (vector_dims(embedding) = {dimensions}));
         ALTER TABLE embeddings ATTACH PARTITION {table} FOR VALUES IN ('{id}')",
        dimensions = space.dimensions,
    );
    db.execute_unprepared(&ddl).await.doing("make the embedding space's partition")?;
    Ok(space)
}

/// The active space of each of these collections.
pub async fn active_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    collections: &[Uuid],
) -> Result<HashMap<Uuid, Model>> {
    let rows = Entity::find()
        .filter(Column::CollectionId.is_in(collections.iter().copied()))
        .filter(Column::TenantId.eq(tenant))
        .filter(Column::Active.eq(true))
        .all(db)
        .await
        .doing("read embedding spaces")?;
    Ok(rows.into_iter().map(|row| (row.collection_id, row)).collect())
}

/// The active space of a visible collection; `NOT_FOUND`, naming `field`, where there is no such collection.
pub async fn active(db: &impl ConnectionTrait, tenant: TenantId, field: &str, collection: Uuid) -> Result<Model> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT s.* FROM collections k JOIN embedding_spaces s ON s.collection_id = k.id AND s.active
         WHERE k.id = $1 AND k.tenant_id = $2 AND k.deleted_at IS NULL",
        [collection.into(), tenant.into()],
    );
    let space = Model::find_by_statement(question).one(db).await.doing("read the collection's embedding space")?;
    space.ok_or_else(|| Error::not_found(field, "collection", crate::id::Kind::Collection.encode(collection)))
}

/// The space of that id, whatever its collection's fate.
pub async fn by_id(db: &impl ConnectionTrait, id: Uuid) -> Result<Option<Model>> {
    Entity::find_by_id(id).one(db).await.doing("read the embedding space")
}

/// Writes where the index stands.
pub async fn set_index_state(db: &impl ConnectionTrait, id: Uuid, state: IndexState) -> Result<()> {
    Entity::update_many()
        .set(ActiveModel { index_state: Set(state), ..Default::default() })
        .filter(Column::Id.eq(id))
        .exec(db)
        .await
        .doing("write the index's state")?;
    Ok(())
}

/// All spaces of a collection, for purging.
pub async fn ids_of(db: &impl ConnectionTrait, collection: Uuid) -> Result<Vec<Uuid>> {
    let ids = Entity::find().select_only().column(Column::Id).filter(Column::CollectionId.eq(collection));
    ids.into_tuple().all(db).await.doing("read embedding spaces")
}

/// After a build has failed for good, how long until another is tried.
const BUILD_PAUSE: &str = "1 hour";

/// Active spaces with more than `threshold` visible chunks, few enough dimensions, and no index, of which no build
/// failed lately.
pub async fn due_for_index(db: &impl ConnectionTrait, threshold: u64, build_kind: &str) -> Result<Vec<Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        format!(
            "SELECT s.* FROM embedding_spaces s JOIN collections k ON k.id = s.collection_id AND k.deleted_at IS NULL
             WHERE s.active AND s.index_state = 'NONE' AND s.dimensions <= {limit}
             AND (SELECT sum(chunk_count) FROM documents d WHERE d.collection_id = s.collection_id) > $1
             AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.collection_id = s.collection_id AND j.kind = $2
                             AND j.state IN ('DEAD', 'CANCELLED') AND j.finished_at > now() - interval '{BUILD_PAUSE}')",
            limit = super::index::DIMENSIONS_LIMIT,
        ),
        [threshold.cast_signed().into(), build_kind.into()],
    );
    Model::find_by_statement(question).all(db).await.doing("look for spaces that need an index")
}
