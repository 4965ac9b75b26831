//! Taking documents in: checks, then one transaction that writes documents, contents, run, jobs and the first event.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value as Json;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::load::{self, ContentType};
use super::room::Room;
use super::{vectors, work};
use crate::app::App;
use crate::error::{Code, Error, Result};
use crate::search::vector;
use crate::store::entity::document::{Model as Document, Status};
use crate::store::entity::ingestion_run::{Model as Run, RunState};
use crate::store::entity::run_event::EventKind;
use crate::store::entity::{document_content, embedding_space::Model as Space};
use crate::store::runs::Happening;
use crate::store::{Doing, TenantId, collections, documents, jobs, runs, spaces};

/// Content type of a document that came as ready-made chunks: a JSON array of their texts.
pub const CHUNKS_CONTENT_TYPE: &str = "application/vnd.vectorforge.chunks+json";

/// Between two ready-made chunks in the document's text.
pub(super) const CHUNK_SEPARATOR: &str = "\n\n";

/// What one ingest call brings.
#[derive(Debug)]
pub struct Submission {
    /// Where to.
    pub collection_id: Uuid,
    /// At least one.
    pub documents: Vec<NewDocument>,
}

/// One document as it came.
#[derive(Debug)]
pub struct NewDocument {
    /// Its content.
    pub source: Source,
    /// MIME type; by default that of the source.
    pub content_type: Option<String>,
    /// Where it came from; a document of the same collection and source is replaced.
    pub source_uri: Option<String>,
    /// Title; by default the one found in the content.
    pub title: Option<String>,
    /// Author.
    pub author: Option<String>,
    /// Tags.
    pub tags: Vec<String>,
    /// A JSON object.
    pub metadata: Option<Json>,
    /// When it shall be deleted.
    pub expires_at: Option<DateTime<Utc>>,
}

/// A document's content.
#[derive(Debug)]
pub enum Source {
    /// Text.
    Text(String),
    /// A file, with the name and content type that came with it.
    File {
        /// Its bytes.
        bytes: Vec<u8>,
        /// Its name.
        name: String,
        /// Content type from the upload.
        content_type: Option<String>,
    },
    /// Chunks, cut by the caller.
    Chunks(Vec<ReadyChunk>),
}

