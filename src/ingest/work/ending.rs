//! How the job's ends are told: of the document, of the run, and counted once they are committed.

use metrics::counter;
use uuid::Uuid;

use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::job::{KIND, Payload};
use crate::queue;
use crate::store::entity::document::{Model as Document, Status};
use crate::store::entity::job::Model as Job;
use crate::store::entity::run_event::EventKind;
use crate::store::runs::{Happening, append};
use crate::store::{Doing, Transaction, documents};

/// The document that the job is about, locked, unless it is gone or has a newer version.
pub(super) async fn current(tx: &Transaction, job: &Job) -> Result<Option<Document>> {
    let Some(id) = job.document_id else { return Ok(None) };
    let document = documents::lock(tx, job.tenant_id, id).await?;
    let payload: Option<Payload> = KIND.payload(job).ok();
    Ok(document.filter(|document| match &payload {
        Some(payload) => payload.version == document.version,
        // Which version it is for cannot be read: then it is the one that waits.
        None => matches!(document.status, Status::Pending | Status::Processing),
    }))
}

/// Writes a failed attempt into document and run. A document that is gone or has a newer version is left alone, but
/// the run is told all the same: it counts what it started.
pub(super) async fn tell_failure(app: &App, tx: &Transaction, job: &Job, error: &Error, kind: EventKind) -> Result<()> {
    let Some(run) = job.run_id else { return Ok(()) };
    let is_final = kind == EventKind::DocumentFailed;
    let told = (error.code.as_str(), error.message.as_str());
    let current = current(tx, job).await?;
    let status = if is_final { Status::Error } else { Status::Pending };
    if let Some(document) = &current {
        documents::set_status(tx, document.id, status, Some(told), app.now()).await?;
    }
    if is_final {
        tx.after_commit(|| count("failed"));
    }
    let happening = Happening {
        document: current.map(|document| (document.id, status, document.chunk_count)),
        error: Some(told),
        failed: i32::from(is_final),
        ..Happening::new(kind)
    };
    append(tx, run, happening).await
}

/// Ends a job whose version nobody waits for any more.
pub(super) async fn supersede(tx: Transaction, job: &Job, run: Uuid) -> Result<()> {
    queue::succeed(&tx, job).await?;
    append(&tx, run, Happening { done: 1, ..Happening::new(EventKind::DocumentSuperseded) }).await?;
    tx.commit().await.doing("end a superseded job")?;
    count("superseded");
    Ok(())
}

/// Counts a document that is done with. Only once that is committed.
pub(super) fn count(outcome: &'static str) {
    counter!("vectorforge_ingest_documents_total", "outcome" => outcome).increment(1);
}
