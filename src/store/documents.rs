//! Questions about documents and their contents. One under a deleted collection is never seen.

use std::collections::HashMap;

use sea_orm::sea_query::{Expr, ExprTrait, LockType, OnConflict};
use sea_orm::{
    ActiveEnum, ActiveValue::Set, ColumnTrait, Condition, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult,
    QueryFilter, QuerySelect, Select, Statement, prelude::DateTimeUtc,
};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::entity::document::{ActiveModel, Column, Entity, Model, Status};
use super::entity::document_content;
use super::{Doing, TenantId, embeddings, execute, spaces};
use crate::error::{Error, Result};

/// Documents that readers may see: the tenant's, under collections that are not deleted.
fn visible(tenant: TenantId) -> Select<Entity> {
    Entity::find().filter(Column::TenantId.eq(tenant)).filter(Expr::cust(
        "EXISTS (SELECT 1 FROM collections WHERE collections.id = documents.collection_id AND deleted_at IS NULL)",
    ))
}

/// Those of `ids` that are there.
pub async fn by_ids(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Model>> {
    let question = visible(tenant).filter(Column::Id.is_in(ids.iter().copied()));
    let rows = question.all(db).await.doing("read documents")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The one, or `NOT_FOUND` that names `field`.
pub async fn get(db: &impl ConnectionTrait, tenant: TenantId, field: &str, id: Uuid) -> Result<Model> {
    by_ids(db, tenant, &[id])
        .await?
        .remove(&id)
        .ok_or_else(|| Error::not_found(field, "document", crate::id::Kind::Document.encode(id)))
}

/// The row, locked until the transaction ends, for the job that works on it. `None` where it was deleted.
pub async fn lock(db: &impl ConnectionTrait, tenant: TenantId, id: Uuid) -> Result<Option<Model>> {
    visible(tenant).filter(Column::Id.eq(id)).lock(LockType::NoKeyUpdate).one(db).await.doing("lock the document")
}

/// Which of a collection's documents a list shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct DocumentFilter {
    /// In this status.
    pub status: Option<Status>,
    /// From this source.
    pub source_uri: Option<String>,
    /// From a source whose URI begins so.
    pub source_prefix: Option<String>,
    /// With this content (SHA-256).
    pub content_hash: Option<Vec<u8>>,
}

impl DocumentFilter {
    /// The condition over `documents`, and the values of its parameters `$2`-`$5`; `$1` are the collections.
    const SQL: &str = "($2::text IS NULL OR status = $2) AND ($3::bytea IS NULL OR source_key(source_uri) = $3)
        AND ($4::bytea IS NULL OR content_hash = $4) AND ($5::text IS NULL OR starts_with(source_uri, $5))";

    fn values(&self, collections: &[Uuid]) -> [sea_orm::Value; 5] {
        [
            collections.to_vec().into(),
            self.status.map(|status| status.to_value()).into(),
            self.source_uri.as_deref().map(source_key).into(),
            self.content_hash.clone().into(),
            self.source_prefix.clone().into(),
        ]
    }
}

/// One page of each collection's documents in order of creation: up to `limit` after the given id. The caller has seen
/// that the collections are the tenant's.
pub async fn pages(
    db: &impl ConnectionTrait,
    collections: &[Uuid],
    filter: &DocumentFilter,
    after: Option<Uuid>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Model>>> {
    let sql = format!(
        "SELECT d.* FROM unnest($1::uuid[]) AS c (id) CROSS JOIN LATERAL (
             SELECT * FROM documents WHERE collection_id = c.id AND id > $6 AND {} ORDER BY id LIMIT $7
         ) d ORDER BY d.id",
        DocumentFilter::SQL
    );
    let page = [after.unwrap_or(Uuid::nil()).into(), limit.cast_signed().into()];
    let values = filter.values(collections).into_iter().chain(page);
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let mut pages: HashMap<Uuid, Vec<Model>> = HashMap::new();
    for row in Model::find_by_statement(question).all(db).await.doing("list documents")? {
        pages.entry(row.collection_id).or_default().push(row);
    }
    Ok(pages)
}

/// How many documents of each collection the filter shows.
pub async fn counts(
    db: &impl ConnectionTrait,
    collections: &[Uuid],
    filter: &DocumentFilter,
) -> Result<HashMap<Uuid, u64>> {
    let sql = format!(
        "SELECT collection_id, count(*) FROM documents WHERE collection_id = ANY($1) AND {} GROUP BY collection_id",
        DocumentFilter::SQL
    );
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, filter.values(collections));
    let rows = db.query_all_raw(question).await.doing("count documents")?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index::<i64>(1)?.cast_unsigned())))
        .collect::<Result<_, sea_orm::DbErr>>()
        .doing("count documents")
}

