//! Vectors: writing them, and the nearest ones.

use std::collections::HashMap;
use std::time::Duration;

use pgvector::Vector;
use sea_orm::{ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, Statement, Value};
use serde_json::Value as Json;
use uuid::Uuid;

use super::entity::embedding::{ActiveModel, Entity, Model};
use super::entity::embedding_space::{Metric, Model as Space};
use super::spaces::partition;
use super::{Doing, TenantId, execute, index};
use crate::error::Result;

/// Rows per statement: 6 parameters each, of at most 65,535; few enough that a statement stays below 10 MB at any
/// usual dimension.
const INSERT_ROWS: usize = 500;

/// Inserts vectors. One that is there already stays: it was paid for.
pub async fn insert(db: &impl ConnectionTrait, rows: Vec<Model>) -> Result<()> {
    let mut rows = rows.into_iter().map(ActiveModel::from).peekable();
    while rows.peek().is_some() {
        let batch: Vec<_> = rows.by_ref().take(INSERT_ROWS).collect();
        let keep = sea_orm::sea_query::OnConflict::new().do_nothing().to_owned();
        Entity::insert_many(batch).on_conflict(keep).exec_without_returning(db).await.doing("write vectors")?;
    }
    Ok(())
}

/// Drops the vectors of a document's older versions and shows those of the given one.
pub async fn switch(db: &impl ConnectionTrait, space: Uuid, document: Uuid, version: i32) -> Result<()> {
    let table = partition(space);
    execute(
        db,
        "drop the old version's vectors",
        format!(
            "DELETE FROM {table} WHERE document_id = $1
             AND chunk_id IN (SELECT id FROM chunks WHERE document_id = $1 AND version < $2)"
        ),
        [document.into(), version.into()],
    )
    .await?;
    execute(
        db,
        "show the new version's vectors",
        format!("UPDATE {table} SET live = true WHERE document_id = $1 AND NOT live"),
        [document.into()],
    )
    .await?;
    Ok(())
}

/// Deletes documents' vectors in one space.
pub async fn delete_of(db: &impl ConnectionTrait, space: Uuid, documents: &[Uuid]) -> Result<()> {
    let sql = format!("DELETE FROM {} WHERE document_id = ANY($1)", partition(space));
    execute(db, "delete vectors", sql, [documents.to_vec().into()]).await?;
    Ok(())
}

/// Removes the vectors of one version of a document.
pub async fn delete_of_version(db: &impl ConnectionTrait, space: Uuid, document: Uuid, version: i32) -> Result<()> {
    let sql = format!(
        "DELETE FROM {} WHERE chunk_id IN (SELECT id FROM chunks WHERE document_id = $1 AND version = $2)",
        partition(space)
    );
    execute(db, "delete the version's vectors", sql, [document.into(), version.into()]).await?;
    Ok(())
}

/// A chunk and how far it is from the query.
#[derive(Debug, Clone, FromQueryResult)]
pub struct Neighbour {
    /// The chunk.
    pub chunk_id: Uuid,
    /// Distance in the space's metric; for `INNER_PRODUCT` the negative inner product.
    pub distance: f64,
}

/// How to look for neighbours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scan {
    /// Every vector is compared.
    Exact,
    /// The space's HNSW index, with `ef_search` candidates and iterative scans.
    Hnsw {
        /// pgvector's `hnsw.ef_search`.
        ef_search: u32,
    },
}

/// Whether the metadata of a document `d` has every top-level field of the object `$3`, with an equal value. Containment,
/// which the index on metadata answers, finds more: lists and objects with anything besides.
pub const METADATA_FITS: &str =
    "d.metadata @> $3 AND NOT EXISTS (SELECT FROM jsonb_each($3) AS f WHERE d.metadata -> f.key <> f.value)";

