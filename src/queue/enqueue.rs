//! New jobs. Their turns make the collections of a tenant take turns, however many jobs each brings.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use sea_orm::{ActiveEnum, ActiveValue::Set, DbBackend, EntityTrait, FromQueryResult, Statement, prelude::DateTimeUtc};
use serde_json::Value as Json;
use uuid::Uuid;

use super::turn::last_turn;
use crate::error::Result;
use crate::store::entity::job::{ActiveModel, Entity, JobState, Model};
use crate::store::listen::{DUE, JOB_EVENTS_CHANNEL, JOBS_CHANNEL};
use crate::store::{Doing, TenantId, Transaction, execute, millis};

/// A job to be enqueued.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// UUIDv7.
    pub id: Uuid,
    /// Queue whose workers take it.
    pub queue: &'static str,
    /// Kind: decides what runs.
    pub kind: &'static str,
    /// Input of the kind.
    pub payload: Json,
    /// Version of the payload's shape.
    pub payload_version: i32,
    /// Attempts before it is `DEAD`.
    pub max_attempts: u32,
    /// Higher is taken first.
    pub priority: i16,
    /// What it depends on, for limits and circuits.
    pub provider: Option<String>,
    /// Told with it, and asked for by [`enqueue_unique`].
    pub unique_key: Option<String>,
    /// The collection it works for.
    pub collection_id: Option<Uuid>,
    /// The document it works for.
    pub document_id: Option<Uuid>,
    /// The run it belongs to.
    pub run_id: Option<Uuid>,
    /// The schedule that made it.
    pub schedule_id: Option<Uuid>,
    /// Not before this time; later than `at` it is `SCHEDULED`.
    pub run_at: DateTimeUtc,
    /// Now.
    pub at: DateTimeUtc,
}

impl NewJob {
    /// A job for now, about nothing in particular.
    pub fn new(
        queue: &'static str,
        kind: &'static str,
        payload: (i32, Json),
        max_attempts: u32,
        at: DateTimeUtc,
    ) -> Self {
        let (payload_version, payload) = payload;
        Self {
            id: Uuid::now_v7(),
            queue,
            kind,
            payload,
            payload_version,
            max_attempts,
            priority: 0,
            provider: None,
            unique_key: None,
            collection_id: None,
            document_id: None,
            run_id: None,
            schedule_id: None,
            run_at: at,
            at,
        }
    }

    /// What takes turns within a tenant: a collection's jobs of one kind and provider. One flow meets the same limits.
    fn flow(&self) -> i64 {
        // Stored, but only compared with jobs that wait: another version of the hash mixes flows for a while, no more.
        let mut hasher = DefaultHasher::new();
        (self.kind, &self.provider, self.collection_id).hash(&mut hasher);
        hasher.finish().cast_signed()
    }

    fn state(&self) -> JobState {
        if self.run_at > self.at { JobState::Scheduled } else { JobState::Pending }
    }
}

/// Inserts jobs of one queue in the caller's transaction; its commit wakes waiting workers.
pub async fn enqueue(tx: &Transaction, tenant: TenantId, jobs: Vec<NewJob>) -> Result<()> {
    let Some(first) = jobs.first() else { return Ok(()) };
    let queue = first.queue;
    debug_assert!(jobs.iter().all(|job| job.queue == queue), "one call, one queue");
    tx.ring(JOBS_CHANNEL, if jobs.iter().any(|job| job.state() == JobState::Pending) { queue } else { DUE });
    tx.ring(JOB_EVENTS_CHANNEL, queue);
    let mut last_turns: HashMap<(i64, i16), i64> = HashMap::new();
    let mut rows = Vec::with_capacity(jobs.len());
    for job in jobs {
        let (flow, priority) = (job.flow(), job.priority);
        let last = match last_turns.get(&(flow, priority)) {
            Some(turn) => *turn,
            None => last_turn(tx, queue, tenant, flow, priority).await?,
        };
        last_turns.insert((flow, priority), last + 1);
        rows.push(row(tenant, job, flow, last + 1));
    }
    for some in rows.chunks(ROWS_PER_STATEMENT) {
        Entity::insert_many(some.to_vec()).exec_without_returning(tx).await.doing("enqueue jobs")?;
    }
    Ok(())
}

/// PostgreSQL takes 65,535 parameters per statement; a row has twenty.
const ROWS_PER_STATEMENT: usize = 2_000;

fn row(tenant: TenantId, job: NewJob, flow: i64, turn: i64) -> ActiveModel {
    ActiveModel {
        id: Set(job.id),
        tenant_id: Set(tenant),
        queue: Set(job.queue.to_owned()),
        kind: Set(job.kind.to_owned()),
        state: Set(job.state()),
        payload: Set(job.payload),
        payload_version: Set(job.payload_version),
        priority: Set(job.priority),
        run_at: Set(job.run_at),
        max_attempts: Set(job.max_attempts.cast_signed()),
        provider: Set(job.provider),
        turn: Set(turn),
        flow: Set(flow),
        unique_key: Set(job.unique_key),
        collection_id: Set(job.collection_id),
        document_id: Set(job.document_id),
        run_id: Set(job.run_id),
        schedule_id: Set(job.schedule_id),
        created_at: Set(job.at),
        ..Default::default()
    }
}

/// When a job of the same key stands in the way of another one.
#[derive(Debug, Clone)]
pub struct Uniqueness {
    /// While it is in one of these states.
    pub states: Vec<JobState>,
    /// And was enqueued within this time; without it, however long ago.
    pub period: Option<Duration>,
}

impl Uniqueness {
    /// One at a time: while the other has not ended.
    pub fn while_unfinished() -> Self {
        use JobState::{Pending, Retrying, Running, Scheduled};
        Self { states: vec![Scheduled, Pending, Running, Retrying], period: None }
    }
}

/// What became of a job that must be the only one of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enqueued {
    /// It is enqueued.
    New(Uuid),
    /// This one stands in its way.
    Existing(Uuid),
}

/// Enqueues a job unless another one of its `unique_key` stands in the way; then tells which. Two callers at once wait
/// for each other.
pub async fn enqueue_unique(tx: &Transaction, tenant: TenantId, job: NewJob, unique: &Uniqueness) -> Result<Enqueued> {
    if let Some(key) = &job.unique_key {
        let taken = "SELECT pg_advisory_xact_lock(hashtextextended($1, 0))";
        execute(tx, "reserve the job's key", taken, [key.clone().into()]).await?;
        if let Some(existing) = holder_of(tx, tenant, key, unique).await? {
            return Ok(Enqueued::Existing(existing.id));
        }
    }
    let id = job.id;
    enqueue(tx, tenant, vec![job]).await?;
    Ok(Enqueued::New(id))
}

async fn holder_of(tx: &Transaction, tenant: TenantId, key: &str, unique: &Uniqueness) -> Result<Option<Model>> {
    let states: Vec<String> = unique.states.iter().map(|state| state.to_value()).collect();
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM jobs WHERE unique_key = $1 AND tenant_id = $2 AND state = ANY($3)
             AND ($4::bigint IS NULL OR created_at > now() - $4 * interval '1 ms')
         ORDER BY id DESC LIMIT 1",
        [key.into(), tenant.into(), states.into(), unique.period.map(millis).into()],
    );
    Model::find_by_statement(question).one(tx).await.doing("look for the job's key")
}
