//! Mutations. Each takes one `input` and gives a payload.

use async_graphql::{Context, Description, ID, InputObject, Object, SimpleObject};

use super::context::ContextExt;
use super::fault::{OrFault, Result};
use super::limits::LimitMutation;
use super::loader::NewestJobOf;
use super::schedules::ScheduleMutation;
use super::types::collection::{Collection, CreateCollectionInput, UpdateCollectionInput};
use super::types::document::{Document, UpdateDocumentInput};
use super::types::ingest::{IngestDocumentsInput, IngestDocumentsPayload, IngestedDocument};
use super::types::job::{Job, JobsPayload, SelectJobsInput, SetJobPriorityInput};
use super::types::queue::{Queue, QueueInput, QueuePayload};
use super::types::run::Run;
use crate::app::App;
use crate::collection;
use crate::error::Error;
use crate::id::Kind;
use crate::ingest;
use crate::ingest::delete::delete;
use crate::ingest::submit::{Submission, submit};
use crate::queue::queues;
use crate::queue::steer::Steering;
use crate::store::collections;

/// Changing.
#[derive(Description)]
pub struct Mutation;

#[Object(use_type_description)]
impl Mutation {
    #[graphql(flatten)]
    async fn of_schedules(&self) -> ScheduleMutation {
        ScheduleMutation
    }

    #[graphql(flatten)]
    async fn of_limits(&self) -> LimitMutation {
        LimitMutation
    }

