//! Queries and mutations about schedules.

use async_graphql::{Context, ID, Object};

use super::context::ContextExt;
use super::fault::{OrFault, Result};
use super::mutation::DeleteInput;
use super::page::{self, List, Place};
use super::types::collection::page_cost;
use super::types::connection::Connection;
use super::types::job::Job;
use super::types::schedule::{
    CreateScheduleInput, DeleteSchedulePayload, RunSchedulePayload, Schedule, SchedulePayload, ScheduleTotal,
    UpdateScheduleInput,
};
use crate::id::Kind;
use crate::schedule::manage;
use crate::store::schedules;

/// Flattened into the root.
pub struct ScheduleQuery;

#[Object]
impl ScheduleQuery {
    /// A schedule by its id; null where it is not there.
    async fn schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "A schedule's id, `sch_…`.")] id: ID,
    ) -> Result<Option<Schedule>> {
        let id = Kind::Schedule.decode("id", &id).or_fault()?;
        let found = schedules::by_ids(ctx.app().store.db(), ctx.tenant(), &[id]).await.or_fault()?;
        Ok(found.into_values().next().map(Schedule))
    }

    /// The schedules in order of creation, built-in ones among them.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn schedules(
        &self,
        ctx: &Context<'_>,
        #[graphql(default_with = "page::DEFAULT_FIRST", desc = "Schedules on the page, 1-100.")] first: i32,
        #[graphql(desc = "Start after this cursor.")] after: Option<String>,
    ) -> Result<Connection<Schedule, ScheduleTotal>> {
        let (first, limit) = page::rows_to_read("first", first, ctx.app().config.graphql.page_limit).or_fault()?;
        let list = List::new("schedules", &ctx.tenant());
        let cursor = list.id_after("after", after.as_deref()).or_fault()?;
        let rows = schedules::page(ctx.app().store.db(), ctx.tenant(), cursor, limit).await.or_fault()?;
        Ok(list.page(rows, first, cursor.is_some(), ScheduleTotal, |row| Place::Id(row.id)))
    }
}

/// Flattened into the root.
pub struct ScheduleMutation;

#[Object]
impl ScheduleMutation {
    /// Makes a schedule.
    async fn create_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The schedule.")] input: CreateScheduleInput,
    ) -> Result<SchedulePayload> {
        let asked = input.checked().or_fault()?;
        let row = manage::create(ctx.app(), ctx.tenant(), asked).await.or_fault()?;
        Ok(SchedulePayload { schedule: Schedule(row) })
    }

    /// Changes a schedule. New times count from now.
    async fn update_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one, and its changes.")] input: UpdateScheduleInput,
    ) -> Result<SchedulePayload> {
        let id = Kind::Schedule.decode("input.id", &input.id).or_fault()?;
        let change = input.checked().or_fault()?;
        let row = manage::update(ctx.app(), ctx.tenant(), id, change).await.or_fault()?;
        Ok(SchedulePayload { schedule: Schedule(row) })
    }

    /// Removes a schedule; its jobs stay. A built-in one can be disabled instead.
    async fn delete_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: DeleteInput,
    ) -> Result<DeleteSchedulePayload> {
        let id = Kind::Schedule.decode("input.id", &input.id).or_fault()?;
        manage::delete(ctx.app(), ctx.tenant(), id).await.or_fault()?;
        Ok(DeleteSchedulePayload { deleted_schedule_id: input.id })
    }

    /// Runs a schedule now, enabled or not; its next firing stays. Where one of its jobs has not ended, gives that one.
    async fn run_schedule(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: DeleteInput,
    ) -> Result<RunSchedulePayload> {
        let id = Kind::Schedule.decode("input.id", &input.id).or_fault()?;
        let (job, is_new) = manage::run_now(ctx.app(), ctx.kinds(), ctx.tenant(), id).await.or_fault()?;
        Ok(RunSchedulePayload { job: Job(job), is_new })
    }
}
