//! The HNSW index of a space: built concurrently on its partition, over live vectors only.

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use uuid::Uuid;

use super::entity::embedding_space::{Metric, Model as Space};
use super::spaces::partition;
use super::{Doing, Store};
use crate::error::Result;

/// Most dimensions that pgvector indexes as `vector`, and as `halfvec`.
/// <https://github.com/pgvector/pgvector#hnsw>
const VECTOR_LIMIT: i32 = 2_000;
const HALFVEC_LIMIT: i32 = 4_000;
/// Most dimensions that can be indexed at all.
pub const DIMENSIONS_LIMIT: i32 = HALFVEC_LIMIT;

/// Largest number of a `halfvec`, which is IEEE 754 binary16.
const HALF_MAX: f32 = 65_504.0;

/// The largest number, by magnitude, that a vector of this many dimensions may hold to be indexed; `None`: any.
pub fn number_limit(dimensions: i32) -> Option<f32> {
    (VECTOR_LIMIT + 1..=HALFVEC_LIMIT).contains(&dimensions).then_some(HALF_MAX)
}

/// The type that an index of this many dimensions is made over; `None`: too many, such a space is always scanned.
pub fn vector_type(dimensions: i32) -> Option<String> {
    match dimensions {
        _ if dimensions <= VECTOR_LIMIT => Some(format!("vector({dimensions})")),
        _ if dimensions <= HALFVEC_LIMIT => Some(format!("halfvec({dimensions})")),
        _ => None,
    }
}

/// The indexed expression over a column.
pub fn expression(column: &str, dimensions: i32) -> Option<String> {
    Some(format!("({column}::{})", vector_type(dimensions)?))
}

fn operator_class(space: &Space) -> String {
    let base = if space.dimensions <= VECTOR_LIMIT { "vector" } else { "halfvec" };
    let metric = match space.metric {
        Metric::Cosine => "cosine",
        Metric::L2 => "l2",
        Metric::InnerProduct => "ip",
    };
    format!("{base}_{metric}_ops")
}

/// Name of a space's index.
fn name(space: Uuid) -> String {
    format!("{}_hnsw", partition(space))
}

/// How an index is built.
#[derive(Debug, Clone, Copy)]
pub struct BuildSettings {
    /// pgvector's `m`.
    pub m: u32,
    /// pgvector's `ef_construction`.
    pub ef_construction: u32,
    /// `maintenance_work_mem` in bytes: an index that does not fit is built several times slower.
    pub memory_bytes: usize,
}

/// Builds the index while others read and write. An unfinished one of an earlier attempt is dropped first.
/// Nothing happens for a space with too many dimensions.
pub async fn build(store: &Store, space: &Space, settings: BuildSettings) -> Result<()> {
    let Some(expression) = expression("embedding", space.dimensions) else { return Ok(()) };
    let (name, table, class) = (name(space.id), partition(space.id), operator_class(space));
    let BuildSettings { m, ef_construction, memory_bytes } = settings;
    // One connection of its own, because CONCURRENTLY runs outside a transaction and the setting must be the session's.
    let mut connection = store.pool().acquire().await.doing("build the index")?.detach();
    for statement in [
        format!("SET maintenance_work_mem = '{}kB'", memory_bytes / 1024),
        format!("DROP INDEX CONCURRENTLY IF EXISTS {name}"),
        format!(
            "CREATE INDEX CONCURRENTLY {name} ON {table} USING hnsw ({expression} {class})
             WITH (m = {m}, ef_construction = {ef_construction}) WHERE live"
        ),
    ] {
        sqlx::raw_sql(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.doing("build the index")?;
    }
    Ok(())
}

/// How far a build is: vectors done and in all, in PostgreSQL's own estimate. `None` while none runs.
pub async fn progress(db: &impl ConnectionTrait, space: Uuid) -> Result<Option<(i64, i64)>> {
    #[derive(FromQueryResult)]
    struct Row {
        done: i64,
        total: i64,
    }
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT tuples_done AS done, greatest(tuples_total, tuples_done) AS total FROM pg_stat_progress_create_index
         WHERE relid = to_regclass($1)",
        [partition(space).into()],
    );
    let row = Row::find_by_statement(question).one(db).await.doing("read the index build's progress")?;
    Ok(row.map(|row| (row.done, row.total)))
}
