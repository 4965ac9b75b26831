//! Calls of several holders, in any order, against the database and the model.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;
use vectorforge::backoff::Backoff;
use vectorforge::error::{Code, Error, Result};
use vectorforge::queue::steer::{Selection, Steering, steer};
use vectorforge::queue::{self, Claim, Failed, Kinds, NewJob, Settler, WorkerSettings, sweep};
use vectorforge::store::entity::job::{JobState, Model as Row};
use vectorforge::store::{DEFAULT_TENANT, Transaction};

use super::calls::{Call, HOLDERS, JOBS};
use super::model::Job;
use crate::support::TestApp;

const MAX_ATTEMPTS: u32 = 3;
const LEASE: Duration = Duration::from_secs(3600);

/// Plays a sequence, and compares after every call.
pub async fn play(app: &TestApp, transitions: &BTreeSet<(String, String)>, calls: Vec<Call>) {
    app.database.execute("DELETE FROM jobs").await;
    assert_eq!(app.database.number("SELECT count(*) FROM job_events").await, 0, "they go with their jobs");
    let backoff = Backoff { base: Duration::ZERO, max: Duration::ZERO };
    let settings = WorkerSettings { backoff, ..WorkerSettings::of(&app.app.config) };
    let settler = Settler { store: app.app.store.clone(), kinds: Kinds::default(), settings };
    let holders = (0..HOLDERS).map(|_| Uuid::now_v7()).collect();
    let mut table = Table { app, settler, holders, jobs: Vec::new(), leases: Vec::new() };
    for call in calls {
        table.make(&call).await;
        table.compare(&call).await;
    }
    table.compare_events(transitions).await;
}

struct Table<'a> {
    app: &'a TestApp,
    settler: Settler,
    holders: Vec<Uuid>,
    jobs: Vec<Job>,
    /// Every lease ever given.
    leases: Vec<Row>,
}

