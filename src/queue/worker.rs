//! Workers: one apalis worker per queue, each job in a task of its own, every attempt bounded in time and shielded
//! from panics.

use std::sync::Arc;
use std::time::Duration;

use apalis::prelude::{Data, ParallelizeExt, WorkerBuilder};
use metrics::{counter, histogram};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::backend::{JobBackend, JobSource, TakenJob};
use super::backoff::Backoff;
use super::{ActiveJob, Handlers, Leases, settle};
use crate::error::{Code, Error, Result};
use crate::store::listen::Signals;
use crate::store::{Store, jobs};

/// A queue and how many of its jobs this process runs at once.
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// Its name.
    pub name: &'static str,
    /// Jobs at once.
    pub concurrency: usize,
}

/// What all workers share.
#[derive(Clone)]
pub struct WorkerSettings {
    /// How often to look without a signal.
    pub poll: Duration,
    /// Longest attempt.
    pub timeout: Duration,
    /// Waits between attempts.
    pub backoff_base: Duration,
    /// Longest wait between attempts.
    pub backoff_max: Duration,
    /// How long running jobs may go on once the process stops.
    pub grace: Duration,
}

impl WorkerSettings {
    /// The waits between attempts.
    pub fn backoff(&self) -> Backoff {
        Backoff { base: self.backoff_base, max: self.backoff_max }
    }
}

/// What an attempt needs.
#[derive(Clone)]
struct Runner {
    store: Store,
    handlers: Handlers,
    leases: Leases,
    settings: WorkerSettings,
}

/// Runs one queue's worker until `stop`, then waits for its running jobs up to the grace.
pub async fn run(
    queue: Queue,
    store: Store,
    signals: Signals,
    leases: Leases,
    handlers: Handlers,
    settings: WorkerSettings,
    stop: CancellationToken,
) -> Result<()> {
    let source = JobSource::new(queue.name, store.clone(), signals, leases.clone(), queue.concurrency, settings.poll);
    let grace = settings.grace;
    let runner = Arc::new(Runner { store, handlers, leases, settings });
    let worker = WorkerBuilder::new(format!("{}-{}", queue.name, runner.leases.holder))
        .backend(JobBackend::new(source))
        .data(runner)
        .parallelize(tokio::spawn)
        .build(attempt);
    let stopped = stop.clone();
    let mut running = tokio::spawn(worker.run_until(async move {
        stopped.cancelled().await;
        Ok::<_, std::io::Error>(())
    }));
    let overdue = async {
        stop.cancelled().await;
        tokio::time::sleep(grace).await;
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

/// One attempt, from taken to settled.
async fn attempt(taken: TakenJob, runner: Data<Arc<Runner>>) {
    let TakenJob { job, .. } = &taken;
    let started = Instant::now();
    let outcome = runner.execute(job).await;
    let label = outcome.as_ref().map_or_else(|error| error.code.as_str(), |()| "OK");
    let kind = runner.handlers.get(&job.row.kind).map_or_else(|| "unknown".to_owned(), |_| job.row.kind.clone());
    counter!("vectorforge_job_attempts_total", "kind" => kind.clone(), "outcome" => label).increment(1);
    histogram!("vectorforge_job_duration_seconds", "kind" => kind).record(started.elapsed().as_secs_f64());
    if let Err(error) = runner.settle(job, outcome).await {
        // The lease is the net: it runs out, and the job is taken up again.
        tracing::warn!(job = %job.row.id, cause = ?error.cause, "{error}");
    }
    runner.leases.forget(&job.row);
}

impl Runner {
    /// Runs the handler in a task of its own, so that its panic is an error and its time has an end.
    async fn execute(&self, job: &ActiveJob) -> Result<()> {
        let Some(handler) = self.handlers.get(&job.row.kind).cloned() else {
            let known = "a kind of job that this version knows";
            return Err(Error::refused(Code::BadUserInput, "job.kind", &job.row.kind, known));
        };
        let work = job.clone();
        let mut task = tokio::spawn(async move { handler.run(&work).await });
        match tokio::time::timeout(self.settings.timeout, &mut task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(panic)) => Err(Error::internal("run the job", panic)),
            Err(_) => {
                job.stop.cancel();
                task.abort();
                Err(Error::timeout("the job's attempt", self.settings.timeout))
            }
        }
    }

    async fn settle(&self, job: &ActiveJob, outcome: Result<()>) -> Result<()> {
        let row = &job.row;
        match outcome {
            // A handler whose result is rows has ended the job with them; then the lease is gone, and that is right.
            Ok(()) => match jobs::succeed(self.store.db(), row).await {
                Err(error) if error.code != Code::LeaseLost => Err(error),
                _ => Ok(()),
            },
            // Given back with all others when the process stops; or somebody else's by now.
            Err(error) if matches!(error.code, Code::Interrupted | Code::LeaseLost) => Ok(()),
            Err(error) => {
                tracing::warn!(job = %row.id, kind = row.kind, attempt = row.attempts, code = error.code.as_str(),
                    cause = ?error.cause, "job attempt failed: {error}");
                settle::failed(self.store.begin().await?, &self.handlers, self.settings.backoff(), row, &error).await
            }
        }
    }
}
