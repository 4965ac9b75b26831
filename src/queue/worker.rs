//! Workers: one apalis worker per queue, each job in a task of its own, every step bounded in time and shielded from
//! panics.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{Data, ParallelizeExt, WorkerBuilder};
use metrics::{counter, histogram};
use serde_json::Value as Json;
use settings::Config;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::{JobBackend, JobSource, TakenJob};
use super::circuits::{self, CircuitSettings};
use super::finish::Finisher;
use super::leases::Leases;
use super::settle::Settler;
use super::{ActiveJob, Handler, Queue, Step, StepEnd, steps};
use crate::backoff::Backoff;
use crate::causes::warn_of;
use crate::error::{Code, Error, Result};
use crate::store::listen::{JOBS_CHANNEL, Signals};
use crate::store::{Doing, disk};

/// What all workers share.
#[derive(Debug, Clone, Copy)]
pub struct WorkerSettings {
    /// How often to look without a signal.
    pub poll: Duration,
    /// How long a lease lasts without renewal.
    pub lease: Duration,
    /// How often leases are renewed.
    pub heartbeat: Duration,
    /// Longest attempt at a step.
    pub timeout: Duration,
    /// Waits between attempts.
    pub backoff: Backoff,
    /// When providers are left alone.
    pub circuits: CircuitSettings,
    /// How long running jobs may go on once the process stops.
    pub grace: Duration,
}

impl WorkerSettings {
    /// As the settings of the process say.
    pub fn of(config: &Config) -> Self {
        let (queue, circuit) = (&config.queue, &config.circuit);
        Self {
            poll: queue.poll,
            lease: queue.lease,
            heartbeat: queue.heartbeat,
            timeout: queue.job_timeout,
            backoff: Backoff { base: queue.backoff_base, max: queue.backoff_max },
            circuits: CircuitSettings { failures: circuit.failures, open: circuit.open, open_max: circuit.open_max },
            grace: config.http.shutdown_grace,
        }
    }
}

/// What a worker of one queue runs with.
#[derive(Clone)]
pub(super) struct Worker {
    /// Its queue.
    pub queue: Queue,
    /// Wakes it.
    pub signals: Signals,
    /// Keeps its jobs.
    pub leases: Leases,
    /// Ends those that are done.
    pub finisher: Finisher,
    /// Settles those that failed.
    pub settler: Settler,
}

impl Worker {
    /// Runs until `stop`, then waits for the running jobs up to the grace.
    pub async fn run(self, stop: CancellationToken) -> Result<()> {
        let settings = self.settler.settings;
        let source = JobSource::new(&self);
        let worker = WorkerBuilder::new(format!("{}-{}", self.queue.name, self.leases.holder))
            .backend(JobBackend::new(source))
            .data(Arc::new(self))
            .parallelize(tokio::spawn)
            .build(attempt);
        let stopped = stop.clone();
        let mut running = tokio::spawn(worker.run_until(async move {
            stopped.cancelled().await;
            Ok::<_, std::io::Error>(())
        }));
        let overdue = async {
            stop.cancelled().await;
            tokio::time::sleep(settings.grace).await;
        };
        tokio::select! {
            ended = &mut running => ended
                .map_err(|panic| Error::internal("run the worker", panic))?
                .map_err(|cause| Error::internal("run the worker", cause)),
            () = overdue => {
                running.abort();
                Ok(())
            }
        }
    }

    /// Takes the steps that are not finished. On failure also tells at which.
    async fn execute(&self, job: &ActiveJob) -> Result<Finish, (&'static str, Error)> {
        let Some(handler) = self.settler.kinds.handler(&job.row.kind) else {
            let known = "a kind of job that this version knows";
            return Err(("", Error::refused(Code::BadUserInput, "job.kind", &job.row.kind, known)));
        };
        let steps = self.settler.kinds.steps(&job.row.kind);
        let first = steps.first().map_or("", |step| step.name);
        let finished = self.finished(job, steps).await.map_err(|error| (first, error))?;
        for (place, step) in steps.iter().enumerate().filter(|(_, step)| !finished.contains_key(step.name)) {
            let told = |error| (step.name, error);
            job.check().map_err(told)?;
            match self.take_step(handler, job, *step).await.map_err(told)? {
                StepEnd::JobEnded => return Ok(Finish::ByHandler),
                StepEnd::Done(result) if steps.len() > 1 => {
                    let next = steps.get(place + 1).map(|next| next.name);
                    self.store_step(job, step.name, result, next).await.map_err(told)?;
                }
                StepEnd::Done(_) | StepEnd::Stored => {}
            }
        }
        Ok(Finish::ByQueue)
    }

