//! Leases of this process: renewed by one task in one statement, whatever the workers do; and the leases of lost
//! processes, taken up again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use tokio::sync::{OwnedRwLockReadGuard, RwLock, RwLockWriteGuard};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::fence::NO_LEASE;
use super::processes::{self, WorkerCard};
use super::settle::Settler;
use super::turn::FRONT;
use super::{ActiveJob, Kinds};
use crate::causes::warn_of;
use crate::error::{Code, Error, Result};
use crate::lock::lock;
use crate::store::entity::job;
use crate::store::listen::{JOB_EVENTS_CHANNEL, JOBS_CHANNEL, LOST, Signals};
use crate::store::{Doing, Store, Transaction, disk, millis};

/// The leases that this process holds.
#[derive(Debug, Clone)]
pub(super) struct Leases {
    /// This process, anew at every start.
    pub holder: Uuid,
    /// How long a lease lasts without renewal.
    pub duration: Duration,
    stop: CancellationToken,
    held: Arc<Mutex<HashMap<(Uuid, Uuid), Held>>>,
    /// Shared by all who take jobs; alone has it who gives leases back.
    taking: Arc<RwLock<()>>,
}

/// How who works under a lease is told to give up.
#[derive(Debug)]
struct Held {
    stop: CancellationToken,
    lost: CancellationToken,
}

impl Leases {
    /// No lease yet. `stop` cancelled cancels all jobs.
    pub fn new(duration: Duration, stop: CancellationToken) -> Self {
        Self { holder: Uuid::now_v7(), duration, stop, held: Arc::default(), taking: Arc::default() }
    }

    /// Kept by who takes jobs until the database has answered; waits for ever once leases are given back.
    pub(super) async fn taking(&self) -> OwnedRwLockReadGuard<()> {
        self.taking.clone().read_owned().await
    }

    /// Waits until nobody takes jobs; while it is kept, nobody begins to.
    pub(super) async fn no_more_taking(&self) -> RwLockWriteGuard<'_, ()> {
        self.taking.write().await
    }

    /// Notes a job taken, to be told when its lease is lost or the process stops.
    pub(super) fn watch(&self, row: job::Model, kinds: Kinds) -> ActiveJob {
        let (stop, lost) = (self.stop.child_token(), CancellationToken::new());
        let held = Held { stop: stop.clone(), lost: lost.clone() };
        self.lock().insert((row.id, row.lease_token.unwrap_or_default()), held);
        ActiveJob { row, kinds, stop, lost }
    }

    /// Notes a job settled.
    pub(super) fn forget(&self, job: &job::Model) {
        self.lock().remove(&(job.id, job.lease_token.unwrap_or_default()));
    }

    /// Renews for ever, and tells that this worker is there. Looks at once when someone's lease was taken away: perhaps
    /// one of these. A database that does not answer is tried again; when it stays away longer than the lease, the
    /// jobs end by their fences.
    pub async fn keep(self, store: Store, signals: Signals, interval: Duration, card: WorkerCard) -> Result<()> {
        let mut ticks = tokio::time::interval(interval);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut taken_away = signals.join(JOBS_CHANNEL, LOST);
        loop {
            tokio::select! {
                _ = ticks.tick() => if let Err(error) = processes::tell(store.db(), &card).await {
                    warn_of!(error);
                },
                () = taken_away.signal() => {}
            }
            let asked: Vec<_> = self.lock().keys().copied().collect();
            if asked.is_empty() {
                continue;
            }
            let jobs = asked.iter().map(|(id, _)| *id).collect();
            match renew(store.db(), self.holder, self.duration, jobs).await {
                Ok(kept) => self.cancel_lost(&asked, &kept),
                Err(error) => warn_of!(error),
            }
        }
    }

    /// Tells those who work under a lost lease. It stays noted until they have given up.
    fn cancel_lost(&self, asked: &[(Uuid, Uuid)], kept: &[(Uuid, Uuid)]) {
        let held = self.lock();
        for lease in asked.iter().filter(|lease| !kept.contains(lease)) {
            if let Some(Held { stop, lost }) = held.get(lease) {
                lost.cancel();
                stop.cancel();
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(Uuid, Uuid), Held>> {
        lock(&self.held)
    }
}

/// Jobs looked at per sweep: after a crash of many workers the rest is done by the next one.
const SWEEP_LIMIT: u64 = 1000;

/// Puts back, or ends as dead, the jobs whose worker is gone. Any number of processes may sweep at once. While the disk
/// is full nobody is taken for lost: nobody can renew a lease, and afterwards everyone gets the time of one for it.
/// Gives how many it found.
pub async fn sweep(settler: &Settler) -> Result<usize> {
    if disk::was_full_within(settler.settings.lease) {
        return Ok(0);
    }
    let (mut found, db) = (0, settler.store.db());
    for job in expired(db, SWEEP_LIMIT).await? {
        tracing::warn!(job = %job.id, kind = job.kind, attempt = job.attempts, "a worker was lost; its job is taken up again");
        match settler.lost(&job).await {
            Ok(()) => found += 1,
            // Somebody else was faster, or its worker came back.
            Err(error) if error.code == Code::LeaseLost => {}
            Err(error) if error.code.is_outage() => return Err(error),
            // One job that cannot be settled keeps no other from it.
            Err(error) => warn_of!(error, job = %job.id),
        }
    }
    Ok(found)
}

/// Prolongs a process's leases on these jobs in one statement, and tells which of them it still holds. Leases on others
/// run out: nobody works on those.
pub async fn renew(
    db: &impl ConnectionTrait,
    holder: Uuid,
    lease: Duration,
    jobs: Vec<Uuid>,
) -> Result<Vec<(Uuid, Uuid)>> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "UPDATE jobs SET lease_until = now() + $2 * interval '1 ms'
         WHERE lease_holder = $1 AND id = ANY($3) RETURNING id, lease_token",
        [holder.into(), millis(lease).into(), jobs.into()],
    );
    let rows = db.query_all_raw(statement).await.doing("renew leases")?;
    rows.iter()
        .map(|row| Ok((row.try_get_by_index(0)?, row.try_get_by_index(1)?)))
        .collect::<Result<_, sea_orm::DbErr>>()
        .doing("renew leases")
}

