//! Use case: schedules are made, changed, removed and run at once by callers. Built-in ones may only be turned off and on.

use chrono::{DateTime, Utc};
use cron::{Cron, CronFault};
use fetch::Source;
use serde_json::Value as Json;
use uuid::Uuid;

use super::fire;
use crate::app::App;
use crate::error::{Code, Error, Result};
use crate::id::Kind;
use crate::ingest::pull;
use crate::queue::jobs::{self, JobFilter};
use crate::queue::{self, Kinds, NewJob};
use crate::store::entity::job::{JobState, Model as Job};
use crate::store::schedules::{self, Fired, MissedRuns, Schedule};
use crate::store::{Doing, TenantId, Transaction, collections, spaces};

/// What a schedule does at its times: takes documents in from a source.
#[derive(Debug)]
pub struct Work {
    /// Where to.
    pub collection_id: Uuid,
    /// Where from.
    pub source: Source,
    /// Whether documents whose source has gone are deleted.
    pub prune: bool,
}

/// A schedule as asked for; its name is checked.
#[derive(Debug)]
pub struct NewSchedule {
    /// 1-255 characters.
    pub name: String,
    /// Five fields.
    pub cron: String,
    /// IANA name.
    pub time_zone: String,
    /// What to do about missed firings.
    pub missed: MissedRuns,
    /// Whether it fires.
    pub enabled: bool,
    /// What it does.
    pub work: Work,
}

/// What to change; `None` leaves a field as it is.
#[derive(Debug, Default)]
pub struct ScheduleChange {
    /// New name.
    pub name: Option<String>,
    /// New times.
    pub cron: Option<String>,
    /// New time zone.
    pub time_zone: Option<String>,
    /// New policy.
    pub missed: Option<MissedRuns>,
    /// Whether it fires.
    pub enabled: Option<bool>,
    /// What it does.
    pub work: Option<Work>,
}

impl ScheduleChange {
    fn is_only_about_enabled(&self) -> bool {
        let Self { name, cron, time_zone, missed, enabled: _, work } = self;
        name.is_none() && cron.is_none() && time_zone.is_none() && missed.is_none() && work.is_none()
    }
}

/// Makes a schedule.
pub async fn create(app: &App, tenant: TenantId, asked: NewSchedule) -> Result<Schedule> {
    let (id, at) = (Uuid::now_v7(), app.now());
    let next_run_at = next(app, &asked.cron, &asked.time_zone, at)?;
    let payload = checked(app, tenant, &asked.work).await?;
    let row = Schedule {
        id,
        tenant_id: Some(tenant),
        collection_id: Some(asked.work.collection_id),
        name: asked.name,
        kind: pull::KIND.name.to_owned(),
        payload,
        cron: asked.cron,
        time_zone: asked.time_zone,
        missed: asked.missed,
        enabled: asked.enabled,
        next_run_at,
        last_run_at: None,
        last_job_id: None,
        error_code: None,
        error_message: None,
        created_at: at,
        updated_at: at,
    };
    let tx = app.store.begin().await?;
    collections::lock(&tx, tenant, COLLECTION, asked.work.collection_id).await?;
    schedules::insert(&tx, &row).await?.ok_or_else(|| name_taken(&row.name))?;
    tx.commit().await.doing("make the schedule")?;
    Ok(row)
}

/// Changes a schedule. New times count from now: firings that were due while it was off are not made up for.
pub async fn update(app: &App, tenant: TenantId, id: Uuid, change: ScheduleChange) -> Result<Schedule> {
    let payload = match &change.work {
        Some(work) => Some((work.collection_id, checked(app, tenant, work).await?)),
        None => None,
    };
    let tx = app.store.begin().await?;
    // Before the schedule, as who deletes a collection does.
    if let Some((collection, _)) = payload {
        collections::lock(&tx, tenant, COLLECTION, collection).await?;
    }
    let mut row = lock(&tx, tenant, id).await?;
    if row.tenant_id.is_none() && !change.is_only_about_enabled() {
        return Err(is_built_in(id, "only a change of `enabled`: the schedule is built in, its times are settings"));
    }
    let is_enabled_anew = change.enabled == Some(true) && !row.enabled;
    let has_new_times = change.cron.is_some() || change.time_zone.is_some();
    row.name = change.name.unwrap_or(row.name);
    row.cron = change.cron.unwrap_or(row.cron);
    row.time_zone = change.time_zone.unwrap_or(row.time_zone);
    row.missed = change.missed.unwrap_or(row.missed);
    row.enabled = change.enabled.unwrap_or(row.enabled);
    if let Some((collection, payload)) = payload {
        (row.collection_id, row.payload) = (Some(collection), payload);
    }
    row.updated_at = app.now();
    if has_new_times {
        row.next_run_at = next(app, &row.cron, &row.time_zone, row.updated_at)?;
    } else if is_enabled_anew {
        row.next_run_at = super::built_in::cron_of(&row)?.next_after(row.updated_at);
    }
    (row.error_code, row.error_message) = (None, None);
    if !schedules::update(&tx, &row).await? {
        return Err(name_taken(&row.name));
    }
    tx.commit().await.doing("change the schedule")?;
    Ok(row)
}