    async fn finished(&self, job: &ActiveJob, steps: &[Step]) -> Result<HashMap<String, Json>> {
        // Nobody finished a step of a job that nobody held before.
        if steps.len() < 2 || job.row.leases < 2 {
            return Ok(HashMap::new());
        }
        steps::finished_steps(self.settler.store.db(), job.row.id).await
    }

    async fn store_step(&self, job: &ActiveJob, name: &str, result: Json, next: Option<&str>) -> Result<()> {
        let tx = self.settler.store.begin().await?;
        steps::finish_step(&tx, &job.row, name, result, next).await?;
        tx.commit().await.doing("end the job's step")
    }

    /// Runs a step in a task of its own, so that its panic is an error and its time has an end.
    async fn take_step(&self, handler: &Arc<dyn Handler>, job: &ActiveJob, step: Step) -> Result<StepEnd> {
        let (work, handler) = (job.clone(), Arc::clone(handler));
        let mut task = tokio::spawn(async move { handler.run(&work, step.name).await });
        let longest = self.settler.settings.timeout;
        let limit = step.timeout.map_or(longest, |limit| limit.min(longest));
        match tokio::time::timeout(limit, &mut task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(Error::internal("run the job", panic)),
            Err(_) => {
                job.stop.cancel();
                task.abort();
                Err(Error::timeout("the job's attempt", limit))
            }
        }
    }

    async fn settle(&self, job: &ActiveJob, outcome: Result<Finish, (&'static str, Error)>) -> Result<()> {
        let row = &job.row;
        let answered = match (&outcome, &row.provider) {
            (Ok(_), Some(provider)) => circuits::close(self.settler.store.db(), provider).await,
            _ => Ok(false),
        };
        if answered.is_ok_and(|closed| closed) {
            tracing::info!(provider = row.provider, "the provider answers again");
            self.settler.store.bell().ring(JOBS_CHANNEL, self.queue.name);
        }
        match outcome {
            Ok(Finish::ByHandler) => self.leases.forget(row),
            Ok(Finish::ByQueue) => self.finisher.finish(row.clone()).await,
            // Given back with all others when the process stops; or somebody else's by now.
            Err((_, error)) if matches!(error.code, Code::Interrupted | Code::LeaseLost) => self.leases.forget(row),
            Err((stage, error)) => {
                if error.claim_log() {
                    tracing::warn!(job = %row.id, kind = row.kind, attempt = row.attempts, stage,
                        code = error.code.as_str(), cause = error.causes(), "job attempt failed: {error}");
                }
                let settled = self.settle_failed(job, stage, &error).await;
                self.leases.forget(row);
                settled?;
            }
        }
        Ok(())
    }

    /// A full disk takes no news of the job either: it keeps its lease and its place, which also keeps others from
    /// failing likewise, until there is room.
    async fn settle_failed(&self, job: &ActiveJob, stage: &str, error: &Error) -> Result<()> {
        let mut is_full = error.code == Code::StorageFull;
        loop {
            tokio::select! {
                () = disk::room(), if is_full => {}
                // Given back with all others, or somebody else's by now.
                () = job.stop.cancelled(), if is_full => return Ok(()),
                else => {}
            }
            match self.settler.failed(&job.row, stage, error).await {
                Err(error) if error.code == Code::StorageFull => is_full = true,
                settled => return settled,
            }
        }
    }
}

/// Who ends a job whose steps are done.
enum Finish {
    /// Its handler did.
    ByHandler,
    /// The queue does.
    ByQueue,
}

/// One attempt, from taken to settled.
async fn attempt(taken: TakenJob, worker: Data<Arc<Worker>>) {
    let TakenJob { job, .. } = &taken;
    let started = Instant::now();
    let outcome = worker.execute(job).await;
    let took = started.elapsed();
    let label = outcome.as_ref().map_or_else(|(_, error)| error.code.as_str(), |_| "OK");
    if let Err(error) = worker.settle(job, outcome).await {
        // The lease is the net: it runs out, and the job is taken up again.
        warn_of!(error, job = %job.row.id);
    }
    let is_known = worker.settler.kinds.handler(&job.row.kind).is_some();
    let kind = if is_known { job.row.kind.clone() } else { "unknown".to_owned() };
    counter!("vectorforge_job_attempts_total", "kind" => kind.clone(), "outcome" => label).increment(1);
    histogram!("vectorforge_job_duration_seconds", "kind" => kind).record(took.as_secs_f64());
}
