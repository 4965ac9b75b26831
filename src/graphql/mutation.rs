//! Mutations. Each takes one `input` and gives a payload.

use async_graphql::{Context, Description, ID, InputObject, Object, SimpleObject};

use super::context::ContextExt;
use super::fault::{OrFault, Result};
use super::loader::NewestJobOf;
use super::types::collection::{Collection, CreateCollectionInput, UpdateCollectionInput};
use super::types::document::{Document, UpdateDocumentInput};
use super::types::ingest::{IngestDocumentsInput, IngestDocumentsPayload, IngestedDocument};
use super::types::job::Job;
use super::types::run::Run;
use crate::collection;
use crate::error::Error;
use crate::id::Kind;
use crate::ingest::submit::{Submission, submit};
use crate::store::{Doing, collections, documents};

/// Changing.
#[derive(Description)]
pub struct Mutation;

#[Object(use_type_description)]
impl Mutation {
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

    /// Changes a document's title or metadata. Its chunks and vectors stay.
    async fn update_document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one, and its changes.")] input: UpdateDocumentInput,
    ) -> Result<DocumentPayload> {
        let app = ctx.app();
        let given = input.id.clone();
        let id = Kind::Document.decode("input.id", &given).or_fault()?;
        let change = input.checked(app.config.ingest.metadata_limit_bytes).or_fault()?;
        let tx = app.store.begin().await.or_fault()?;
        let row = documents::update(&tx, ctx.tenant(), id, change, app.now()).await.or_fault()?;
        let missing = || Error::not_found("input.id", "document", &*given);
        let row = row.ok_or_else(missing).or_fault()?;
        tx.commit().await.doing("update the document").or_fault()?;
        Ok(DocumentPayload { document: Document(row) })
    }

    /// Deletes a document with its chunks and vectors. A job that works on it ends without effect.
    async fn delete_document(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which one.")] input: DeleteInput,
    ) -> Result<DeleteDocumentPayload> {
        let id = Kind::Document.decode("input.id", &input.id).or_fault()?;
        let tx = ctx.app().store.begin().await.or_fault()?;
        if !documents::delete(&tx, ctx.tenant(), id).await.or_fault()? {
            return Err(Error::not_found("input.id", "document", &*input.id)).or_fault();
        }
        tx.commit().await.doing("delete the document").or_fault()?;
        Ok(DeleteDocumentPayload { deleted_document_id: input.id })
    }
}

/// What to delete.
#[derive(InputObject)]
pub struct DeleteInput {
    /// Which.
    id: ID,
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
