//! Taking documents in: checks, then one transaction that writes documents, contents, run, jobs and the first event.

mod content;
mod document;
mod known;
mod plan;
mod prepared;

use std::collections::HashMap;

use uuid::Uuid;

use self::known::known_documents;
use self::plan::Plan;
use self::prepared::prepare_all;
use super::room::Room;
use crate::app::App;
use crate::error::{Code, Error, Result};
use crate::queue;
use crate::store::entity::document::Model as Document;
use crate::store::entity::ingestion_run::Model as Run;
use crate::store::entity::run_event::EventKind;
use crate::store::runs::Happening;
use crate::store::{Doing, TenantId, Transaction, collections, documents, runs, spaces};

pub(super) use content::{check_file, expected_types};
pub use document::{NewDocument, Source};

/// What one ingest call brings.
#[derive(Debug)]
pub struct Submission {
    /// Where to.
    pub collection_id: Uuid,
    /// At least one.
    pub documents: Vec<NewDocument>,
}

/// What became of one document of the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// New, or tried again after a failure; a job works on it.
    Accepted,
    /// The same content is there already; no job.
    Unchanged,
    /// New content for a known document; a job works on it, the old content answers meanwhile.
    Replaced,
}

/// What the call led to.
#[derive(Debug)]
pub struct Submitted {
    /// The run that follows the call's documents.
    pub run: Run,
    /// Outcome and document, in the call's order.
    pub documents: Vec<(Outcome, Document)>,
}

/// Takes documents in. Nothing is written where one of them is refused.
pub async fn submit(app: &App, tenant: TenantId, submission: Submission) -> Result<Submitted> {
    let taken = take_in(app, tenant, submission).await?;
    let (tx, submitted) = (taken.tx, taken.submitted);
    tx.commit().await.doing("take the documents in")?;
    Ok(submitted)
}

/// As [`submit`]; but where every document is unchanged, nothing is written and there is no run.
pub async fn submit_changed(app: &App, tenant: TenantId, submission: Submission) -> Result<Submitted> {
    let taken = take_in(app, tenant, submission).await?;
    if taken.submitted.documents.iter().any(|(outcome, _)| *outcome != Outcome::Unchanged) {
        taken.tx.commit().await.doing("take the documents in")?;
    }
    Ok(taken.submitted)
}

/// A submission that is written, and not committed yet.
struct Taken {
    tx: Transaction,
    submitted: Submitted,
}

async fn take_in(app: &App, tenant: TenantId, submission: Submission) -> Result<Taken> {
    let collection = submission.collection_id;
    let space = spaces::active(app.store.db(), tenant, "input.collectionId", collection).await?;
    check_count(app, &submission.documents)?;
    let room = if has_chunks_to_embed(&submission.documents) { Room::of(app, &space).await? } else { None };
    let prepared = prepare_all(app, submission.documents, space.clone(), room).await?;

    let tx = app.store.begin().await?;
    collections::lock(&tx, tenant, "input.collectionId", collection).await?;
    let known = known_documents(&tx, collection, &prepared).await?;
    let plan = Plan::make(app, tenant, &space, prepared, known);
    let run = plan.run.clone();
    documents::upsert(&tx, plan.rows).await?;
    documents::insert_contents(&tx, plan.contents).await?;
    runs::insert(&tx, plan.run).await?;
    queue::enqueue(&tx, tenant, plan.jobs).await?;
    let unchanged = plan.outcomes.iter().filter(|(outcome, _)| *outcome == Outcome::Unchanged).count();
    let accepted = Happening { done: count(unchanged), ..Happening::new(EventKind::RunAccepted) };
    runs::append(&tx, run.id, accepted).await?;
    let run = runs::by_ids(&tx, tenant, &[run.id]).await?.remove(&run.id).unwrap_or(run);
    Ok(Taken { tx, submitted: Submitted { run, documents: plan.outcomes } })
}

fn check_count(app: &App, documents: &[NewDocument]) -> Result<()> {
    let limit = app.config.ingest.documents_limit;
    if documents.is_empty() {
        return Err(Error::input("input.documents", "none", format!("1 to {limit} documents")));
    }
    if documents.len() > limit {
        let got = format!("{} documents", documents.len());
        return Err(Error::refused(Code::PayloadTooLarge, "input.documents", got, format!("at most {limit}")));
    }
    let mut seen = HashMap::new();
    for (index, uri) in documents.iter().enumerate().filter_map(|(i, d)| Some((i, d.source_uri.as_ref()?))) {
        if let Some(earlier) = seen.insert(uri, index) {
            let field = format!("input.documents.{index}.sourceUri");
            return Err(Error::input(field, uri, format!("another one than input.documents.{earlier} has")));
        }
    }
    Ok(())
}

/// Whether a document came as chunks of which the model is to make vectors.
fn has_chunks_to_embed(documents: &[NewDocument]) -> bool {
    documents.iter().any(|document| match &document.source {
        Source::Chunks(chunks) => chunks.iter().any(|chunk| chunk.vector.is_none()),
        Source::Text(_) | Source::File { .. } => false,
    })
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