/// Jobs whose lease ran out: their worker is gone or stalled.
pub async fn expired(db: &impl ConnectionTrait, limit: u64) -> Result<Vec<job::Model>> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT * FROM jobs WHERE state = 'RUNNING' AND lease_until < now() ORDER BY lease_until LIMIT $1",
        [limit.cast_signed().into()],
    );
    job::Model::find_by_statement(question).all(db).await.doing("look for lost workers' jobs")
}

/// Locks a job whose lease ran out; `LEASE_LOST` where it was renewed or somebody else was faster.
pub async fn confirm_expired(tx: &Transaction, job: &job::Model) -> Result<()> {
    let question = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "SELECT 1 FROM jobs WHERE id = $1 AND lease_token = $2 AND state = 'RUNNING' AND lease_until < now() FOR UPDATE",
        [job.id.into(), job.lease_token.into()],
    );
    let row = tx.query_one_raw(question).await.doing("look for the lost worker's job")?;
    row.map(|_| ()).ok_or_else(Error::lease_lost)
}

/// Gives back every lease of a process that stops, to be taken first. Not counted as attempts: nobody failed.
pub async fn give_back(db: &impl ConnectionTrait, holder: Uuid) -> Result<u64> {
    let sql = format!(
        "WITH given AS (
            UPDATE jobs SET state = 'PENDING', {NO_LEASE}, attempts = attempts - 1, turn = {FRONT}
            WHERE lease_holder = $1 AND state = 'RUNNING' RETURNING id, queue
        ), woken AS (
            SELECT pg_notify($2, queue), pg_notify($3, queue) FROM (SELECT DISTINCT queue FROM given) AS queues
        ), told AS (SELECT pg_notify($3, id::text) FROM given)
        SELECT (SELECT count(*) FROM given), (SELECT count(*) FROM woken), (SELECT count(*) FROM told)"
    );
    let values = [holder.into(), JOBS_CHANNEL.into(), JOB_EVENTS_CHANNEL.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Postgres, sql, values);
    let row = db.query_one_raw(statement).await.doing("give leases back")?;
    let given = row.map_or(Ok(0), |row| row.try_get_by_index::<i64>(0)).doing("give leases back")?;
    Ok(given.cast_unsigned())
}