/// What the index of sources holds in place of a URI, as the database's function of that name makes it.
fn source_key(uri: &str) -> Vec<u8> {
    Sha256::digest(uri).to_vec()
}

/// The collection's documents that a submission may mean: those from one of the sources, and those without a source
/// with one of the contents. The caller holds the collection's lock.
pub async fn same_as(
    db: &impl ConnectionTrait,
    collection: Uuid,
    source_uris: Vec<String>,
    content_hashes: Vec<Vec<u8>>,
) -> Result<Vec<Model>> {
    let question = same_as_question(collection, source_uris, content_hashes);
    question.all(db).await.doing("look for the same documents")
}

/// What [`same_as`] asks, apart so that its plan can be looked at.
pub fn same_as_question(collection: Uuid, source_uris: Vec<String>, content_hashes: Vec<Vec<u8>>) -> Select<Entity> {
    let by_source = Expr::cust("source_key(source_uri)").is_in(source_uris.iter().map(|uri| source_key(uri)));
    let by_content = Condition::all().add(Column::SourceUri.is_null()).add(Column::ContentHash.is_in(content_hashes));
    Entity::find()
        .filter(Column::CollectionId.eq(collection))
        .filter(Condition::any().add(by_source).add(by_content))
        .lock(LockType::NoKeyUpdate)
}

/// Rows per statement: 25 parameters each, of at most 65,535.
const INSERT_ROWS: usize = 2_000;

/// Inserts or, by id, overwrites what a submission changes: content, attributes, version, status. What readers see
/// of the indexed version (`indexed_version`, counts) stays.
pub async fn upsert(db: &impl ConnectionTrait, rows: Vec<Model>) -> Result<()> {
    let overwrite = OnConflict::column(Column::Id)
        .update_columns([
            Column::Title,
            Column::Author,
            Column::Tags,
            Column::ContentType,
            Column::ContentHash,
            Column::SizeBytes,
            Column::Metadata,
            Column::Status,
            Column::ErrorCode,
            Column::ErrorMessage,
            Column::Version,
            Column::UpdatedAt,
            Column::ExpiresAt,
        ])
        .to_owned();
    let mut rows = rows
        .into_iter()
        .map(|row| {
            let mut row = ActiveModel::from(row);
            row.reset_all_for_insert();
            row
        })
        .peekable();
    while rows.peek().is_some() {
        let batch: Vec<_> = rows.by_ref().take(INSERT_ROWS).collect();
        let overwrite = overwrite.clone();
        Entity::insert_many(batch).on_conflict(overwrite).exec_without_returning(db).await.doing("write documents")?;
    }
    Ok(())
}

/// Marks every column as set, so that an unchanged row can be inserted.
trait ResetForInsert {
    fn reset_all_for_insert(&mut self);
}

impl ResetForInsert for ActiveModel {
    fn reset_all_for_insert(&mut self) {
        use sea_orm::{ActiveModelTrait, Iterable};
        Column::iter().for_each(|column| self.reset(column));
    }
}

/// What to change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default)]
pub struct DocumentChange {
    /// New title.
    pub title: Option<String>,
    /// New metadata, replacing the old.
    pub metadata: Option<Json>,
    /// New time at which it is deleted; none within: never.
    pub expires_at: Option<Option<DateTimeUtc>>,
}

/// Changes attributes; chunks and vectors stay. `None` where there is no such document.
pub async fn update(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    id: Uuid,
    change: DocumentChange,
    at: DateTimeUtc,
) -> Result<Option<Model>> {
    let Some(row) = lock(db, tenant, id).await? else { return Ok(None) };
    let mut changed: ActiveModel = row.into();
    changed.updated_at = Set(at);
    change.title.into_iter().for_each(|title| changed.title = Set(Some(title)));
    change.metadata.into_iter().for_each(|metadata| changed.metadata = Set(metadata));
    change.expires_at.into_iter().for_each(|at| changed.expires_at = Set(at));
    Ok(Some(Entity::update(changed).exec(db).await.doing("update the document")?))
}

