//! Deleting the documents of files that are no longer in the folders that were ingested.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use url::Url;

use super::event::IngestEvent;
use crate::api_client::ApiClient;
use crate::error::ClientError;
use crate::page::{PAGE, Page};

const DOCUMENTS: &str = "query($id: ID!, $prefix: String!, $first: Int!, $after: String) { collection(id: $id) {
    documents(first: $first, after: $after, sourceUriPrefix: $prefix) {
        edges { node { id sourceUri } } pageInfo { hasNextPage endCursor }
    }
} }";
const DELETE: &str = "mutation($id: ID!) { deleteDocument(input: { id: $id }) { deletedDocumentId } }";

/// Prunes a collection.
pub(super) struct Pruner {
    pub server: ApiClient,
    /// Id of the collection.
    pub collection: String,
    /// Absolute, without links; each held a file when it was walked, so that it is mounted.
    pub folders: BTreeSet<PathBuf>,
    pub events: mpsc::Sender<IngestEvent>,
}

#[derive(Deserialize)]
struct Data {
    collection: Option<Collection>,
}

#[derive(Deserialize)]
struct Collection {
    documents: Page<Document>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Document {
    id: String,
    source_uri: Option<String>,
}

impl Pruner {
    /// Deletes, of each folder's documents, those whose files have gone.
    pub async fn prune(self) -> Result<(), ClientError> {
        for folder in &self.folders {
            self.prune_folder(folder).await?;
        }
        self.emit(IngestEvent::PruningEnded).await;
        Ok(())
    }

    async fn prune_folder(&self, folder: &Path) -> Result<(), ClientError> {
        let Ok(prefix) = Url::from_directory_path(folder) else { return Ok(()) };
        let mut after = None;
        loop {
            let variables = json!({ "id": self.collection, "prefix": prefix.as_str(), "first": PAGE, "after": after });
            let data: Data = self.server.ask(DOCUMENTS, variables).await?;
            let Some(Collection { documents }) = data.collection else { return Ok(()) };
            let (documents, next) = documents.open();
            for document in documents {
                if document.source_uri.is_some_and(|uri| is_gone(&uri, folder)) {
                    self.delete(&document.id).await?;
                }
            }
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn delete(&self, id: &str) -> Result<(), ClientError> {
        match self.server.ask::<serde_json::Value>(DELETE, json!({ "id": id })).await {
            Ok(_) => {
                self.emit(IngestEvent::Pruned).await;
                Ok(())
            }
            // Somebody else was faster.
            Err(ClientError::Refused(refusal)) if refusal.has_code("NOT_FOUND") => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn emit(&self, event: IngestEvent) {
        // Nobody listens only where the command is ending.
        let _ = self.events.send(event).await;
    }
}

/// Whether a source URI is of a file under the folder that is certainly not there any more: one that cannot be looked at
/// counts as there, and so does one that is only skipped.
fn is_gone(source_uri: &str, folder: &Path) -> bool {
    let path = Url::parse(source_uri).ok().and_then(|url| url.to_file_path().ok());
    let Some(path) = path.filter(|path| path.starts_with(folder)) else { return false };
    match fs::symlink_metadata(path) {
        // In the place of the file.
        Ok(found) => found.is_dir(),
        Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_file_under_the_folder_that_is_not_there_has_gone() {
        let root = tempfile::tempdir().unwrap();
        let folder = fs::canonicalize(root.path()).unwrap().join("notes");
        fs::create_dir_all(folder.join("became-a-folder.md")).unwrap();
        for file in ["here.md", ".hidden", "became-a-file"] {
            fs::write(folder.join(file), "text").unwrap();
        }
        let uri = |path: &str| Url::from_file_path(folder.join(path)).unwrap().to_string();
        for (uri, gone) in [
            (uri("gone.md"), true),
            (uri("deep/gone 1.md"), true),
            (uri("became-a-folder.md"), true),
            (uri("became-a-file/a.md"), true),
            (uri("here.md"), false),
            (uri(".hidden"), false),
            (uri("../gone.md"), false),
            (uri("../notes-of-others/gone.md"), false),
            ("https://example.org/gone.md".to_owned(), false),
            ("gone.md".to_owned(), false),
        ] {
            assert_eq!(is_gone(&uri, &folder), gone, "{uri}");
        }
    }
}
