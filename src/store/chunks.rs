//! Questions about chunks. Only those of a document's visible version are seen.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, Statement};
use uuid::Uuid;

use super::entity::chunk::{ActiveModel, Entity, Model};
use super::{Doing, TenantId};
use crate::error::Result;

/// Visible chunks: the tenant's, of the version that readers see, under collections that are not deleted.
const VISIBLE: &str = "SELECT c.* FROM chunks c
    JOIN documents d ON d.id = c.document_id AND d.indexed_version = c.version
    JOIN collections k ON k.id = c.collection_id AND k.deleted_at IS NULL
    WHERE c.tenant_id = $1";

/// Rows per statement: 13 parameters each, of at most 65,535.
const INSERT_ROWS: usize = 1000;

/// Inserts the chunks of one version.
pub async fn insert(db: &impl ConnectionTrait, rows: Vec<Model>) -> Result<()> {
    let mut rows = rows.into_iter().map(ActiveModel::from).peekable();
    while rows.peek().is_some() {
        let batch: Vec<_> = rows.by_ref().take(INSERT_ROWS).collect();
        Entity::insert_many(batch).exec_without_returning(db).await.doing("write chunks")?;
    }
    Ok(())
}

/// Those of `ids` that are visible.
pub async fn by_ids(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Model>> {
    let sql = format!("{VISIBLE} AND c.id = ANY($2)");
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, [tenant.into(), ids.to_vec().into()]);
    let rows = Model::find_by_statement(question).all(db).await.doing("read chunks")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// One page of each document's chunks, in order: up to `limit` whose index is above `after`.
pub async fn pages(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    documents: &[Uuid],
    after: Option<i32>,
    limit: u64,
) -> Result<HashMap<Uuid, Vec<Model>>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT c.* FROM documents d JOIN collections k ON k.id = d.collection_id AND k.deleted_at IS NULL
         CROSS JOIN LATERAL (
             SELECT * FROM chunks WHERE document_id = d.id AND version = d.indexed_version AND index > $3
             ORDER BY index LIMIT $4
         ) c
         WHERE d.tenant_id = $1 AND d.id = ANY($2) ORDER BY c.document_id, c.index",
        [tenant.into(), documents.to_vec().into(), after.unwrap_or(-1).into(), limit.cast_signed().into()],
    );
    let mut pages: HashMap<Uuid, Vec<Model>> = HashMap::new();
    for row in Model::find_by_statement(question).all(db).await.doing("list chunks")? {
        pages.entry(row.document_id).or_default().push(row);
    }
    Ok(pages)
}

/// How many chunks a version has, and how many of them have a vector in the space.
pub async fn progress(db: &impl ConnectionTrait, document: Uuid, version: i32, space: Uuid) -> Result<(u32, u32)> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT count(*)::int, count(e.chunk_id)::int FROM chunks c
         LEFT JOIN embeddings e ON e.space_id = $3 AND e.chunk_id = c.id
         WHERE c.document_id = $1 AND c.version = $2",
        [document.into(), version.into(), space.into()],
    );
    let row = db.query_one_raw(question).await.doing("count the document's chunks")?;
    let read = |index| row.as_ref().map_or(Ok(0), |row| row.try_get_by_index::<i32>(index)).doing("count chunks");
    Ok((read(0)?.cast_unsigned(), read(1)?.cast_unsigned()))
}

/// The next chunks of a version that have no vector in the space yet, in order.
pub async fn without_vector(
    db: &impl ConnectionTrait,
    document: Uuid,
    version: i32,
    space: Uuid,
    limit: u64,
) -> Result<Vec<Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT c.* FROM chunks c WHERE c.document_id = $1 AND c.version = $2
         AND NOT EXISTS (SELECT 1 FROM embeddings e WHERE e.space_id = $3 AND e.chunk_id = c.id)
         ORDER BY c.index LIMIT $4",
        [document.into(), version.into(), space.into(), limit.cast_signed().into()],
    );
    Model::find_by_statement(question).all(db).await.doing("read chunks without a vector")
}
