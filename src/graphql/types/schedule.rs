//! `Schedule` and the input that makes and changes it.

use std::path::PathBuf;

use async_graphql::{Context, Description, Enum, ID, InputObject, Object, OneofObject, SimpleObject};
use fetch::Source;
use serde_json::{Value as Json, json};

use super::collection::Collection;
use super::document::Failure;
use super::job::Job;
use crate::graphql::check;
use crate::graphql::context::ContextExt;
use crate::graphql::fault::{OrFault, Result};
use crate::graphql::loader::{CollectionById, JobById};
use crate::graphql::name;
use crate::graphql::types::date_time::DateTime;
use crate::id::Kind;
use crate::ingest::pull;
use crate::schedule::built_in;
use crate::schedule::manage::{NewSchedule, ScheduleChange, Work};
use crate::store::schedules::{MissedRuns as StoredMissedRuns, Schedule as Row};

/// Work that recurs at the times of a cron expression: each firing enqueues a job, exactly once, whichever process
/// leads.
#[derive(Description)]
pub struct Schedule(pub Row);

impl From<Row> for Schedule {
    fn from(row: Row) -> Self {
        Self(row)
    }
}

/// Most firings that are shown.
const NEXT_RUNS_LIMIT: usize = 50;

#[Object(use_type_description)]
impl Schedule {
    /// Global id, `sch_…`.
    pub async fn id(&self) -> ID {
        ID(Kind::Schedule.encode(self.0.id))
    }

    /// Unique among the schedules; 1-255 characters.
    async fn name(&self) -> &str {
        &self.0.name
    }

    /// What it does: `ingest_source` enqueues a job of this kind; built in are `sweep`, `indexes`, `statistics`,
    /// `expiry` and `retention`, which make no jobs.
    async fn kind(&self) -> &str {
        &self.0.kind
    }

    /// What it does it with, as it was given; `{}` for a built-in one.
    async fn payload(&self) -> Json {
        match pull::parse(&self.0.payload) {
            None => self.0.payload.clone(),
            Some(pull::Payload { collection_id, source, prune }) => {
                let source = match source {
                    Source::Directory { path } => json!({ "directory": path }),
                    Source::Urls { urls } => json!({ "urls": urls }),
                };
                json!({ "collectionId": Kind::Collection.encode(collection_id), "source": source, "prune": prune })
            }
        }
    }

    /// When it fires: minute, hour, day of month, month, day of week; for a built-in one with the second before them.
    async fn cron(&self) -> &str {
        &self.0.cron
    }

    /// The time zone in which `cron` is read, such as `Europe/Berlin`.
    async fn time_zone(&self) -> &str {
        &self.0.time_zone
    }

    /// What becomes of firings that were missed because no process ran.
    async fn missed_runs(&self) -> MissedRuns {
        self.0.missed.into()
    }

    /// Whether it fires.
    async fn enabled(&self) -> bool {
        self.0.enabled
    }

    /// Whether it is one of the server's own: its times are settings, and it can only be disabled and enabled.
    async fn is_built_in(&self) -> bool {
        self.0.tenant_id.is_none()
    }

    /// The next times at which it fires; none while it is disabled.
    async fn next_runs(
        &self,
        ctx: &Context<'_>,
        #[graphql(default = 5, desc = "How many, 1-50.")] count: i32,
    ) -> Result<Vec<DateTime>> {
        let count = check::page_size("count", count, NEXT_RUNS_LIMIT).or_fault()?;
        if !self.0.enabled {
            return Ok(Vec::new());
        }
        // One that cannot be read fires never; its error says so.
        let cron = built_in::cron_of(&self.0).ok();
        let upcoming = cron.map(|cron| cron.upcoming(ctx.app().now(), count as usize)).unwrap_or_default();
        Ok(upcoming.into_iter().map(DateTime::from).collect())
    }

    /// When it fires next; a moment ago where it is just about to. Null while it is disabled.
    async fn next_run_at(&self) -> Option<DateTime> {
        self.0.next_run_at.filter(|_| self.0.enabled).map(Into::into)
    }

