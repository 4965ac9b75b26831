//! Schedules of the house itself: what each does, and when. Their times are settings; callers may only turn them off.

use cron::Cron;
use serde_json::Value as Json;
use settings::ScheduleSettings;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::store::schedules::{self, MissedRuns, Schedule};

/// What the leader does itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chore {
    /// Takes up the jobs of lost workers.
    Sweep,
    /// Enqueues the index builds that are due.
    Indexes,
    /// Counts the queues.
    Statistics,
    /// Deletes expired documents.
    Expiry,
    /// Removes what has been over for long.
    Retention,
}

impl Chore {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Sweep, Self::Indexes, Self::Statistics, Self::Expiry, Self::Retention];

    /// Name and kind of its schedule.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sweep => "sweep",
            Self::Indexes => "indexes",
            Self::Statistics => "statistics",
            Self::Expiry => "expiry",
            Self::Retention => "retention",
        }
    }

    /// The chore of a schedule's kind.
    pub fn of_kind(kind: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|chore| chore.name() == kind)
    }

    /// Its times: cron with seconds, in UTC.
    fn cron(self, settings: &ScheduleSettings) -> &str {
        match self {
            Self::Sweep => &settings.sweep,
            Self::Indexes => &settings.indexes,
            Self::Statistics => &settings.statistics,
            Self::Expiry => &settings.expiry,
            Self::Retention => &settings.retention,
        }
    }
}

/// Time zone of the built-in schedules.
const TIME_ZONE: &str = "UTC";

/// The times of any schedule: built-in ones have seconds.
pub fn cron_of(schedule: &Schedule) -> Result<Cron> {
    let parsed = match schedule.tenant_id {
        None => Cron::with_seconds(&schedule.cron, &schedule.time_zone),
        Some(_) => Cron::parse(&schedule.cron, &schedule.time_zone),
    };
    parsed.map_err(|fault| Error::fault("schedule.cron", format!("`{}`: {fault}", schedule.cron)))
}

/// Makes the built-in schedules, and gives them their times where the settings say other ones.
pub async fn keep(app: &App) -> Result<()> {
    for chore in Chore::ALL {
        let cron = chore.cron(&app.config.schedule);
        let parsed = Cron::with_seconds(cron, TIME_ZONE);
        let parsed = parsed.map_err(|fault| Error::fault("schedule", format!("`{cron}`: {fault}")))?;
        let schedule = Schedule {
            id: Uuid::now_v7(),
            tenant_id: None,
            collection_id: None,
            name: chore.name().to_owned(),
            kind: chore.name().to_owned(),
            payload: Json::Object(serde_json::Map::new()),
            cron: cron.to_owned(),
            time_zone: TIME_ZONE.to_owned(),
            missed: MissedRuns::RunOnce,
            enabled: true,
            next_run_at: parsed.next_after(app.now()),
            last_run_at: None,
            last_job_id: None,
            error_code: None,
            error_message: None,
            created_at: app.now(),
            updated_at: app.now(),
        };
        schedules::keep_built_in(app.store.db(), &schedule).await?;
    }
    Ok(())
}
