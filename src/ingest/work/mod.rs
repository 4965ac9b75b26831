//! The job that indexes one version of one document, in three steps: load and cut, embed, publish.
//!
//! Each step commits, so a killed worker's successor goes on where it stopped and a vector once made is kept. A
//! document that fits one batch takes a single transaction. Every transaction changes the job's row under its lease,
//! which is the fence: a worker that lost the lease commits nothing.

mod batch;
mod cut;
mod ending;
mod version;

use std::sync::Arc;

use async_trait::async_trait;
use metrics::histogram;

use self::ending::{count, current, tell_failure};
use self::version::Work;
use super::job::KIND;
use crate::app::App;
use crate::error::{Error, Result};
use crate::queue::{ActiveJob, Handler, Step, StepEnd, steps};
use crate::store::entity::document::Status;
use crate::store::entity::job::{JobState, Model as Job};
use crate::store::entity::run_event::EventKind;
use crate::store::runs::{Happening, append};
use crate::store::{Transaction, documents};

/// Loads and cuts; a document that fits one batch is indexed at once, and the other steps have nothing left to do.
const LOAD: &str = "load";
/// Makes the vectors, batch by batch.
const EMBED: &str = "embed";
/// Shows the version.
const PUBLISH: &str = "publish";

/// Runs such jobs.
pub struct IngestDocument {
    app: Arc<App>,
}

impl IngestDocument {
    /// A handler.
    pub fn new(app: Arc<App>) -> Self {
        Self { app }
    }
}

#[async_trait]
impl Handler for IngestDocument {
    fn steps(&self) -> Vec<Step> {
        let config = &self.app.config.ingest;
        let load =
            Step { timeout: Some(config.load_timeout), max_attempts: Some(config.load_attempts), ..Step::new(LOAD) };
        vec![load, Step::new(EMBED), Step::new(PUBLISH)]
    }

    async fn run(&self, job: &ActiveJob, step: &'static str) -> Result<StepEnd> {
        let payload = KIND.payload(&job.row)?;
        let Some(work) = Work::begin(&self.app, job, payload).await? else { return Ok(StepEnd::JobEnded) };
        match step {
            LOAD => work.load().await,
            EMBED => work.embed_rest().await,
            _ => work.publish().await,
        }
    }

    async fn lock(&self, tx: &Transaction, job: &Job) -> Result<()> {
        if let Some(document) = job.document_id {
            documents::lock(tx, job.tenant_id, document).await?;
        }
        Ok(())
    }

    async fn on_retry(&self, tx: &Transaction, job: &Job, error: &Error) -> Result<()> {
        tell_failure(&self.app, tx, job, error, EventKind::DocumentRetrying).await
    }

    async fn on_dead(&self, tx: &Transaction, job: &Job, error: &Error) -> Result<()> {
        tell_failure(&self.app, tx, job, error, EventKind::DocumentFailed).await
    }

    async fn on_cancel(&self, tx: &Transaction, job: &Job) -> Result<()> {
        let mut told = Happening { cancelled: 1, ..Happening::new(EventKind::DocumentCancelled) };
        if let Some(document) = current(tx, job).await? {
            let status = documents::take_back(tx, &document, self.app.now()).await?;
            told.document = Some((document.id, status, document.chunk_count));
        }
        steps::forget_steps(tx, job.id).await?;
        tx.after_commit(|| count("cancelled"));
        match job.run_id {
            Some(run) => append(tx, run, told).await,
            None => Ok(()),
        }
    }

    async fn on_redrive(&self, tx: &Transaction, job: &Job) -> Result<Option<String>> {
        let Some(document) = current(tx, job).await? else {
            return Ok(Some("the document was deleted or has a newer version".to_owned()));
        };
        if job.state == JobState::Cancelled {
            documents::swap_attributes(tx, document.id, document.version).await?;
        }
        documents::set_status(tx, document.id, Status::Pending, None, self.app.now()).await?;
        let told = Happening {
            document: Some((document.id, Status::Pending, document.chunk_count)),
            done: -i32::from(job.state == JobState::Succeeded),
            failed: -i32::from(job.state == JobState::Dead),
            cancelled: -i32::from(job.state == JobState::Cancelled),
            ..Happening::new(EventKind::DocumentRedriven)
        };
        if let Some(run) = job.run_id {
            append(tx, run, told).await?;
        }
        Ok(None)
    }
}

fn stage(name: &'static str, seconds: f64) {
    histogram!("vectorforge_ingest_stage_duration_seconds", "stage" => name).record(seconds);
}
