//! The job that indexes one version of one document, as [`submit`](super::submit) enqueues it and [`work`](super::work)
//! does it.

use models::provider_of;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::app::App;
use crate::queue::{INGEST, JobKind, NewJob};
use crate::store::entity::document::Model as Document;
use crate::store::entity::embedding_space::Model as Space;

/// Kind of the job.
pub const KIND: JobKind = JobKind::new("ingest_document", INGEST, 1);

/// What it is enqueued with.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Payload {
    pub document_id: Uuid,
    pub version: i32,
    pub run_id: Uuid,
}

/// The job of a document's newest version, whose vectors the space's model makes.
pub(super) fn new(app: &App, document: &Document, space: &Space, run: Uuid) -> NewJob {
    let payload = Payload { document_id: document.id, version: document.version, run_id: run };
    NewJob {
        provider: space.model.as_deref().map(|model| provider_of(model).to_owned()),
        collection_id: Some(document.collection_id),
        document_id: Some(document.id),
        run_id: Some(run),
        ..KIND.job(&payload, app.config.queue.max_attempts, app.now())
    }
}