/// Removes a schedule; its jobs stay.
pub async fn delete(app: &App, tenant: TenantId, id: Uuid) -> Result<()> {
    let tx = app.store.begin().await?;
    if lock(&tx, tenant, id).await?.tenant_id.is_none() {
        return Err(is_built_in(id, "a schedule of your own: built-in ones can be disabled, not deleted"));
    }
    schedules::delete(&tx, tenant, id).await?;
    tx.commit().await.doing("remove the schedule")
}

/// Starts a schedule's job now, enabled or not. Where one of its jobs has not ended, gives that one, and false.
pub async fn run_now(app: &App, kinds: &Kinds, tenant: TenantId, id: Uuid) -> Result<(Job, bool)> {
    let tx = app.store.begin().await?;
    // Whoever fires it, or runs it now, waits at this lock.
    let row = lock(&tx, tenant, id).await?;
    if row.tenant_id.is_none() {
        return Err(is_built_in(id, "a schedule of your own: built-in ones run by themselves"));
    }
    let states = Some(JobState::UNFINISHED.to_vec());
    let unfinished = JobFilter { schedules: Some(vec![id]), states, ..JobFilter::default() };
    let (job, is_new) = match jobs::select(&tx, tenant, &unfinished, 1).await?.first() {
        Some(job) => (*job, false),
        None => (enqueue(app, kinds, &tx, tenant, &row).await?, true),
    };
    let row = jobs::by_ids(&tx, tenant, &[job]).await?.remove(&job);
    let row = row.ok_or_else(|| Error::internal("read the job", anyhow::anyhow!("it is gone")))?;
    tx.commit().await.doing("run the schedule")?;
    Ok((row, is_new))
}

async fn enqueue(app: &App, kinds: &Kinds, tx: &Transaction, tenant: TenantId, row: &Schedule) -> Result<Uuid> {
    let job = NewJob { unique_key: Some(format!("schedule:{}:now", row.id)), ..fire::job(app, kinds, row)? };
    let fired = Fired { next: row.next_run_at, last: Some(app.now()), job: Some(job.id) };
    queue::enqueue(tx, tenant, vec![job]).await?;
    schedules::set_fired(tx, row.id, &fired).await?;
    schedules::set_error(tx, row.id, None).await?;
    Ok(fired.job.unwrap_or_default())
}

const COLLECTION: &str = "input.job.ingestSource.collectionId";
const SOURCE: &str = "input.job.ingestSource.source";

/// The payload of work that can be done: the collection is there and has a model, and the source may be read.
async fn checked(app: &App, tenant: TenantId, work: &Work) -> Result<Json> {
    let space = spaces::active(app.store.db(), tenant, COLLECTION, work.collection_id).await?;
    if space.model.is_none() {
        let got = Kind::Collection.encode(work.collection_id);
        return Err(Error::input(COLLECTION, got, "a collection with an embedding model"));
    }
    let source = pull::check(&app.config.source, SOURCE, &work.source).await?;
    let payload = pull::Payload { collection_id: work.collection_id, source, prune: work.prune };
    Ok(serde_json::to_value(payload).expect("a payload of ids and texts is JSON"))
}

async fn lock(tx: &Transaction, tenant: TenantId, id: Uuid) -> Result<Schedule> {
    let missing = || Error::not_found("input.id", "schedule", Kind::Schedule.encode(id));
    schedules::lock(tx, tenant, id).await?.ok_or_else(missing)
}

/// The first firing of times that callers may choose.
fn next(app: &App, cron: &str, time_zone: &str, at: DateTime<Utc>) -> Result<Option<DateTime<Utc>>> {
    let refused = |fault| match fault {
        CronFault::UnknownTimeZone => {
            Error::input("input.timeZone", time_zone, "an IANA name such as `Europe/Berlin` or `UTC`")
        }
        CronFault::BadExpression { expected } => Error::input("input.cron", cron, expected),
        CronFault::NeverFires => Error::input("input.cron", cron, "times that come: no day of the calendar matches"),
        CronFault::TooOften { interval, minimum } => {
            let got = format!("`{cron}`, which fires {} s after another time", interval.as_secs());
            Error::input("input.cron", got, format!("at least {} s between two firings", minimum.as_secs()))
        }
    };
    let parsed = Cron::parse(cron, time_zone).map_err(refused)?;
    parsed.check_interval(app.config.schedule.min_interval, at).map_err(refused)?;
    Ok(parsed.next_after(at))
}

fn name_taken(name: &str) -> Error {
    Error::refused(Code::AlreadyExists, "input.name", name, "a name that no other schedule has")
}

fn is_built_in(id: Uuid, expected: &str) -> Error {
    Error::input("input.id", Kind::Schedule.encode(id), expected)
}
