//! One version of one document, from its content to being found.

use std::sync::Arc;

use metrics::counter;
use models::Embedder;
use serde_json::{Value as Json, json};
use text::chunk::{Chunk, ChunkSettings};
use text::load::Loaded;
use tokio::time::Instant;
use uuid::Uuid;

use super::batch::Batch;
use super::ending::{count, supersede};
use super::{EMBED, LOAD, cut, stage};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::blocking::until_stopped;
use crate::ingest::job::Payload;
use crate::queue::{self, ActiveJob, StepEnd, steps};
use crate::store::entity::document::{Model as Document, Status};
use crate::store::entity::run_event::EventKind;
use crate::store::entity::{chunk as chunk_row, document_content, embedding_space::Model as Space};
use crate::store::runs::{Happening, append};
use crate::store::{Doing, Transaction, chunks, collections, documents, spaces};

/// Unit of the job's progress.
const UNIT: &str = "chunks";

/// One step at one version.
pub(super) struct Work<'a> {
    app: &'a App,
    job: &'a ActiveJob,
    run: Uuid,
    document: Document,
    space: Space,
    embedder: Option<Arc<dyn Embedder>>,
}

impl<'a> Work<'a> {
    /// Marks the document as being worked on. `None` where there is nothing to do any more; then the job has ended.
    pub(super) async fn begin(app: &'a App, job: &'a ActiveJob, payload: Payload) -> Result<Option<Self>> {
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

    pub(super) async fn load(&self) -> Result<StepEnd> {
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
    pub(super) async fn embed_rest(&self) -> Result<StepEnd> {
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

    pub(super) async fn publish(&self) -> Result<StepEnd> {
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
        count("indexed");
        counter!("vectorforge_ingest_chunks_total").increment(u64::from(chunks));
        Ok(())
    }
}