    /// The time of its last firing; where a caller ran it, when that was.
    async fn last_run_at(&self) -> Option<DateTime> {
        self.0.last_run_at.map(Into::into)
    }

    /// The job that it enqueued last; null where it is removed or there was none.
    async fn last_job(&self, ctx: &Context<'_>) -> Result<Option<Job>> {
        let Some(id) = self.0.last_job_id else { return Ok(None) };
        Ok(ctx.loader().load_one(JobById(id)).await.or_fault()?.map(Job))
    }

    /// What its last job could not do, or why there was none: `SOURCE_INCOMPLETE` where documents could not be taken in,
    /// some or all of them, which the job's `sourceReport` names. Null where the job did all of its work, and until it
    /// has ended.
    async fn error(&self) -> Option<Failure> {
        Failure::of(self.0.error_code.as_deref(), self.0.error_message.as_deref())
    }

    /// The collection that it works for. It is removed with it.
    async fn collection(&self, ctx: &Context<'_>) -> Result<Option<Collection>> {
        let Some(id) = self.0.collection_id else { return Ok(None) };
        Ok(ctx.loader().load_one(CollectionById(id)).await.or_fault()?.map(Collection))
    }

    /// When it was made.
    async fn created_at(&self) -> DateTime {
        self.0.created_at.into()
    }

    /// When it was last changed.
    async fn updated_at(&self) -> DateTime {
        self.0.updated_at.into()
    }
}

/// What becomes of firings that were missed because no process ran. One that is late by at most a minute (a setting) is
/// not missed.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "StoredMissedRuns")]
pub enum MissedRuns {
    /// Nothing: the next one comes by itself.
    Skip,
    /// One run in place of all of them.
    RunOnce,
    /// Each of them is run, the oldest first.
    RunAll,
}

/// A schedule to be made.
#[derive(InputObject)]
pub struct CreateScheduleInput {
    /// 1-255 characters, unique; kept as the name of a collection is.
    name: String,
    /// Minute (0-59), hour (0-23), day of month (1-31), month (1-12 or `JAN`-`DEC`), day of week (0-7 or `SUN`-`SAT`; 0
    /// and 7 are Sunday), such as `30 3 * * MON-FRI`; or `@hourly`, `@daily`, `@weekly`, `@monthly`, `@yearly`. A field
    /// is `*`, a value, a range (`9-17`), a step through one of both (`*/15`, `9-17/2`; at most as long as what it steps
    /// through), or a list of these (`0,30`).
    ///
    /// Days have more: `L` is the last day of the month, `5L` the month's last Friday, `15W` the working day nearest to
    /// the 15th, `LW` the month's last working day, `1#2` the month's second Monday, `?` the same as `*`. Where day of
    /// month and day of week are both given, a day that matches either of them fires: `0 0 13 * 5` on every 13th and on
    /// every Friday. With `+` before the day of week it has to match both: `0 0 13 * +5`.
    ///
    /// At least 60 seconds (a setting) between two firings. Where the clock jumps, a time that it leaves out fires at
    /// the jump, and one that it shows twice fires once; but where minute or hour begin with `*`, firings follow the
    /// clock.
    cron: String,
    /// IANA name of the time zone in which `cron` is read.
    #[graphql(default_with = "\"UTC\".to_owned()")]
    time_zone: String,
    /// What becomes of firings that were missed because no process ran.
    #[graphql(default_with = "MissedRuns::RunOnce")]
    missed_runs: MissedRuns,
    /// Whether it fires.
    #[graphql(default = true)]
    enabled: bool,
    /// What it does.
    job: ScheduledJobInput,
}

/// What a schedule does.
#[derive(OneofObject)]
pub enum ScheduledJobInput {
    /// Takes documents in from a source.
    IngestSource(IngestSourceInput),
}