    /// Makes a collection.
    async fn create_collection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The collection.")] input: CreateCollectionInput,
    ) -> Result<CollectionPayload> {
        let app = ctx.app();
        let asked = input.checked(app.config.ingest.metadata_limit_bytes).or_fault()?;
        let row = collection::create::create(app, ctx.tenant(), asked).await.or_fault()?;
        Ok(CollectionPayload { collection: Collection(row) })
    }

    /// Changes a collection's name, description or metadata.
    async fn update_collection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one, and its changes.")] input: UpdateCollectionInput,
    ) -> Result<CollectionPayload> {
        let app = ctx.app();
        let given = input.id.clone();
        let id = Kind::Collection.decode("input.id", &given).or_fault()?;
        let change = input.checked(app.config.ingest.metadata_limit_bytes).or_fault()?;
        let row = collections::update(app.store.db(), ctx.tenant(), id, change, app.now()).await.or_fault()?;
        let missing = || Error::not_found("input.id", "collection", &*given);
        Ok(CollectionPayload { collection: Collection(row.ok_or_else(missing).or_fault()?) })
    }

    /// Deletes a collection with everything under it. It is gone at once; a job frees its space.
    async fn delete_collection(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: DeleteInput,
    ) -> Result<DeleteCollectionPayload> {
        let id = Kind::Collection.decode("input.id", &input.id).or_fault()?;
        if !collection::purge::delete(ctx.app(), ctx.tenant(), id).await.or_fault()? {
            return Err(Error::not_found("input.id", "collection", &*input.id)).or_fault();
        }
        Ok(DeleteCollectionPayload { deleted_collection_id: input.id })
    }

    /// Takes documents in and starts a run that indexes them. Follow it with `ingestProgress`.
    async fn ingest_documents(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The documents, and where to.")] input: IngestDocumentsInput,
    ) -> Result<IngestDocumentsPayload> {
        let app = ctx.app();
        let collection_id = Kind::Collection.decode("input.collectionId", &input.collection_id).or_fault()?;
        let limit = app.config.ingest.metadata_limit_bytes;
        let mut checked = Vec::with_capacity(input.documents.len());
        for (index, document) in input.documents.into_iter().enumerate() {
            let field = format!("input.documents.{index}");
            checked.push(document.checked(ctx, &field, limit).await.or_fault()?);
        }
        let submission = Submission { collection_id, documents: checked };
        let submitted = submit(app, ctx.tenant(), submission).await.or_fault()?;
        let keys = submitted.documents.iter().map(|(_, row)| NewestJobOf(row.id));
        let jobs = ctx.loader().load_many(keys).await.or_fault()?;
        let shown = |(outcome, row): (crate::ingest::submit::Outcome, _)| {
            let document = Document(row);
            let job = jobs.get(&NewestJobOf(document.0.id)).cloned().map(Job);
            IngestedDocument { outcome: outcome.into(), document, job }
        };
        Ok(IngestDocumentsPayload {
            run: Run(submitted.run),
            documents: submitted.documents.into_iter().map(shown).collect(),
        })
    }

    /// Changes a document's title, metadata or time of expiry. Its chunks and vectors stay.
    async fn update_document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one, and its changes.")] input: UpdateDocumentInput,
    ) -> Result<DocumentPayload> {
        let app = ctx.app();
        let given = input.id.clone();
        let id = Kind::Document.decode("input.id", &given).or_fault()?;
        let change = input.checked(app.config.ingest.metadata_limit_bytes).or_fault()?;
        let row = ingest::change::change(app, ctx.tenant(), id, change).await.or_fault()?;
        let missing = || Error::not_found("input.id", "document", &*given);
        Ok(DocumentPayload { document: Document(row.ok_or_else(missing).or_fault()?) })
    }

    /// Deletes a document with its chunks and vectors, in any state. Jobs that work on it are cancelled first.
    async fn delete_document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: DeleteInput,
    ) -> Result<DeleteDocumentPayload> {
        let id = Kind::Document.decode("input.id", &input.id).or_fault()?;
        if !delete(ctx.app(), ctx.kinds(), ctx.tenant(), id).await.or_fault()? {
            return Err(Error::not_found("input.id", "document", &*input.id)).or_fault();
        }
        Ok(DeleteDocumentPayload { deleted_document_id: input.id })
    }

    /// Ends jobs for good and undoes what they did: a document is as it was before. A running one writes nothing more
    /// from now on. By a filter without states: every job that has not ended.
    async fn cancel_jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] input: SelectJobsInput,
    ) -> Result<JobsPayload> {
        input.selection.steer(ctx, Steering::Cancel).await.or_fault()
    }

    /// Lets ended jobs run again, with their attempts anew and their finished steps kept; ends the pause of those that
    /// wait for their next attempt. By a filter without states: `DEAD`, `CANCELLED` and `RETRYING` ones.
    async fn retry_jobs(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which.")] input: SelectJobsInput,
    ) -> Result<JobsPayload> {
        let attempts = ctx.app().config.queue.max_attempts;
        input.selection.steer(ctx, Steering::Retry { attempts }).await.or_fault()
    }

    /// Moves jobs before or behind others of their queue. By a filter without states: every job that has not ended.
    async fn set_job_priority(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which, and where to.")] input: SetJobPriorityInput,
    ) -> Result<JobsPayload> {
        let (selection, steering) = input.checked().or_fault()?;
        selection.steer(ctx, steering).await.or_fault()
    }

    /// Stops a queue from starting jobs. Running ones run on.
    async fn pause_queue(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: QueueInput,
    ) -> Result<QueuePayload> {
        set_paused(ctx.app(), &input.name, true).await.or_fault()
    }

    /// Lets a paused queue go on.
    async fn resume_queue(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: QueueInput,
    ) -> Result<QueuePayload> {
        set_paused(ctx.app(), &input.name, false).await.or_fault()
    }
}

async fn set_paused(app: &App, name: &str, is_paused: bool) -> crate::error::Result<QueuePayload> {
    Queue::of_name(app, "input.name", name).await?;
    let changed = queues::set_paused(&app.store, name, is_paused).await?;
    Ok(QueuePayload { queue: Queue::one(app, name).await?, changed })
}

/// What to delete.
#[derive(InputObject)]
pub struct DeleteInput {
    /// Which.
    pub(super) id: ID,
}

/// A collection that was made or changed.
#[derive(SimpleObject)]
pub struct CollectionPayload {
    /// As it is now.
    collection: Collection,
}

/// A collection that was deleted.
#[derive(SimpleObject)]
pub struct DeleteCollectionPayload {
    /// Its id.
    deleted_collection_id: ID,
}

/// A document that was changed.
#[derive(SimpleObject)]
pub struct DocumentPayload {
    /// As it is now.
    document: Document,
}

/// A document that was deleted.
#[derive(SimpleObject)]
pub struct DeleteDocumentPayload {
    /// Its id.
    deleted_document_id: ID,
}
