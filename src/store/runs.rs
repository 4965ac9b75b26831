//! Ingestion runs and their events. The run's row lock orders its events, so that a reader who has seen number N has
//! seen every event below N: no later commit brings a lower number.

use std::collections::HashMap;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, QueryOrder, QuerySelect,
    Statement,
};
use uuid::Uuid;

use super::entity::document::Status;
use super::entity::ingestion_run::{ActiveModel, Column, Entity, Model};
use super::entity::run_event::{self, EventKind};
use super::listen::RUNS_CHANNEL;
use super::{Doing, TenantId, Transaction};
use crate::error::Result;

/// Inserts a run that just began.
pub async fn insert(db: &impl ConnectionTrait, run: Model) -> Result<()> {
    Entity::insert(ActiveModel::from(run)).exec_without_returning(db).await.doing("write the run")?;
    Ok(())
}

/// Those of `ids` that are there.
pub async fn by_ids(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Model>> {
    let question = Entity::find()
        .filter(Column::Id.is_in(ids.iter().copied()))
        .filter(Column::TenantId.eq(tenant))
        .filter(sea_orm::sea_query::Expr::cust(
            "EXISTS (SELECT 1 FROM collections c WHERE c.id = ingestion_runs.collection_id AND deleted_at IS NULL)",
        ));
    let rows = question.all(db).await.doing("read runs")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// Events of a run after a number, in order, at most `limit`.
pub async fn events(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    run: Uuid,
    after: i64,
    limit: u64,
) -> Result<Vec<run_event::Model>> {
    run_event::Entity::find()
        .filter(run_event::Column::RunId.eq(run))
        .filter(run_event::Column::TenantId.eq(tenant))
        .filter(run_event::Column::Sequence.gt(after))
        .order_by_asc(run_event::Column::Sequence)
        .limit(limit)
        .all(db)
        .await
        .doing("read the run's events")
}

/// One thing that happened in a run, and what it adds to the run's counts.
#[derive(Debug, Clone)]
pub struct Happening<'a> {
    /// What.
    pub kind: EventKind,
    /// The document, where it happened to one: id, its status now, its chunks so far.
    pub document: Option<(Uuid, Status, i32)>,
    /// Code and message.
    pub error: Option<(&'a str, &'a str)>,
    /// Documents that became done.
    pub done: i32,
    /// Documents that failed for good.
    pub failed: i32,
    /// Documents that were cancelled.
    pub cancelled: i32,
    /// Chunks that became known.
    pub chunks: i32,
    /// Chunks that got their vector.
    pub embedded: i32,
    /// Tokens that were embedded for them.
    pub tokens: i64,
}

impl Happening<'_> {
    /// Something that changes no count.
    pub fn new(kind: EventKind) -> Self {
        Self { kind, document: None, error: None, done: 0, failed: 0, cancelled: 0, chunks: 0, embedded: 0, tokens: 0 }
    }
}

/// Counts and appends in one statement, and at commit tells who listens. Where that was the last document, the
/// run's end follows. Call it late in a transaction: it holds the run's lock until the commit.
pub async fn append(tx: &Transaction, run: Uuid, happening: Happening<'_>) -> Result<()> {
    let is_last = write(tx, run, &happening).await?;
    if is_last && happening.kind != EventKind::RunFinished {
        write(tx, run, &Happening::new(EventKind::RunFinished)).await?;
    }
    tx.ring(RUNS_CHANNEL, run);
    Ok(())
}

#[derive(FromQueryResult)]
struct Written {
    is_complete: bool,
}

/// True where every document of the run is done, failed or cancelled.
async fn write(db: &impl ConnectionTrait, run: Uuid, happening: &Happening<'_>) -> Result<bool> {
    use sea_orm::ActiveEnum;
    let state = match happening.kind {
        EventKind::RunAccepted => "state",
        EventKind::RunFinished => {
            "CASE WHEN documents_failed + documents_cancelled = 0 THEN 'SUCCEEDED' WHEN documents_done > 0 THEN 'PARTIAL'
                WHEN documents_failed > 0 THEN 'FAILED' ELSE 'CANCELLED' END"
        }
        _ => "'RUNNING'",
    };
    let finished_at = if happening.kind == EventKind::RunFinished { "now()" } else { "NULL" };
    let sql = format!(
        "WITH run AS (
            UPDATE ingestion_runs SET last_event = last_event + 1, state = {state}, finished_at = {finished_at},
                started_at = CASE WHEN $2 = 'RUN_ACCEPTED' THEN NULL ELSE coalesce(started_at, now()) END,
                documents_done = documents_done + $8, documents_failed = documents_failed + $9,
                chunks_total = chunks_total + $10, chunks_embedded = chunks_embedded + $11, tokens = tokens + $12,
                documents_cancelled = documents_cancelled + $13
            WHERE id = $1 RETURNING *
        ), event AS (
            INSERT INTO run_events (run_id, sequence, tenant_id, at, kind, document_id, document_status, chunk_count,
                error_code, error_message, run_state, documents_total, documents_done, documents_failed, chunks_total,
                chunks_embedded, documents_cancelled)
            SELECT id, last_event, tenant_id, clock_timestamp(), $2, $3, $4, $5, $6, $7, state, documents_total,
                documents_done, documents_failed, chunks_total, chunks_embedded, documents_cancelled FROM run
        )
        SELECT documents_done + documents_failed + documents_cancelled >= documents_total AS is_complete FROM run"
    );
    let (document, status, chunks) = match happening.document {
        Some((id, status, chunks)) => (Some(id), Some(status.to_value()), Some(chunks)),
        None => (None, None, None),
    };
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        sql,
        [
            run.into(),
            happening.kind.to_value().into(),
            document.into(),
            status.into(),
            chunks.into(),
            happening.error.map(|(code, _)| code.to_owned()).into(),
            happening.error.map(|(_, message)| message.to_owned()).into(),
            happening.done.into(),
            happening.failed.into(),
            happening.chunks.into(),
            happening.embedded.into(),
            happening.tokens.into(),
            happening.cancelled.into(),
        ],
    );
    let written = Written::find_by_statement(statement).one(db).await.doing("append the run's event")?;
    Ok(written.is_some_and(|written| written.is_complete))
}