/// Writes where the newest version stands.
pub async fn set_status(
    db: &impl ConnectionTrait,
    id: Uuid,
    status: Status,
    error: Option<(&str, &str)>,
    at: DateTimeUtc,
) -> Result<()> {
    let change = ActiveModel {
        status: Set(status),
        error_code: Set(error.map(|(code, _)| code.to_owned())),
        error_message: Set(error.map(|(_, message)| message.to_owned())),
        updated_at: Set(at),
        ..Default::default()
    };
    Entity::update_many().set(change).filter(Column::Id.eq(id)).exec(db).await.doing("write the document's status")?;
    Ok(())
}

/// Makes a complete version the one that readers see, and drops what belonged to older ones.
pub async fn switch(db: &impl ConnectionTrait, document: &Model, space: Uuid, at: DateTimeUtc) -> Result<()> {
    let (id, version) = (document.id, document.version);
    embeddings::switch(db, space, id, version).await?;
    execute(
        db,
        "drop the old version's chunks",
        "DELETE FROM chunks WHERE document_id = $1 AND version < $2",
        [id.into(), version.into()],
    )
    .await?;
    execute(
        db,
        "drop the old version's content",
        "DELETE FROM document_contents WHERE document_id = $1 AND version < $2",
        [id.into(), version.into()],
    )
    .await?;
    execute(
        db,
        "show the new version",
        "UPDATE documents SET status = 'INDEXED', error_code = NULL, error_message = NULL, indexed_version = $2,
             indexed_at = $3, updated_at = $3,
             (chunk_count, token_count) = (SELECT count(*), coalesce(sum(c.token_count), 0) FROM chunks c
                                           WHERE c.document_id = $1 AND c.version = $2)
         WHERE id = $1",
        [id.into(), version.into(), at.into()],
    )
    .await?;
    Ok(())
}

/// Takes back a version that was cancelled: its chunks and vectors go, the document shows the indexed version's
/// attributes again. What was submitted stays, for a redrive. Where no version is indexed, the document is `CANCELLED`.
pub async fn take_back(db: &impl ConnectionTrait, document: &Model, at: DateTimeUtc) -> Result<Status> {
    let (id, version) = (document.id, document.version);
    if version != document.indexed_version {
        for space in spaces::ids_of(db, document.collection_id).await? {
            embeddings::delete_of_version(db, space, id, version).await?;
        }
        let chunks = "DELETE FROM chunks WHERE document_id = $1 AND version = $2";
        execute(db, "drop the cancelled version's chunks", chunks, [id.into(), version.into()]).await?;
        swap_attributes(db, id, version).await?;
    }
    let status = if document.indexed_version > 0 { Status::Indexed } else { Status::Cancelled };
    set_status(db, id, status, None, at).await?;
    Ok(status)
}

/// Exchanges the document's attributes with those kept beside a version, where some are.
pub async fn swap_attributes(db: &impl ConnectionTrait, id: Uuid, version: i32) -> Result<()> {
    let sql = "WITH kept AS (
            SELECT d.*, c.other_attributes AS other FROM documents d
            JOIN document_contents c ON c.document_id = d.id AND c.version = $2
            WHERE d.id = $1 AND c.other_attributes IS NOT NULL
        ), swapped AS (
            UPDATE document_contents c SET other_attributes = jsonb_build_object('title', k.title, 'author', k.author,
                'tags', to_jsonb(k.tags), 'metadata', k.metadata, 'content_type', k.content_type,
                'content_hash', encode(k.content_hash, 'hex'), 'size_bytes', k.size_bytes)
            FROM kept k WHERE c.document_id = $1 AND c.version = $2
        )
        UPDATE documents d SET title = k.other ->> 'title', author = k.other ->> 'author',
            tags = ARRAY(SELECT jsonb_array_elements_text(k.other -> 'tags')), metadata = k.other -> 'metadata',
            content_type = k.other ->> 'content_type', content_hash = decode(k.other ->> 'content_hash', 'hex'),
            size_bytes = (k.other ->> 'size_bytes')::bigint
        FROM kept k WHERE d.id = $1";
    execute(db, "exchange the document's attributes", sql, [id.into(), version.into()]).await?;
    Ok(())
}

/// The attributes that a version's content keeps, as [`swap_attributes`] reads them.
pub fn attributes(document: &Model) -> Json {
    serde_json::json!({
        "title": document.title,
        "author": document.author,
        "tags": document.tags,
        "metadata": document.metadata,
        "content_type": document.content_type,
        "content_hash": hex::encode(&document.content_hash),
        "size_bytes": document.size_bytes,
    })
}

