//! Reading jobs: by id, and by filter.

use std::collections::HashMap;

use sea_orm::{
    ActiveEnum, ColumnTrait, ConnectionTrait, DbBackend, EntityTrait, FromQueryResult, QueryFilter, Statement,
    prelude::DateTimeUtc,
};
use uuid::Uuid;

use crate::error::Result;
use crate::store::entity::job::{Column, Entity, JobState, Model};
use crate::store::{Doing, TenantId};

/// Those of `ids` that are there.
pub async fn by_ids(db: &impl ConnectionTrait, tenant: TenantId, ids: &[Uuid]) -> Result<HashMap<Uuid, Model>> {
    let question = Entity::find().filter(Column::Id.is_in(ids.iter().copied())).filter(Column::TenantId.eq(tenant));
    let rows = question.all(db).await.doing("read jobs")?;
    Ok(rows.into_iter().map(|row| (row.id, row)).collect())
}

/// The newest job of each document.
pub async fn newest_of(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    documents: &[Uuid],
) -> Result<HashMap<Uuid, Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT DISTINCT ON (document_id) * FROM jobs WHERE document_id = ANY($2) AND tenant_id = $1
         ORDER BY document_id, id DESC",
        [tenant.into(), documents.to_vec().into()],
    );
    let rows = Model::find_by_statement(question).all(db).await.doing("read documents' jobs")?;
    Ok(rows.into_iter().filter_map(|row| Some((row.document_id?, row))).collect())
}

/// The unfinished jobs of a document.
pub async fn unfinished_of(db: &impl ConnectionTrait, tenant: TenantId, document: Uuid) -> Result<Vec<Uuid>> {
    let (documents, states) = (Some(vec![document]), Some(JobState::UNFINISHED.to_vec()));
    select(db, tenant, &JobFilter { documents, states, ..JobFilter::default() }, u64::from(u32::MAX)).await
}

/// Which of a tenant's jobs a list shows; each condition that is given holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct JobFilter {
    /// One of these.
    pub ids: Option<Vec<Uuid>>,
    /// In one of these queues.
    pub queues: Option<Vec<String>>,
    /// Of one of these kinds.
    pub kinds: Option<Vec<String>>,
    /// In one of these states.
    pub states: Option<Vec<JobState>>,
    /// For one of these collections.
    pub collections: Option<Vec<Uuid>>,
    /// For one of these documents.
    pub documents: Option<Vec<Uuid>>,
    /// Of one of these runs.
    pub runs: Option<Vec<Uuid>>,
    /// Made by one of these schedules.
    pub schedules: Option<Vec<Uuid>>,
    /// With one of these errors.
    pub error_codes: Option<Vec<String>>,
    /// Enqueued before this time.
    pub created_before: Option<DateTimeUtc>,
    /// Enqueued at or after this time.
    pub created_after: Option<DateTimeUtc>,
}

impl JobFilter {
    /// Only the conditions that are given are written: the planner then sees which index fits.
    fn sql(&self, tenant: TenantId) -> (String, Vec<sea_orm::Value>) {
        let mut sql = "tenant_id = $1".to_owned();
        let mut values: Vec<sea_orm::Value> = vec![tenant.into()];
        let mut and = |condition: &str, value: Option<sea_orm::Value>| {
            if let Some(value) = value {
                values.push(value);
                sql.push_str(&format!(" AND {}", condition.replace('?', &format!("${}", values.len()))));
            }
        };
        let states = self.states.as_ref().map(|states| states.iter().map(|state| state.to_value()).collect::<Vec<_>>());
        and("id = ANY(?)", self.ids.clone().map(Into::into));
        and("queue = ANY(?)", self.queues.clone().map(Into::into));
        and("kind = ANY(?)", self.kinds.clone().map(Into::into));
        and("state = ANY(?)", states.map(Into::into));
        and("collection_id = ANY(?)", self.collections.clone().map(Into::into));
        and("document_id = ANY(?)", self.documents.clone().map(Into::into));
        and("run_id = ANY(?)", self.runs.clone().map(Into::into));
        and("schedule_id = ANY(?)", self.schedules.clone().map(Into::into));
        and("error_code = ANY(?)", self.error_codes.clone().map(Into::into));
        and("created_at < ?", self.created_before.map(Into::into));
        and("created_at >= ?", self.created_after.map(Into::into));
        (sql, values)
    }
}

/// A page of jobs, newest first: up to `limit` before the given id.
pub async fn page(
    db: &impl ConnectionTrait,
    tenant: TenantId,
    filter: &JobFilter,
    after: Option<Uuid>,
    limit: u64,
) -> Result<Vec<Model>> {
    let (condition, mut values) = filter.sql(tenant);
    let after = after.map_or(String::new(), |id| {
        values.push(id.into());
        format!("AND id < ${}", values.len())
    });
    let sql = format!("SELECT * FROM jobs WHERE {condition} {after} ORDER BY id DESC LIMIT {limit}");
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    Model::find_by_statement(question).all(db).await.doing("list jobs")
}

/// The ids that a filter finds, oldest first, at most `limit`.
pub async fn select(db: &impl ConnectionTrait, tenant: TenantId, filter: &JobFilter, limit: u64) -> Result<Vec<Uuid>> {
    let (condition, values) = filter.sql(tenant);
    let sql = format!("SELECT id FROM jobs WHERE {condition} ORDER BY id LIMIT {limit}");
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let rows = db.query_all_raw(question).await.doing("select jobs")?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>().doing("select jobs")
}

/// How many jobs a filter finds, counted up to `limit`.
pub async fn counts(db: &impl ConnectionTrait, tenant: TenantId, filter: &JobFilter, limit: u64) -> Result<u64> {
    let (condition, values) = filter.sql(tenant);
    let sql = format!("SELECT count(*) FROM (SELECT FROM jobs WHERE {condition} LIMIT {limit}) AS found");
    let question = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let row = db.query_one_raw(question).await.doing("count jobs")?;
    let count = row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).doing("count jobs")?;
    Ok(count.cast_unsigned())
}