/// The nearest `limit` chunks among the live ones; with a filter, among those whose document's metadata fits it.
/// Runs in the caller's transaction, because the scan's settings are local to it.
pub async fn nearest(
    db: &impl ConnectionTrait,
    space: &Space,
    query: Vector,
    filter: Option<&Json>,
    limit: u32,
    scan: Scan,
    timeout: Duration,
) -> Result<Vec<Neighbour>> {
    let operator = operator(space.metric);
    let vector = match scan {
        // The index's own expression, so that the planner can use it; plainly the column, so that it cannot.
        Scan::Hnsw { .. } => index::expression("e.embedding", space.dimensions),
        Scan::Exact => Some("e.embedding".to_owned()),
    }
    .unwrap_or_else(|| "e.embedding".to_owned());
    let query_type = index::vector_type(space.dimensions).filter(|_| matches!(scan, Scan::Hnsw { .. }));
    let query_cast = query_type.map(|name| format!("::{name}")).unwrap_or_default();
    set_up(db, scan, timeout).await?;
    let mut values: Vec<Value> = vec![query.into(), i64::from(limit).into()];
    let filtered = filter.map_or(String::new(), |filter| {
        values.push(filter.clone().into());
        format!("AND EXISTS (SELECT 1 FROM documents d WHERE d.id = e.document_id AND {METADATA_FITS})")
    });
    let sql = format!(
        "SELECT e.chunk_id, ({vector} {operator} $1{query_cast})::float8 AS distance FROM {table} e
         WHERE e.live {filtered} ORDER BY {vector} {operator} $1{query_cast} LIMIT $2",
        table = partition(space.id),
    );
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    Neighbour::find_by_statement(question).all(db).await.doing("search vectors")
}

/// For this transaction: an end in time, so that a search that nobody waits for any more stops. For the index also
/// iterative scans, so that a filter does not eat the candidates; and no plan that avoids the index, because the answer
/// tells the caller that it was used.
async fn set_up(db: &impl ConnectionTrait, scan: Scan, timeout: Duration) -> Result<()> {
    let timeout = timeout.as_millis().to_string();
    let bound = "SELECT set_config('statement_timeout', $1, true)";
    match scan {
        Scan::Exact => execute(db, "set up the scan", bound, [timeout.into()]).await?,
        Scan::Hnsw { ef_search } => {
            let sql = format!(
                "{bound}, set_config('hnsw.ef_search', $2, true),
                    set_config('hnsw.iterative_scan', 'strict_order', true),
                    set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true)"
            );
            execute(db, "set up the index scan", sql, [timeout.into(), ef_search.to_string().into()]).await?
        }
    };
    Ok(())
}

/// pgvector's distance operator of a metric.
pub fn operator(metric: Metric) -> &'static str {
    match metric {
        Metric::Cosine => "<=>",
        Metric::L2 => "<->",
        Metric::InnerProduct => "<#>",
    }
}

/// How many chunks a filter leaves (all of the collection's without one).
pub async fn matching(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    collection: Uuid,
    filter: Option<&Json>,
) -> Result<u64> {
    let question = matching_statement(tenant, collection, filter);
    let row = db.query_one_raw(question).await.doing("count matching chunks")?;
    let count = row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).doing("count matching chunks")?;
    Ok(count.cast_unsigned())
}

/// The statement of [`matching`].
pub fn matching_statement(tenant: TenantId, collection: Uuid, filter: Option<&Json>) -> Statement {
    let mut values: Vec<Value> = vec![tenant.into(), collection.into()];
    let filtered = filter.map_or(String::new(), |filter| {
        values.push(filter.clone().into());
        format!("AND {METADATA_FITS}")
    });
    let sql = format!(
        "SELECT coalesce(sum(chunk_count), 0)::bigint FROM documents d
         WHERE tenant_id = $1 AND collection_id = $2 {filtered}"
    );
    Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
}

/// The vectors of those of the chunks that have a live one in the space.
pub async fn of_chunks(db: &impl ConnectionTrait, space: &Space, chunks: &[Uuid]) -> Result<HashMap<Uuid, Vec<f32>>> {
    let table = partition(space.id);
    let sql = format!("SELECT chunk_id, embedding FROM {table} WHERE space_id = $1 AND chunk_id = ANY($2) AND live");
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, [space.id.into(), chunks.to_vec().into()]);
    let rows = db.query_all_raw(question).await.doing("read chunks' vectors")?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index::<Vector>(1)?.to_vec())))
        .collect::<Result<_, sea_orm::DbErr>>()
        .doing("read chunks' vectors")
}
