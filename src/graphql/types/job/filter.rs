//! `JobFilterInput`, and the count of what it finds.

use async_graphql::{Context, ID, InputObject, Object};
use tokio::sync::OnceCell;
use uuid::Uuid;

use super::JobState;
use crate::error::{Error, Result};
use crate::graphql::check;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{self, OrFault};
use crate::graphql::types::date_time::DateTime;
use crate::graphql::types::queue;
use crate::id::Kind;
use crate::queue::jobs::{self, JobFilter};

/// Which jobs: those for which every condition that is given holds. None given: all.
#[derive(InputObject, Default)]
pub struct JobFilterInput {
    /// One of these, at most 1,000 (a setting).
    ids: Option<Vec<ID>>,
    /// In one of these queues.
    queues: Option<Vec<String>>,
    /// Of one of these kinds.
    kinds: Option<Vec<String>>,
    /// In one of these states.
    states: Option<Vec<JobState>>,
    /// Of this tenant, `ten_…`. A caller sees its own tenant's jobs only; another's id finds nothing.
    tenant_id: Option<ID>,
    /// For this collection.
    collection_id: Option<ID>,
    /// For this document.
    document_id: Option<ID>,
    /// Of this run.
    run_id: Option<ID>,
    /// Made by this schedule, `sch_…`.
    schedule_id: Option<ID>,
    /// With one of these error codes.
    error_codes: Option<Vec<String>>,
    /// Enqueued before this time.
    created_before: Option<DateTime>,
    /// Enqueued at or after this time.
    created_after: Option<DateTime>,
}

impl JobFilterInput {
    /// The checked filter; `field` is its path.
    pub async fn checked(self, ctx: &Context<'_>, field: &str) -> Result<JobFilter> {
        let limit = ctx.app().config.queue.selection_limit;
        let path = |name: &str| format!("{field}.{name}");
        let one = |kind: Kind, name: &str, id: Option<ID>| id.map(|id| kind.decode(&path(name), &id)).transpose();
        let list = |kind: Kind, name: &str, id: Option<ID>| Ok::<_, Error>(one(kind, name, id)?.map(|id| vec![id]));
        if let Some(queues) = &self.queues {
            count(&path("queues"), queues.len(), limit)?;
            let named =
                queues.iter().enumerate().map(|(index, name)| (format!("{field}.queues.{index}"), name.as_str()));
            queue::check(ctx.app(), &named.collect::<Vec<_>>()).await?;
        }
        let tenant = one(Kind::Tenant, "tenantId", self.tenant_id)?;
        let is_others = tenant.is_some_and(|tenant| tenant != ctx.tenant());
        let given = self.ids.map(|given| ids(&path("ids"), given, limit)).transpose()?;
        Ok(JobFilter {
            ids: if is_others { Some(Vec::new()) } else { given },
            queues: self.queues,
            kinds: texts(&path("kinds"), self.kinds, limit)?,
            states: self.states.map(|states| states.into_iter().map(Into::into).collect()),
            collections: list(Kind::Collection, "collectionId", self.collection_id)?,
            documents: list(Kind::Document, "documentId", self.document_id)?,
            runs: list(Kind::Run, "runId", self.run_id)?,
            schedules: list(Kind::Schedule, "scheduleId", self.schedule_id)?,
            error_codes: texts(&path("errorCodes"), self.error_codes, limit)?,
            created_before: DateTime::optional(self.created_before, &path("createdBefore"))?,
            created_after: DateTime::optional(self.created_after, &path("createdAfter"))?,
        })
    }
}

/// Ids of jobs, at most `limit`, each once.
pub fn ids(field: &str, given: Vec<ID>, limit: usize) -> Result<Vec<Uuid>> {
    count(field, given.len(), limit)?;
    let mut ids = Vec::with_capacity(given.len());
    let mut seen = std::collections::HashSet::new();
    for (index, id) in given.iter().enumerate() {
        let id = Kind::Job.decode(&format!("{field}.{index}"), id)?;
        if seen.insert(id) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn texts(field: &str, given: Option<Vec<String>>, limit: usize) -> Result<Option<Vec<String>>> {
    let Some(given) = given else { return Ok(None) };
    count(field, given.len(), limit)?;
    let checked = |(index, text)| check::text(&format!("{field}.{index}"), text, 1, check::NAME_LIMIT);
    given.into_iter().enumerate().map(checked).collect::<Result<_>>().map(Some)
}

fn count(field: &str, given: usize, limit: usize) -> Result<()> {
    if given > limit {
        return Err(Error::input(field, format!("{given} items"), format!("at most {limit}")));
    }
    Ok(())
}

/// The whole list behind a page of jobs.
pub struct JobTotal {
    filter: JobFilter,
    counted: OnceCell<u64>,
}

impl JobTotal {
    /// Of what a filter finds.
    pub fn of(filter: JobFilter) -> Self {
        Self { filter, counted: OnceCell::new() }
    }

    /// Jobs, counted up to one more than the limit; and the limit.
    async fn count(&self, ctx: &Context<'_>) -> Result<(u64, u64)> {
        let limit = ctx.app().config.graphql.count_limit;
        let count = async || jobs::counts(ctx.app().store.db(), ctx.tenant(), &self.filter, limit + 1).await;
        Ok((*self.counted.get_or_try_init(count).await?, limit))
    }
}

#[Object]
impl JobTotal {
    /// Jobs in the whole list, not only on this page; counted up to 10,000 (a setting).
    async fn total_count(&self, ctx: &Context<'_>) -> fault::Result<u64> {
        let (count, limit) = self.count(ctx).await.or_fault()?;
        Ok(count.min(limit))
    }

    /// False where there are more than `totalCount`.
    async fn is_total_exact(&self, ctx: &Context<'_>) -> fault::Result<bool> {
        let (count, limit) = self.count(ctx).await.or_fault()?;
        Ok(count <= limit)
    }
}
