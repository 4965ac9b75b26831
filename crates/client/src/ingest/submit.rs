//! Sending batches: one operation each, without the documents the server refuses.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::sleep;

use super::batch::{Batch, NewDocument};
use super::event::{IngestEvent, Submitted};
use super::follow::OpenRun;
use super::summary::FailedDocument;
use crate::answer::{ApiError, ApiErrors};
use crate::api_client::ApiClient;
use crate::error::ClientError;
use crate::retry::Retry;

const INGEST: &str = "mutation($input: IngestDocumentsInput!) { ingestDocuments(input: $input) {
    run { id state } documents { outcome }
} }";

/// Sends batches and hands the runs they start to the follower.
pub(super) struct Submitter {
    pub server: ApiClient,
    /// Id of the collection.
    pub collection: String,
    /// One for each run that may be open.
    pub slots: Arc<Semaphore>,
    pub runs: mpsc::Sender<OpenRun>,
    pub events: mpsc::Sender<IngestEvent>,
    pub retry: Retry,
}

#[derive(Serialize)]
struct Variables<'a> {
    input: Input<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Input<'a> {
    collection_id: &'a str,
    documents: &'a [NewDocument],
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Data {
    ingest_documents: Submitted,
}

impl Submitter {
    /// Sends all batches, in order, as runs come to an end.
    pub async fn send_all(self, mut batches: mpsc::Receiver<Batch>) -> Result<(), ClientError> {
        while let Some(batch) = batches.recv().await {
            for failure in batch.failures {
                self.emit(IngestEvent::Failed(failure)).await;
            }
            self.send(batch.documents).await?;
        }
        Ok(())
    }

    /// Sends documents, less those that are refused, in as few parts as the server takes.
    async fn send(&self, documents: Vec<NewDocument>) -> Result<(), ClientError> {
        let mut parts = vec![documents];
        while let Some(part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let slot = self.slots.clone().acquire_owned().await.expect("the semaphore is never closed");
            match self.submit(&part).await {
                Ok(submitted) => self.hand_over(submitted, slot).await,
                Err(ClientError::Refused(refusal)) => parts.extend(self.without_refused(part, refusal).await?),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// One operation; tried again where it certainly did nothing.
    async fn submit(&self, documents: &[NewDocument]) -> Result<Submitted, ClientError> {
        let input = Input { collection_id: &self.collection, documents };
        let variables = Variables { input };
        let mut attempt = 0;
        loop {
            let error = match self.server.ask::<Data>(INGEST, &variables).await {
                Ok(data) => return Ok(data.ingest_documents),
                Err(error) => error,
            };
            let Some(pause) = self.retry.pause(attempt).filter(|_| error.is_passing()) else { return Err(error) };
            self.emit(IngestEvent::Note(format!("{error}; trying again in {:.1} s", pause.as_secs_f64()))).await;
            sleep(pause).await;
            attempt += 1;
        }
    }

    /// A run that brings nothing new needs no follower.
    async fn hand_over(&self, submitted: Submitted, slot: OwnedSemaphorePermit) {
        let id = submitted.run.id.clone();
        let is_over = submitted.brings_nothing_new();
        self.emit(IngestEvent::Submitted(submitted)).await;
        if !is_over {
            // Refused where the follower has failed, which ends the whole.
            let _ = self.runs.send(OpenRun { id, cursor: None, slot }).await;
        }
    }

    /// What is left to send, as parts with the first one last.
    async fn without_refused(
        &self,
        part: Vec<NewDocument>,
        refusal: ApiErrors,
    ) -> Result<Vec<Vec<NewDocument>>, ClientError> {
        if let Some(refused) = refused_documents(&refusal, part.len()) {
            let mut rest = Vec::new();
            for (index, document) in part.into_iter().enumerate() {
                match refused.get(&index) {
                    Some(error) => self.refuse(&document, error).await,
                    None => rest.push(document),
                }
            }
            return Ok(vec![rest]);
        }
        // Too many bytes or documents at once, as this server is set: halves may pass.
        match refusal.errors.iter().find(|error| error.code.as_deref() == Some("PAYLOAD_TOO_LARGE")) {
            None => Err(ClientError::Refused(refusal)),
            Some(error) if part.len() == 1 => {
                self.refuse(&part[0], error).await;
                Ok(Vec::new())
            }
            Some(_) => {
                let mut first = part;
                let second = first.split_off(first.len() / 2);
                Ok(vec![second, first])
            }
        }
    }

    async fn refuse(&self, document: &NewDocument, error: &ApiError) {
        self.emit(IngestEvent::Failed(FailedDocument::refused(&document.file.path, error))).await;
    }

    async fn emit(&self, event: IngestEvent) {
        // Nobody listens only where the command is ending.
        let _ = self.events.send(event).await;
    }
}

/// Errors by document, where every error is about one of the `count` documents.
fn refused_documents(refusal: &ApiErrors, count: usize) -> Option<BTreeMap<usize, &ApiError>> {
    let by_document = |error| Some((ApiError::document(error).filter(|&index| index < count)?, error));
    refusal.errors.iter().map(by_document).collect()
}