/// The attributes kept beside the newest version of each document, where some are.
pub async fn other_attributes(db: &impl ConnectionTrait, documents: &[Uuid]) -> Result<HashMap<Uuid, Json>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT d.id, c.other_attributes FROM documents d
         JOIN document_contents c ON c.document_id = d.id AND c.version = d.version
         WHERE d.id = ANY($1) AND c.other_attributes IS NOT NULL",
        [documents.to_vec().into()],
    );
    let rows = db.query_all_raw(question).await.doing("read the documents' attributes")?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect::<Result<_, sea_orm::DbErr>>()
        .doing("read the documents' attributes")
}

/// Documents whose time has come, at most `limit`.
pub async fn expired(db: &impl ConnectionTrait, at: DateTimeUtc, limit: u64) -> Result<Vec<(TenantId, Uuid)>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT d.tenant_id, d.id FROM documents d JOIN collections k ON k.id = d.collection_id AND k.deleted_at IS NULL
         WHERE d.expires_at <= $1 ORDER BY d.expires_at LIMIT $2",
        [at.into(), limit.cast_signed().into()],
    );
    let rows = db.query_all_raw(question).await.doing("look for expired documents")?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect::<Result<_, sea_orm::DbErr>>()
        .doing("look for expired documents")
}

/// Deletes a document with everything under it. False where there is no such document.
pub async fn delete(db: &impl ConnectionTrait, tenant: TenantId, id: Uuid) -> Result<bool> {
    let Some(document) = lock(db, tenant, id).await? else { return Ok(false) };
    for space in spaces::ids_of(db, document.collection_id).await? {
        embeddings::delete_of(db, space, &[id]).await?;
    }
    Entity::delete_by_id(id).exec(db).await.doing("delete the document")?;
    Ok(true)
}

/// What was submitted as a version.
pub async fn content(
    db: &impl ConnectionTrait,
    document: Uuid,
    version: i32,
) -> Result<Option<document_content::Model>> {
    document_content::Entity::find_by_id((document, version)).one(db).await.doing("read the document's content")
}

/// The ready-made vectors of a version.
pub async fn vectors(db: &impl ConnectionTrait, document: Uuid, version: i32) -> Result<Option<Vec<u8>>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT vectors FROM document_contents WHERE document_id = $1 AND version = $2",
        [document.into(), version.into()],
    );
    let row = db.query_one_raw(question).await.doing("read the document's vectors")?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0)).doing("read the document's vectors")
}

/// The stored text of each document's visible version: what `startChar` and `endChar` of its chunks count in.
pub async fn texts(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, String>> {
    #[derive(FromQueryResult)]
    struct Row {
        id: Uuid,
        text: String,
    }
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT d.id, coalesce(c.body, convert_from(c.original, 'UTF8')) AS text
         FROM documents d JOIN document_contents c ON c.document_id = d.id AND c.version = d.indexed_version
         WHERE d.tenant_id = $1 AND d.id = ANY($2)",
        [tenant.into(), ids.to_vec().into()],
    );
    let rows = Row::find_by_statement(question).all(db).await.doing("read documents' texts")?;
    Ok(rows.into_iter().map(|row| (row.id, row.text)).collect())
}

/// Stores what was submitted.
pub async fn insert_contents(db: &impl ConnectionTrait, rows: Vec<document_content::Model>) -> Result<()> {
    let mut rows = rows.into_iter().map(document_content::ActiveModel::from).peekable();
    while rows.peek().is_some() {
        let batch: Vec<_> = rows.by_ref().take(INSERT_ROWS).collect();
        document_content::Entity::insert_many(batch)
            .exec_without_returning(db)
            .await
            .doing("store the documents' contents")?;
    }
    Ok(())
}

/// Stores the text that the loader made of the original.
pub async fn set_body(db: &impl ConnectionTrait, document: Uuid, version: i32, body: String) -> Result<()> {
    use document_content::{ActiveModel, Column, Entity};
    Entity::update_many()
        .set(ActiveModel { body: Set(Some(body)), ..Default::default() })
        .filter(Column::DocumentId.eq(document))
        .filter(Column::Version.eq(version))
        .exec(db)
        .await
        .doing("store the document's text")?;
    Ok(())
}

/// Sets a title found in the content, where the caller gave none.
pub async fn set_title(db: &impl ConnectionTrait, id: Uuid, title: String) -> Result<()> {
    Entity::update_many()
        .set(ActiveModel { title: Set(Some(title)), ..Default::default() })
        .filter(Column::Id.eq(id))
        .filter(Column::Title.is_null())
        .exec(db)
        .await
        .doing("write the document's title")?;
    Ok(())
}