/// A chunk cut by the caller.
#[derive(Debug)]
pub struct ReadyChunk {
    /// Its text.
    pub text: String,
    /// Its vector; without one the collection's model makes it.
    pub vector: Option<Vec<f32>>,
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

/// A checked document.
struct Prepared {
    hash: Vec<u8>,
    content_type: String,
    original: Vec<u8>,
    body: Option<String>,
    vectors: Option<Vec<u8>>,
    size: usize,
    given: NewDocument,
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
    tx: crate::store::Transaction,
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
    jobs::enqueue(&tx, tenant, plan.jobs).await?;
    let unchanged = plan.outcomes.iter().filter(|(outcome, _)| *outcome == Outcome::Unchanged).count();
    let accepted = Happening { done: count(unchanged), ..Happening::new(EventKind::RunAccepted) };
    runs::append(&tx, run.id, accepted).await?;
    let run = runs::by_ids(&tx, tenant, &[run.id]).await?.remove(&run.id).unwrap_or(run);
    Ok(Taken { tx, submitted: Submitted { run, documents: plan.outcomes } })
}

fn count(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
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

/// Checks and hashes away from the threads that serve requests: 64 MB take a tenth of a second.
async fn prepare_all(
    app: &App,
    documents: Vec<NewDocument>,
    space: Space,
    room: Option<Room>,
) -> Result<Vec<Prepared>> {
    let limits = app.config.ingest.clone();
    let work = move || {
        let bounds = Bounds { space: &space, room: room.as_ref(), limits: &limits };
        let prepare = |(index, document)| prepare(&format!("input.documents.{index}"), document, bounds);
        documents.into_iter().enumerate().map(prepare).collect()
    };
    tokio::task::spawn_blocking(work).await.map_err(|panic| Error::internal("check the documents", panic))?
}

/// What documents are held to.
#[derive(Clone, Copy)]
struct Bounds<'a> {
    space: &'a Space,
    room: Option<&'a Room>,
    limits: &'a crate::config::IngestSettings,
}

fn prepare(field: &str, mut given: NewDocument, bounds: Bounds<'_>) -> Result<Prepared> {
    let Bounds { space, limits, .. } = bounds;
    let source = std::mem::replace(&mut given.source, Source::Text(String::new()));
    let mut hasher = Sha256::new();
    let (original, content_type, body, vectors) = match source {
        Source::Text(text) => {
            let kind = content_type(field, given.content_type.as_deref(), ContentType::PlainText)?;
            check_bytes(&format!("{field}.source.text"), text.as_bytes(), limits.document_limit_bytes)?;
            (text.into_bytes(), kind.as_str().to_owned(), None, None)
        }
        Source::File { bytes, name, content_type: uploaded } => {
            let told = given.content_type.as_deref();
            let kind = check_file(field, (&name, uploaded), told, &bytes, limits)?;
            (bytes, kind.as_str().to_owned(), None, None)
        }
        Source::Chunks(chunks) => {
            refuse_content_type(field, given.content_type.as_deref())?;
            check_chunks(field, &chunks, bounds)?;
            let texts: Vec<&str> = chunks.iter().map(|chunk| chunk.text.as_str()).collect();
            let original = Json::from(texts.clone()).to_string().into_bytes();
            let dimensions = space.dimensions.unsigned_abs() as usize;
            let vectors = vectors::encode(chunks.iter().map(|chunk| chunk.vector.as_deref()), dimensions);
            (original, CHUNKS_CONTENT_TYPE.to_owned(), Some(texts.join(CHUNK_SEPARATOR)), vectors)
        }
    };
    if space.model.is_none() && content_type != CHUNKS_CONTENT_TYPE {
        let expected = "`chunks` with vectors: this collection has no embedding model";
        return Err(Error::input(format!("{field}.source"), "a document to be embedded", expected));
    }
    hasher.update(content_type.as_bytes());
    hasher.update(b"\n");
    hasher.update(&original);
    hasher.update(vectors.as_deref().unwrap_or_default());
    let hash = hasher.finalize().to_vec();
    Ok(Prepared { hash, content_type, size: original.len(), original, body, vectors, given })
}

/// The format of a file with the name and content type that came with it; `told` goes before both.
pub(super) fn check_file(
    field: &str,
    (name, uploaded): (&str, Option<String>),
    told: Option<&str>,
    bytes: &[u8],
    limits: &crate::config::IngestSettings,
) -> Result<ContentType> {
    let by_name = ContentType::from_path(name.as_ref());
    let uploaded = uploaded.filter(|_| by_name.is_none());
    let kind = content_type(field, told.or(uploaded.as_deref()), by_name.unwrap_or(ContentType::PlainText))?;
    check_bytes(&format!("{field}.source.upload"), bytes, limits.document_limit_bytes)?;
    Ok(kind)
}

fn content_type(field: &str, told: Option<&str>, otherwise: ContentType) -> Result<ContentType> {
    let Some(told) = told else { return Ok(otherwise) };
    told.parse().map_err(|_: load::LoadError| {
        Error::refused(Code::UnsupportedContentType, format!("{field}.contentType"), told, expected_types())
    })
}

/// What can be loaded, for a sentence.
fn expected_types() -> String {
    format!("one of {}, in UTF-8", ContentType::ALL.map(ContentType::as_str).join(", "))
}

fn refuse_content_type(field: &str, told: Option<&str>) -> Result<()> {
    match told {
        None => Ok(()),
        Some(told) => Err(Error::input(format!("{field}.contentType"), told, "none: `chunks` have no content type")),
    }
}

fn check_bytes(field: &str, bytes: &[u8], limit: usize) -> Result<()> {
    if bytes.len() > limit {
        let got = format!("{} bytes", bytes.len());
        return Err(Error::refused(Code::PayloadTooLarge, field, got, format!("at most {limit} bytes")));
    }
    if let Some(what) = load::recognise(bytes) {
        return Err(Error::refused(Code::UnsupportedContentType, field, what, expected_types()));
    }
    check_text(field, bytes)
}

fn check_text(field: &str, bytes: &[u8]) -> Result<()> {
    load::check(bytes).map_err(|cause| {
        let got = match cause {
            load::LoadError::Empty => "no text".to_owned(),
            load::LoadError::NulByte { offset } => format!("a NUL byte at byte {offset}"),
            load::LoadError::InvalidUtf8 { offset } => format!("invalid UTF-8 at byte {offset}"),
            other => other.to_string(),
        };
        Error::input(field, got, "text in UTF-8 that is not blank")
    })
}

fn check_chunks(field: &str, chunks: &[ReadyChunk], Bounds { space, room, limits }: Bounds<'_>) -> Result<()> {
    let list = format!("{field}.source.chunks");
    if chunks.is_empty() {
        return Err(Error::input(list, "none", format!("1 to {} chunks", limits.chunks_limit)));
    }
    if chunks.len() > limits.chunks_limit {
        let got = format!("{} chunks", chunks.len());
        return Err(Error::refused(Code::PayloadTooLarge, list, got, format!("at most {}", limits.chunks_limit)));
    }
    let size: usize = chunks.iter().map(|chunk| chunk.text.len()).sum();
    if size > limits.document_limit_bytes {
        let expected = format!("at most {} bytes", limits.document_limit_bytes);
        return Err(Error::refused(Code::PayloadTooLarge, list, format!("{size} bytes"), expected));
    }
    for (index, chunk) in chunks.iter().enumerate() {
        let text = format!("{list}.{index}.text");
        check_text(&text, chunk.text.as_bytes())?;
        match &chunk.vector {
            Some(vector) => vector::check(&format!("{list}.{index}.vector"), vector, space)?,
            None if space.model.is_some() => room.map_or(Ok(()), |room| room.check(&text, &chunk.text))?,
            None => {
                let expected = "a vector: this collection has no embedding model";
                return Err(Error::input(format!("{list}.{index}.vector"), "none", expected));
            }
        }
    }
    Ok(())
}

/// Documents of the collection that the call may mean, by source and by content.
struct Known {
    by_source: HashMap<String, Document>,
    by_content: HashMap<Vec<u8>, Document>,
    /// What readers saw of each before this call, where that is something else than what its newest version brought.
    attributes: HashMap<Uuid, Json>,
}

impl Known {
    /// What the document goes back to when its new version is cancelled: the attributes of the indexed version.
    fn shown_before(&self, row: &Document) -> Option<Json> {
        self.attributes.get(&row.id).cloned()
    }
}

async fn known_documents(db: &crate::store::Transaction, collection: Uuid, prepared: &[Prepared]) -> Result<Known> {
    let sources = prepared.iter().filter_map(|document| document.given.source_uri.clone()).collect();
    let without_source = prepared.iter().filter(|document| document.given.source_uri.is_none());
    let hashes = without_source.map(|document| document.hash.clone()).collect();
    let rows = documents::same_as(db, collection, sources, hashes).await?;
    let (shown, waiting): (Vec<_>, Vec<_>) =
        rows.iter().filter(|row| row.indexed_version > 0).partition(|row| row.status == Status::Indexed);
    let waiting: Vec<Uuid> = waiting.into_iter().map(|row: &Document| row.id).collect();
    let mut attributes = documents::other_attributes(db, &waiting).await?;
    attributes.extend(shown.into_iter().map(|row| (row.id, documents::attributes(row))));
    let mut known = Known { by_source: HashMap::new(), by_content: HashMap::new(), attributes };
    for row in rows {
        match row.source_uri.clone() {
            Some(uri) => known.by_source.insert(uri, row),
            None => known.by_content.insert(row.content_hash.clone(), row),
        };
    }
    Ok(known)
}

/// What the transaction writes.
struct Plan {
    run: Run,
    outcomes: Vec<(Outcome, Document)>,
    rows: Vec<Document>,
    contents: Vec<document_content::Model>,
    jobs: Vec<jobs::NewJob>,
}

impl Plan {
    fn make(app: &App, tenant: TenantId, space: &Space, prepared: Vec<Prepared>, mut known: Known) -> Self {
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
            self.jobs.push(work::job(app, &row, space, self.run.id));
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
