//! The job that indexes one version of one document, in three steps: load and cut, embed, publish.
//!
//! Each step commits, so a killed worker's successor goes on where it stopped and a vector once made is kept. A
//! document that fits one batch takes a single transaction. Every transaction changes the job's row under its lease,
//! which is the fence: a worker that lost the lease commits nothing.

mod batch;
mod cut;

use std::sync::Arc;

use async_trait::async_trait;
use metrics::{counter, histogram};
use serde_json::{Value as Json, json};
use tokio::time::Instant;
use uuid::Uuid;

use self::batch::Batch;
use super::blocking::until_stopped;
use super::chunk::{Chunk, ChunkSettings};
use super::job::{KIND, Payload};
use super::load::Loaded;
use crate::app::App;
use crate::embed::Embedder;
use crate::error::{Error, Result};
use crate::queue::{self, ActiveJob, Handler, Step, StepEnd, steps};
use crate::store::entity::document::{Model as Document, Status};
use crate::store::entity::job::{self, JobState};
use crate::store::entity::run_event::EventKind;
use crate::store::entity::{chunk as chunk_row, document_content, embedding_space::Model as Space};
use crate::store::runs::{Happening, append};
use crate::store::{Doing, Transaction, chunks, collections, documents, spaces};

/// Unit of the job's progress.
const UNIT: &str = "chunks";

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

    async fn lock(&self, tx: &Transaction, job: &job::Model) -> Result<()> {
        if let Some(document) = job.document_id {
            documents::lock(tx, job.tenant_id, document).await?;
        }
        Ok(())
    }

    async fn on_retry(&self, tx: &Transaction, job: &job::Model, error: &Error) -> Result<()> {
        tell_failure(&self.app, tx, job, error, EventKind::DocumentRetrying).await
    }

    async fn on_dead(&self, tx: &Transaction, job: &job::Model, error: &Error) -> Result<()> {
        tell_failure(&self.app, tx, job, error, EventKind::DocumentFailed).await
    }

    async fn on_cancel(&self, tx: &Transaction, job: &job::Model) -> Result<()> {
        let mut told = Happening { cancelled: 1, ..Happening::new(EventKind::DocumentCancelled) };
        if let Some(document) = current(tx, job).await? {
            let status = documents::take_back(tx, &document, self.app.now()).await?;
            told.document = Some((document.id, status, document.chunk_count));
        }
        steps::forget_steps(tx, job.id).await?;
        counter!("vectorforge_ingest_documents_total", "outcome" => "cancelled").increment(1);
        match job.run_id {
            Some(run) => append(tx, run, told).await,
            None => Ok(()),
        }
    }

    async fn on_redrive(&self, tx: &Transaction, job: &job::Model) -> Result<Option<String>> {
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

/// The document that the job is about, locked, unless it is gone or has a newer version.
async fn current(tx: &Transaction, job: &job::Model) -> Result<Option<Document>> {
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
async fn tell_failure(app: &App, tx: &Transaction, job: &job::Model, error: &Error, kind: EventKind) -> Result<()> {
    let Some(run) = job.run_id else { return Ok(()) };
    let is_final = kind == EventKind::DocumentFailed;
    let told = (error.code.as_str(), error.message.as_str());
    let current = current(tx, job).await?;
    let status = if is_final { Status::Error } else { Status::Pending };
    if let Some(document) = &current {
        documents::set_status(tx, document.id, status, Some(told), app.now()).await?;
    }
    if is_final {
        counter!("vectorforge_ingest_documents_total", "outcome" => "failed").increment(1);
    }
    let happening = Happening {
        document: current.map(|document| (document.id, status, document.chunk_count)),
        error: Some(told),
        failed: i32::from(is_final),
        ..Happening::new(kind)
    };
    append(tx, run, happening).await
}

/// One step at one version.
struct Work<'a> {
    app: &'a App,
    job: &'a ActiveJob,
    run: Uuid,
    document: Document,
    space: Space,
    embedder: Option<Arc<dyn Embedder>>,
}

impl<'a> Work<'a> {
    /// Marks the document as being worked on. `None` where there is nothing to do any more; then the job has ended.
    async fn begin(app: &'a App, job: &'a ActiveJob, payload: Payload) -> Result<Option<Self>> {
        let row = &job.row;
        let tx = app.store.begin().await?;
        let document = documents::lock(&tx, row.tenant_id, payload.document_id).await?;
        let Some(mut document) = document.filter(|document| document.version == payload.version) else {
            supersede(tx, row, payload.run_id).await?;
            return Ok(None);
        };
        let space = spaces::active(&tx, row.tenant_id, "job.document", document.collection_id).await?;
        queue::confirm(&tx, row).await?;
        // Otherwise an earlier step has told.
        if document.status != Status::Processing {
            document.status = Status::Processing;
            documents::set_status(&tx, document.id, document.status, None, app.now()).await?;
            let happening = Happening {
                document: Some((document.id, document.status, document.chunk_count)),
                ..Happening::new(EventKind::DocumentStarted)
            };
            append(&tx, payload.run_id, happening).await?;
        }
        tx.commit().await.doing("start the document")?;
        let embedder = match &space.model {
            Some(model) => Some(Arc::clone(app.embedders.get(model)?)),
            None => None,
        };
        Ok(Some(Self { app, job, run: payload.run_id, document, space, embedder }))
    }

    async fn load(&self) -> Result<StepEnd> {
        let (known, _) = self.progress().await?;
        if known > 0 {
            return Ok(StepEnd::Done(json!({ "chunks": known })));
        }
        let content = documents::content(self.app.store.db(), self.document.id, self.document.version).await?;
        let content = content.ok_or_else(|| Error::internal("read the document", anyhow::anyhow!("no content")))?;
        let (loaded, cut) = self.cut(&content).await?;
        let body = (!loaded.is_verbatim(&content.original) && content.body.is_none()).then_some(loaded.text);
        let rows = self.rows(cut);
        if rows.len() <= self.app.config.embedding.batch_size || self.is_ready_made() {
            self.index_at_once(rows, content.vectors.as_deref(), body, loaded.title).await?;
            return Ok(StepEnd::JobEnded);
        }
        self.write_chunks(rows, body, loaded.title).await
    }

    /// Chunks of the version, and those that have their vector.
    async fn progress(&self) -> Result<(u32, u32)> {
        chunks::progress(self.app.store.db(), self.document.id, self.document.version, self.space.id).await
    }

    /// Whether every chunk came with its vector: then there is no work that a crash could waste.
    fn is_ready_made(&self) -> bool {
        self.space.model.is_none()
    }

    /// Text and chunks, made on a thread that may block.
    async fn cut(&self, content: &document_content::Model) -> Result<(Loaded, Vec<Chunk>)> {
        let db = self.app.store.db();
        let collection = collections::by_ids(db, self.document.tenant_id, &[self.document.collection_id]).await?;
        let collection = collection.into_values().next().ok_or_else(Error::interrupted)?;
        let settings: ChunkSettings = serde_json::from_value(collection.chunking)
            .map_err(|cause| Error::internal("read the collection's chunk settings", cause))?;
        let tokenizer = match &self.embedder {
            Some(embedder) => Some(self.job.unless_lost(embedder.tokenizer()).await?),
            None => None,
        };
        let (content, content_type) = (content.clone(), self.document.content_type.clone());
        let longest = self.embedder.as_ref().and_then(|embedder| embedder.longest_chunk());
        let dimensions = self.space.dimensions.unsigned_abs() as usize;
        let started = Instant::now();
        let (loaded, chunks, loading) = until_stopped(&self.job.stop, "read the document", move |stop| {
            let reader = cut::Reader { tokenizer: tokenizer.as_deref(), longest, dimensions };
            cut::cut(&content, &content_type, &settings, reader, stop)
        })
        .await?;
        stage("load", loading.as_secs_f64());
        stage("chunk", (started.elapsed().saturating_sub(loading)).as_secs_f64());
        Ok((loaded, chunks))
    }

    fn rows(&self, chunks: Vec<Chunk>) -> Vec<chunk_row::Model> {
        let number = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
        let row = |(index, chunk): (usize, Chunk)| chunk_row::Model {
            id: Uuid::now_v7(),
            tenant_id: self.document.tenant_id,
            collection_id: self.document.collection_id,
            document_id: self.document.id,
            version: self.document.version,
            index: number(index),
            text: chunk.text,
            start_char: number(chunk.start_char),
            end_char: number(chunk.end_char),
            token_count: chunk.tokens.map(|tokens| i32::try_from(tokens).unwrap_or(i32::MAX)),
            page: None,
            heading_path: chunk.heading_path,
            metadata: Json::Object(serde_json::Map::new()),
        };
        chunks.into_iter().enumerate().map(row).collect()
    }

    /// A small document: chunks, vectors, switch and the job's end in one transaction.
    async fn index_at_once(
        &self,
        rows: Vec<chunk_row::Model>,
        vectors: Option<&[u8]>,
        body: Option<String>,
        title: Option<String>,
    ) -> Result<()> {
        let batch = self.embed(rows, vectors).await?;
        let count = i32::try_from(batch.chunks.len()).unwrap_or(i32::MAX);
        let started = Instant::now();
        let tx = self.app.store.begin().await?;
        if !self.is_newest(&tx).await? {
            return supersede(tx, &self.job.row, self.run).await;
        }
        self.write_text(&tx, body, title).await?;
        let tokens = batch.tokens;
        batch.write_vectors(&tx, &self.space, true).await?;
        chunks::insert(&tx, batch.chunks).await?;
        queue::set_progress(&tx, &self.job.row, count.unsigned_abs(), count.unsigned_abs(), UNIT).await?;
        let counts = Happening { chunks: count, embedded: count, tokens, ..Happening::new(EventKind::DocumentIndexed) };
        self.finish(tx, counts).await?;
        stage("write", started.elapsed().as_secs_f64());
        Ok(())
    }

    async fn write_chunks(
        &self,
        rows: Vec<chunk_row::Model>,
        body: Option<String>,
        title: Option<String>,
    ) -> Result<StepEnd> {
        let started = Instant::now();
        let count = i32::try_from(rows.len()).unwrap_or(i32::MAX);
        let tx = self.app.store.begin().await?;
        if !self.is_newest(&tx).await? {
            supersede(tx, &self.job.row, self.run).await?;
            return Ok(StepEnd::JobEnded);
        }
        self.write_text(&tx, body, title).await?;
        chunks::insert(&tx, rows).await?;
        queue::set_progress(&tx, &self.job.row, 0, count.unsigned_abs(), UNIT).await?;
        steps::finish_step(&tx, &self.job.row, LOAD, json!({ "chunks": count }), Some(EMBED)).await?;
        let happening = Happening {
            document: Some((self.document.id, Status::Processing, count)),
            chunks: count,
            ..Happening::new(EventKind::DocumentChunked)
        };
        append(&tx, self.run, happening).await?;
        tx.commit().await.doing("write chunks")?;
        stage("write", started.elapsed().as_secs_f64());
        Ok(StepEnd::Stored)
    }

    /// Awaited also where the process stops: its vectors are kept.
    async fn embed(&self, rows: Vec<chunk_row::Model>, brought: Option<&[u8]>) -> Result<Batch> {
        self.job.unless_lost(Batch::embed(rows, brought, &self.space, self.embedder.as_deref())).await
    }

    /// Embeds batch by batch what has no vector yet.
    async fn embed_rest(&self) -> Result<StepEnd> {
        let (total, mut done) = self.progress().await?;
        if done > 0 {
            tracing::info!(document = %self.document.id, total, done, "going on with a document");
        }
        let size = self.app.config.embedding.batch_size as u64;
        let (db, document) = (self.app.store.db(), &self.document);
        let brought = documents::vectors(db, document.id, document.version).await?;
        loop {
            self.job.check()?;
            let rows = chunks::without_vector(db, document.id, document.version, self.space.id, size).await?;
            if rows.is_empty() {
                return Ok(StepEnd::Done(json!({ "chunks": total })));
            }
            let batch = self.embed(rows, brought.as_deref()).await?;
            done += u32::try_from(batch.chunks.len()).unwrap_or(u32::MAX);
            if !self.commit_batch(&batch, done, total).await? {
                return Ok(StepEnd::JobEnded);
            }
        }
    }

    async fn publish(&self) -> Result<StepEnd> {
        let tx = self.app.store.begin().await?;
        if self.is_newest(&tx).await? {
            self.finish(tx, Happening::new(EventKind::DocumentIndexed)).await?;
        } else {
            supersede(tx, &self.job.row, self.run).await?;
        }
        Ok(StepEnd::JobEnded)
    }

    /// False where nobody waits for this version any more; then the job has ended.
    async fn commit_batch(&self, batch: &Batch, done: u32, total: u32) -> Result<bool> {
        let started = Instant::now();
        let tx = self.app.store.begin().await?;
        if !self.is_newest(&tx).await? {
            supersede(tx, &self.job.row, self.run).await?;
            return Ok(false);
        }
        queue::set_progress(&tx, &self.job.row, done, total, UNIT).await?;
        batch.write_vectors(&tx, &self.space, false).await?;
        let happening = Happening {
            document: Some((self.document.id, Status::Processing, i32::try_from(total).unwrap_or(i32::MAX))),
            embedded: i32::try_from(batch.chunks.len()).unwrap_or(i32::MAX),
            tokens: batch.tokens,
            ..Happening::new(EventKind::ChunksEmbedded)
        };
        append(&tx, self.run, happening).await?;
        tx.commit().await.doing("write vectors")?;
        stage("write", started.elapsed().as_secs_f64());
        Ok(true)
    }

    /// Locks the document; false where it was deleted or replaced meanwhile.
    async fn is_newest(&self, tx: &Transaction) -> Result<bool> {
        let document = documents::lock(tx, self.document.tenant_id, self.document.id).await?;
        Ok(document.is_some_and(|document| document.version == self.document.version))
    }

    async fn write_text(&self, tx: &Transaction, body: Option<String>, title: Option<String>) -> Result<()> {
        if let Some(body) = body {
            documents::set_body(tx, self.document.id, self.document.version, body).await?;
        }
        if let Some(title) = title {
            documents::set_title(tx, self.document.id, title).await?;
        }
        Ok(())
    }

    /// Shows the version, ends the job, tells the run; all or nothing.
    async fn finish(&self, tx: Transaction, counts: Happening<'_>) -> Result<()> {
        documents::switch(&tx, &self.document, self.space.id, self.app.now()).await?;
        queue::succeed(&tx, &self.job.row).await?;
        let (chunks, _) = chunks::progress(&tx, self.document.id, self.document.version, self.space.id).await?;
        let chunk_count = i32::try_from(chunks).unwrap_or(i32::MAX);
        let happening =
            Happening { document: Some((self.document.id, Status::Indexed, chunk_count)), done: 1, ..counts };
        append(&tx, self.run, happening).await?;
        tx.commit().await.doing("finish the document")?;
        counter!("vectorforge_ingest_documents_total", "outcome" => "indexed").increment(1);
        counter!("vectorforge_ingest_chunks_total").increment(u64::from(chunks));
        Ok(())
    }
}

/// Ends a job whose version nobody waits for any more.
async fn supersede(tx: Transaction, job: &job::Model, run: Uuid) -> Result<()> {
    queue::succeed(&tx, job).await?;
    append(&tx, run, Happening { done: 1, ..Happening::new(EventKind::DocumentSuperseded) }).await?;
    tx.commit().await.doing("end a superseded job")?;
    counter!("vectorforge_ingest_documents_total", "outcome" => "superseded").increment(1);
    Ok(())
}

fn stage(name: &'static str, seconds: f64) {
    histogram!("vectorforge_ingest_stage_duration_seconds", "stage" => name).record(seconds);
}
