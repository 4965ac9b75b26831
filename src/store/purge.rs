//! Removing what a deleted collection held, in steps small enough to hold no lock for long.

use sea_orm::{ConnectionTrait, DbBackend, Statement};
use uuid::Uuid;

use super::spaces::{ids_of, partition};
use super::{Doing, Store, execute};
use crate::error::Result;

/// Documents removed per transaction: their chunks and contents go with them.
const DOCUMENTS_PER_STEP: u64 = 100;

/// Removes the vectors of a deleted collection. Like the other steps it is safe to run again.
pub async fn vectors(store: &Store, collection: Uuid) -> Result<()> {
    drop_partitions(store.db(), collection).await
}

/// Removes some documents of a deleted collection; 0 when none is left.
pub async fn some_documents(store: &Store, collection: Uuid) -> Result<u64> {
    let sql = format!(
        "DELETE FROM documents WHERE id IN
         (SELECT id FROM documents WHERE collection_id = $1 ORDER BY id LIMIT {DOCUMENTS_PER_STEP})"
    );
    execute(store.db(), "remove the collection's documents", sql, [collection.into()]).await
}

/// Removes the collection's jobs. None of them runs: they were cancelled when the collection was hidden.
pub async fn jobs(store: &Store, collection: Uuid) -> Result<u64> {
    let sql = "DELETE FROM jobs WHERE collection_id = $1";
    execute(store.db(), "remove the collection's jobs", sql, [collection.into()]).await
}

/// Removes what is left: runs with their events, the collection itself.
pub async fn rest(store: &Store, collection: Uuid) -> Result<()> {
    let row = "DELETE FROM collections WHERE id = $1";
    execute(store.db(), "remove the collection", row, [collection.into()]).await?;
    Ok(())
}

/// Detaches concurrently before dropping: dropping an attached partition would lock out everyone's vectors. A
/// detachment that a crash left pending is finished first.
async fn drop_partitions(db: &impl ConnectionTrait, collection: Uuid) -> Result<()> {
    for space in ids_of(db, collection).await? {
        let table = partition(space);
        let detach = match attachment(db, &table).await? {
            Attachment::Attached => Some("CONCURRENTLY"),
            Attachment::Pending => Some("FINALIZE"),
            Attachment::None => None,
        };
        if let Some(how) = detach {
            let sql = format!("ALTER TABLE embeddings DETACH PARTITION {table} {how}");
            db.execute_unprepared(&sql).await.doing("detach the collection's vectors")?;
        }
        let sql = format!("DROP TABLE IF EXISTS {table}");
        db.execute_unprepared(&sql).await.doing("drop the collection's vectors")?;
    }
    Ok(())
}

enum Attachment {
    Attached,
    Pending,
    None,
}

async fn attachment(db: &impl ConnectionTrait, table: &str) -> Result<Attachment> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = to_regclass($1)",
        [table.into()],
    );
    let row = db.query_one_raw(question).await.doing("look for the collection's vectors")?;
    let pending = row.map(|row| row.try_get_by_index(0)).transpose().doing("look for the collection's vectors")?;
    Ok(match pending {
        None => Attachment::None,
        Some(false) => Attachment::Attached,
        Some(true) => Attachment::Pending,
    })
}