/// Takes documents in from a source: new and changed ones are indexed, unchanged ones left alone.
#[derive(InputObject)]
pub struct IngestSourceInput {
    /// Where to: a collection with an embedding model.
    collection_id: ID,
    /// Where from.
    source: SourceInput,
    /// Whether the collection's documents that have gone from the source are deleted; otherwise they stay. Of a
    /// directory: those whose files were in it and are no longer there; none where a directory in it could not be read
    /// or it holds no file at all, as one that is not mounted. Of URLs: those that the server answers with 404 or 410,
    /// and no others; one that was taken out of the list stays.
    #[graphql(default = false)]
    prune: bool,
}

/// Where documents come from.
#[derive(OneofObject)]
pub enum SourceInput {
    /// Absolute path of a directory on the machines that run the workers, under one that the operator allows (the setting
    /// `source.directories`). Every file in it and below in a format that can be loaded; hidden files and links are
    /// left out. Where there is none, the run fails with SOURCE_INCOMPLETE.
    Directory(String),
    /// Web pages, 1 to 10,000 (a setting): `http` or `https`, on the public internet (a setting). Links are not
    /// followed.
    Urls(Vec<String>),
}

impl ScheduledJobInput {
    fn checked(self) -> crate::error::Result<Work> {
        let Self::IngestSource(IngestSourceInput { collection_id, source, prune }) = self;
        let field = "input.job.ingestSource";
        let source = match source {
            SourceInput::Urls(urls) => Source::Urls { urls },
            SourceInput::Directory(path) => {
                let path = check::text(&format!("{field}.source.directory"), path, 1, check::URI_LIMIT)?;
                Source::Directory { path: PathBuf::from(path) }
            }
        };
        let collection_id = Kind::Collection.decode(&format!("{field}.collectionId"), &collection_id)?;
        Ok(Work { collection_id, source, prune })
    }
}

impl CreateScheduleInput {
    /// The checked input.
    pub fn checked(self) -> crate::error::Result<NewSchedule> {
        Ok(NewSchedule {
            name: name::name("input.name", &self.name)?,
            cron: self.cron,
            time_zone: self.time_zone,
            missed: self.missed_runs.into(),
            enabled: self.enabled,
            work: self.job.checked()?,
        })
    }
}

/// A change to a schedule; what is left out stays. Of a built-in one only `enabled` may be given.
#[derive(InputObject)]
pub struct UpdateScheduleInput {
    /// Which.
    pub id: ID,
    /// New name, 1-255 characters.
    name: Option<String>,
    /// New times, as in `CreateScheduleInput`.
    cron: Option<String>,
    /// New time zone.
    time_zone: Option<String>,
    /// What becomes of missed firings.
    missed_runs: Option<MissedRuns>,
    /// Whether it fires. Turned on again, its next firing is the next one from now.
    enabled: Option<bool>,
    /// What it does.
    job: Option<ScheduledJobInput>,
}

impl UpdateScheduleInput {
    /// The checked change.
    pub fn checked(self) -> crate::error::Result<ScheduleChange> {
        Ok(ScheduleChange {
            name: name::optional_name("input.name", self.name.as_deref())?,
            cron: self.cron,
            time_zone: self.time_zone,
            missed: self.missed_runs.map(Into::into),
            enabled: self.enabled,
            work: self.job.map(ScheduledJobInput::checked).transpose()?,
        })
    }
}

/// A schedule that was made or changed.
#[derive(SimpleObject)]
pub struct SchedulePayload {
    /// As it is now.
    pub schedule: Schedule,
}

/// A schedule that was removed.
#[derive(SimpleObject)]
pub struct DeleteSchedulePayload {
    /// Its id.
    pub deleted_schedule_id: ID,
}

/// A schedule that was run.
#[derive(SimpleObject)]
pub struct RunSchedulePayload {
    /// Its job.
    pub job: Job,
    /// False where one of the schedule's jobs had not ended: then it is that one, and no other was enqueued.
    pub is_new: bool,
}

/// The whole list behind a page of schedules.
pub struct ScheduleTotal;

#[Object]
impl ScheduleTotal {
    /// Schedules in the whole list, not only on this page.
    async fn total_count(&self, ctx: &Context<'_>) -> Result<u64> {
        crate::store::schedules::count(ctx.app().store.db(), ctx.tenant()).await.or_fault()
    }
}
