//! What a call's transaction writes: a row for each document, and a job for each that is new or has changed.

use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use uuid::Uuid;

use super::known::Known;
use super::prepared::Prepared;
use super::{Outcome, count};
use crate::app::App;
use crate::ingest::job;
use crate::queue::NewJob;
use crate::store::TenantId;
use crate::store::entity::document::{Model as Document, Status};
use crate::store::entity::ingestion_run::{Model as Run, RunState};
use crate::store::entity::{document_content, embedding_space::Model as Space};

/// What the transaction writes.
pub(super) struct Plan {
    pub(super) run: Run,
    pub(super) outcomes: Vec<(Outcome, Document)>,
    pub(super) rows: Vec<Document>,
    pub(super) contents: Vec<document_content::Model>,
    pub(super) jobs: Vec<NewJob>,
}

impl Plan {
    pub(super) fn make(app: &App, tenant: TenantId, space: &Space, prepared: Vec<Prepared>, mut known: Known) -> Self {
        let (at, collection) = (app.now(), space.collection_id);
        let run = new_run(tenant, collection, prepared.len(), at);
        let mut plan = Self { run, outcomes: Vec::new(), rows: Vec::new(), contents: Vec::new(), jobs: Vec::new() };
        for document in prepared {
            let same = match &document.given.source_uri {
                Some(uri) => known.by_source.get(uri).cloned(),
                None => known.by_content.get(&document.hash).cloned(),
            };
            let (outcome, row) = decide(tenant, collection, &document, same, at);
            // The same content twice in one call, without a source: the second is the first.
            if row.source_uri.is_none() {
                known.by_content.insert(row.content_hash.clone(), row.clone());
            }
            let before = known.shown_before(&row);
            plan.add(app, space, outcome, row, document, before);
        }
        plan
    }

    fn add(
        &mut self,
        app: &App,
        space: &Space,
        outcome: Outcome,
        row: Document,
        document: Prepared,
        before: Option<Json>,
    ) {
        if outcome != Outcome::Unchanged {
            self.jobs.push(job::new(app, &row, space, self.run.id));
            self.contents.push(document_content::Model {
                document_id: row.id,
                version: row.version,
                tenant_id: row.tenant_id,
                original: document.original,
                body: document.body,
                vectors: document.vectors,
                other_attributes: before,
            });
        }
        // One row per statement and id: a repeated document writes its last attributes.
        self.rows.retain(|earlier| earlier.id != row.id);
        self.rows.push(row.clone());
        self.outcomes.push((outcome, row));
    }
}

fn new_run(tenant: TenantId, collection: Uuid, documents: usize, at: DateTime<Utc>) -> Run {
    Run {
        id: Uuid::now_v7(),
        tenant_id: tenant,
        collection_id: collection,
        state: RunState::Pending,
        documents_total: count(documents),
        documents_done: 0,
        documents_failed: 0,
        chunks_total: 0,
        chunks_embedded: 0,
        tokens: 0,
        last_event: 0,
        created_at: at,
        started_at: None,
        finished_at: None,
        documents_cancelled: 0,
    }
}

/// The outcome, and the row as it shall be.
fn decide(
    tenant: TenantId,
    collection: Uuid,
    document: &Prepared,
    same: Option<Document>,
    at: DateTime<Utc>,
) -> (Outcome, Document) {
    let given = &document.given;
    let Some(mut row) = same else { return (Outcome::Accepted, new_row(tenant, collection, document, at)) };
    let is_same_content = row.content_hash == document.hash;
    row.title = given.title.clone().or(row.title);
    row.author = given.author.clone().or(row.author);
    row.metadata = given.metadata.clone().unwrap_or(row.metadata);
    row.expires_at = given.expires_at.or(row.expires_at);
    if !given.tags.is_empty() {
        row.tags.clone_from(&given.tags);
    }
    row.updated_at = at;
    if is_same_content && matches!(row.status, Status::Pending | Status::Processing | Status::Indexed) {
        return (Outcome::Unchanged, row);
    }
    row.content_hash.clone_from(&document.hash);
    row.content_type.clone_from(&document.content_type);
    row.size_bytes = size(document);
    row.version += 1;
    row.status = Status::Pending;
    row.error_code = None;
    row.error_message = None;
    (if is_same_content { Outcome::Accepted } else { Outcome::Replaced }, row)
}

fn new_row(tenant: TenantId, collection: Uuid, document: &Prepared, at: DateTime<Utc>) -> Document {
    let given = &document.given;
    Document {
        id: Uuid::now_v7(),
        tenant_id: tenant,
        collection_id: collection,
        source_uri: given.source_uri.clone(),
        title: given.title.clone(),
        author: given.author.clone(),
        tags: given.tags.clone(),
        content_type: document.content_type.clone(),
        content_hash: document.hash.clone(),
        size_bytes: size(document),
        storage_backend: "POSTGRES".to_owned(),
        metadata: given.metadata.clone().unwrap_or_else(|| Json::Object(serde_json::Map::new())),
        status: Status::Pending,
        error_code: None,
        error_message: None,
        version: 1,
        indexed_version: 0,
        chunk_count: 0,
        token_count: 0,
        created_at: at,
        updated_at: at,
        indexed_at: None,
        expires_at: given.expires_at,
    }
}

fn size(document: &Prepared) -> i64 {
    i64::try_from(document.size).unwrap_or(i64::MAX)
}
