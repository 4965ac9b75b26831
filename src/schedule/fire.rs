//! Firing what is due: the job and the schedule's next time are one transaction, under the lock of the schedule's row.
//! So a firing is neither lost nor doubled, whoever leads and whenever it is killed.

use chrono::{DateTime, Utc};
use cron::{Due, Missed, due};
use uuid::Uuid;

use super::built_in;
use crate::app::App;
use crate::causes::warn_of;
use crate::error::Result;
use crate::queue::{Kinds, NewJob, Uniqueness, enqueue_unique};
use crate::store::schedules::{self, Fired, MissedRuns, Schedule};
use crate::store::{Doing, Transaction};

/// Fires the schedule that has been due longest, those of `looked_at` left out. Gives it as it was; none where nothing
/// is due. One that fails keeps its time, says why, and stands in nobody's way.
pub async fn fire_next(app: &App, kinds: &Kinds, looked_at: &[Uuid]) -> Result<Option<Schedule>> {
    let tx = app.store.begin().await?;
    let Some(schedule) = schedules::lock_due(&tx, app.now(), looked_at).await? else { return Ok(None) };
    match fire(app, kinds, tx, &schedule).await {
        Err(error) if !error.code.is_outage() => {
            let told = Some((error.code.as_str(), &*error.message));
            // It is tried again at every look: said once.
            if schedules::set_error(app.store.db(), schedule.id, told).await? {
                warn_of!(error, schedule = schedule.name);
            }
        }
        fired => fired?,
    }
    Ok(Some(schedule))
}

/// Decides which firings to start, and starts them, all in the transaction that locks the schedule.
async fn fire(app: &App, kinds: &Kinds, tx: Transaction, schedule: &Schedule) -> Result<()> {
    let (now, config) = (app.now(), &app.config.schedule);
    let cron = built_in::cron_of(schedule)?;
    let due_at = schedule.next_run_at.unwrap_or(now);
    let missed = missed(schedule.missed);
    let Due { firings, next, skipped } = due(&cron, missed, due_at, now, config.missed_grace, config.catch_up_limit);
    if skipped > 0 {
        tracing::warn!(schedule = schedule.name, skipped, "runs were missed and are left out");
    }
    let mut fired = Fired { next, last: firings.last().copied(), job: None };
    // Without a tenant it is built in: a chore, and no job.
    if let Some(tenant) = schedule.tenant_id {
        for at in firings {
            let job = NewJob { unique_key: Some(key(schedule, at)), ..job(app, kinds, schedule)? };
            fired.job = Some(job.id);
            enqueue_unique(&tx, tenant, job, &ever()).await?;
        }
        schedules::set_error(&tx, schedule.id, None).await?;
    }
    schedules::set_fired(&tx, schedule.id, &fired).await?;
    tx.commit().await.doing("fire the schedule")
}

fn key(schedule: &Schedule, at: DateTime<Utc>) -> String {
    format!("schedule:{}:{}", schedule.id, at.timestamp())
}

/// Each firing once, whatever became of its job: the net under the lock.
fn ever() -> Uniqueness {
    use crate::store::entity::job::JobState;
    let ended = [JobState::Succeeded, JobState::Cancelled, JobState::Dead];
    Uniqueness { states: JobState::UNFINISHED.into_iter().chain(ended).collect(), period: None }
}

/// The job of a firing.
pub(super) fn job(app: &App, kinds: &Kinds, schedule: &Schedule) -> Result<NewJob> {
    let (kind, provider) = kinds.schedulable(&schedule.kind)?;
    Ok(NewJob {
        collection_id: schedule.collection_id,
        schedule_id: Some(schedule.id),
        provider: provider(&schedule.payload),
        ..kind.job(&schedule.payload, app.config.queue.max_attempts, app.now())
    })
}

fn missed(missed: MissedRuns) -> Missed {
    match missed {
        MissedRuns::Skip => Missed::Skip,
        MissedRuns::RunOnce => Missed::RunOnce,
        MissedRuns::RunAll => Missed::RunAll,
    }
}