impl Table<'_> {
    async fn make(&mut self, call: &Call) {
        match *call {
            Call::Enqueue { .. } if self.jobs.len() == JOBS => {}
            Call::Enqueue { is_later } => self.enqueue(is_later).await,
            Call::Promote => {
                while queue::promote_due(&self.settler.store).await.expect("promotes") > 0 {}
                self.jobs.iter_mut().for_each(Job::promote);
            }
            Call::Lease { holder, limit } => self.lease(self.holders[holder], limit).await,
            Call::Renew { holder } => self.renew(self.holders[holder]).await,
            Call::GiveBack { holder } => {
                let holder = self.holders[holder];
                let given = queue::give_back(self.settler.store.db(), holder).await.expect("gives back");
                let held = self.held(holder);
                assert_eq!(given, held.len() as u64);
                held.into_iter().for_each(Job::give_back);
            }
            Call::Crash { holder } => {
                let holder = self.holders[holder];
                let sql =
                    format!("UPDATE jobs SET lease_until = now() - interval '1 s' WHERE lease_holder = '{holder}'");
                self.app.database.execute(&sql).await;
                let found = sweep(&self.settler).await.expect("sweeps");
                let held = self.held(holder);
                assert_eq!(found, held.len());
                held.into_iter().for_each(|job| job.fail("WORKER_LOST", true));
            }
            Call::BecomeDue { job }
            | Call::Cancel { job }
            | Call::Retry { job, .. }
            | Call::SetPriority { job, .. } => {
                if !self.jobs.is_empty() {
                    self.steer(call, job % self.jobs.len()).await;
                }
            }
            Call::SetProgress { lease, .. }
            | Call::FinishStep { lease, .. }
            | Call::Succeed { lease, .. }
            | Call::Fail { lease, .. }
            | Call::WaitForProvider { lease, .. } => {
                // The newest first: otherwise most would be lost ones.
                if let Some(lease) = self.leases.iter().rev().nth(lease).cloned() {
                    self.write(call, lease).await;
                }
            }
        }
    }

    async fn enqueue(&mut self, is_later: bool) {
        let now = self.app.app.now();
        let run_at = if is_later { now + TimeDelta::hours(1) } else { now };
        let new = NewJob { run_at, ..NewJob::new("ingest", "test", (1, json!({})), MAX_ATTEMPTS, now) };
        self.jobs.push(Job::new(new.id, is_later, MAX_ATTEMPTS.cast_signed()));
        let tx = self.settler.store.begin().await.expect("begins");
        queue::enqueue(&tx, DEFAULT_TENANT, vec![new]).await.expect("enqueues");
        tx.commit().await.expect("commits");
    }

    async fn lease(&mut self, holder: Uuid, limit: usize) {
        let claim = Claim { queue: "ingest", holder, lease: LEASE, limit, after_tenant: Uuid::nil() };
        let taken = queue::lease(self.settler.store.db(), claim).await.expect("takes");
        let waiting = |job: &&Job| job.state == JobState::Pending;
        let highest = self.jobs.iter().filter(waiting).map(|job| job.priority).max();
        let ready = self.jobs.iter().filter(waiting).filter(|job| Some(job.priority) == highest).count();
        assert_eq!(taken.len(), ready.min(limit));
        for row in taken {
            let job = self.jobs.iter_mut().find(|job| job.id == row.id).expect("one of ours");
            assert_eq!((job.state, Some(job.priority)), (JobState::Pending, highest));
            assert_eq!(row.lease_holder, Some(holder));
            job.lease(&row);
            self.leases.push(row);
        }
    }

    async fn renew(&mut self, holder: Uuid) {
        let asked = self.jobs.iter().map(|job| job.id).collect();
        let mut kept = queue::renew(self.settler.store.db(), holder, LEASE, asked).await.expect("renews");
        let mut held: Vec<_> = self.held(holder).into_iter().filter_map(|job| Some((job.id, job.token?))).collect();
        kept.sort_unstable();
        held.sort_unstable();
        assert_eq!(kept, held);
    }

    fn held(&mut self, holder: Uuid) -> Vec<&mut Job> {
        self.jobs.iter_mut().filter(|job| job.holder == Some(holder)).collect()
    }

    async fn steer(&mut self, call: &Call, place: usize) {
        let job = &mut self.jobs[place];
        let (steering, left) = match *call {
            Call::Cancel { .. } => (Steering::Cancel, job.cancel()),
            Call::Retry { attempts, .. } => (Steering::Retry { attempts }, job.retry(attempts.cast_signed())),
            Call::SetPriority { priority, .. } => (Steering::SetPriority(priority), job.set_priority(priority)),
            _ => {
                job.is_due = true;
                let sql = format!("UPDATE jobs SET run_at = now() - interval '1 s' WHERE id = '{}'", job.id);
                return self.app.database.execute(&sql).await;
            }
        };
        let selection = Selection::Ids(vec![job.id]);
        let steered = steer(&self.settler.store, &self.settler.kinds, DEFAULT_TENANT, selection, steering, 1).await;
        let steered = steered.expect("steers");
        assert_eq!(steered.left.first().map(|left| left.reason), left, "{call:?}");
        assert_eq!(steered.changed.len(), usize::from(left.is_none()), "{call:?}");
    }

    /// What a worker writes under a lease that it has, or believes to have.
    async fn write(&mut self, call: &Call, lease: Row) {
        let outcome = match *call {
            Call::Fail { is_transient, .. } => {
                let error = if is_transient {
                    Error::unavailable("reach it", std::io::Error::other("down"))
                } else {
                    Error::input("job.payload", "nonsense", "sense")
                };
                self.settler.failed(&lease, "first", &error).await
            }
            Call::Succeed { is_batched: true, .. } => {
                let ended = [(lease.id, lease.lease_token, lease.queue.clone())];
                queue::succeed_all(&self.settler.store, &ended).await
            }
            _ => self.write_in_transaction(call, &lease).await,
        };
        let job = self.jobs.iter_mut().find(|job| job.id == lease.id).expect("jobs stay");
        let is_silent = matches!(call, Call::Succeed { is_batched: true, .. });
        let code = outcome.err().map(|error| error.code);
        let expected = (!job.is_under(&lease) && !is_silent).then_some(Code::LeaseLost);
        assert_eq!(code, expected, "{call:?}");
        if !job.is_under(&lease) {
            return;
        }
        match *call {
            Call::SetProgress { done, .. } => (job.done, job.total) = (done.into(), Some(5)),
            Call::FinishStep { name, .. } => drop(job.steps.insert(name.to_owned())),
            Call::Succeed { .. } => job.succeed(),
            Call::Fail { is_transient: true, .. } => job.fail("UNAVAILABLE", true),
            Call::Fail { .. } => job.fail("BAD_USER_INPUT", false),
            _ => {
                job.leave(JobState::Retrying);
                job.attempts -= 1;
                job.error = Some("RATE_LIMITED".to_owned());
                job.is_due = matches!(call, Call::WaitForProvider { is_over: true, .. });
            }
        }
    }

    async fn write_in_transaction(&self, call: &Call, lease: &Row) -> Result<()> {
        let tx: Transaction = self.settler.store.begin().await?;
        match *call {
            Call::SetProgress { done, .. } => queue::set_progress(&tx, lease, done, 5, "chunks").await?,
            Call::FinishStep { name, .. } => {
                queue::steps::finish_step(&tx, lease, name, json!(1), Some("second")).await?;
            }
            Call::WaitForProvider { is_over, .. } => {
                let until = self.app.app.now() + TimeDelta::hours(if is_over { -1 } else { 1 });
                let failed = Failed { code: "RATE_LIMITED", message: "slow down", stage: None };
                queue::postpone(&tx, lease, until, failed).await?;
            }
            _ => queue::succeed(&tx, lease).await?,
        }
        tx.commit().await.map_err(|error| Error::internal("commit", error))
    }

    /// Every row is what the model says.
    async fn compare(&self, call: &Call) {
        let (db, ids) = (self.settler.store.db(), self.jobs.iter().map(|job| job.id).collect::<Vec<_>>());
        let rows = queue::jobs::by_ids(db, DEFAULT_TENANT, &ids).await.expect("reads");
        let mut steps = queue::steps::steps_of(db, &ids).await.expect("reads");
        for job in &self.jobs {
            let steps = steps.remove(&job.id).unwrap_or_default().into_iter().map(|step| step.name).collect();
            let found = Job::of(&rows[&job.id], steps, job.is_due);
            assert_eq!(&found, job, "after {call:?}");
            assert!((0..=job.max_attempts).contains(&found.attempts), "{found:?} after {call:?}");
        }
    }

    /// The events of each job, replayed, are its way through the table; the queue's counts are the rows'.
    async fn compare_events(&self, transitions: &BTreeSet<(String, String)>) {
        for job in &self.jobs {
            let sql = format!(
                "SELECT concat_ws(' ', e.sequence, e.state, e.attempts, e.lease, e.priority, e.progress_done)
                 FROM job_events e WHERE e.job_id = '{}' ORDER BY e.sequence",
                job.id
            );
            let events = self.app.database.texts(&sql).await;
            let events: Vec<Vec<&str>> = events.iter().map(|event| event.split(' ').collect()).collect();
            for (place, event) in events.iter().enumerate() {
                assert_eq!(event[0], (place + 1).to_string(), "{events:?}");
            }
            let states = || events.iter().map(|event| event[1]);
            for (from, to) in std::iter::once("").chain(states()).zip(states()) {
                let is_move = transitions.contains(&(from.to_owned(), to.to_owned()));
                assert!(from == to || is_move, "from {from} to {to}: {events:?}");
            }
            let sql = format!(
                "SELECT concat_ws(' ', last_event, state, attempts, leases, priority, progress_done) FROM jobs
                 WHERE id = '{}'",
                job.id
            );
            let row = self.app.database.texts(&sql).await.remove(0);
            assert_eq!(events.last().expect("it was enqueued").join(" "), row, "{events:?}");
        }
        let counts = "SELECT concat_ws(' ', state, sum(jobs)) FROM (SELECT * FROM queue_counts
            UNION ALL SELECT * FROM queue_count_changes) AS c GROUP BY state HAVING sum(jobs) <> 0 ORDER BY 1";
        let rows = "SELECT concat_ws(' ', state, count(*)) FROM jobs GROUP BY state ORDER BY 1";
        assert_eq!(self.app.database.texts(counts).await, self.app.database.texts(rows).await);
    }
}
