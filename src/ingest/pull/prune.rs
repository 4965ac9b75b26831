//! Deleting the documents whose source has gone: files that are no longer in their folder, pages that answered 404 or 410.

use fetch::Directory;
use uuid::Uuid;

use super::check::blocking;
use crate::app::App;
use crate::error::Result;
use crate::ingest::delete::delete;
use crate::queue::ActiveJob;
use crate::store::documents::{self, DocumentFilter};
use crate::store::entity::document::Model as Document;

/// Documents looked at together.
const AT_ONCE: u64 = 500;

/// Deletes for one job.
pub(super) struct Pruner<'a> {
    pub app: &'a App,
    pub job: &'a ActiveJob,
    pub collection: Uuid,
}

impl Pruner<'_> {
    /// Deletes the collection's documents of files that were in a directory and are not there any more. Gives how many.
    pub(super) async fn files_of(&self, directory: &Directory) -> Result<usize> {
        let filter = DocumentFilter { source_prefix: Some(directory.uri_prefix()), ..DocumentFilter::default() };
        let (mut after, mut pruned) = (None, 0);
        loop {
            let page = self.page(&filter, after, AT_ONCE).await?;
            let Some(last) = page.last() else { return Ok(pruned) };
            after = Some(last.id);
            let directory = directory.clone();
            let find = move || page.into_iter().filter(|document| is_gone(&directory, document)).collect();
            let gone: Vec<Document> = blocking(find).await?;
            pruned += self.delete(gone).await?;
        }
    }

    /// Whether the collection has a document of a directory.
    pub(super) async fn has_any_of(&self, directory: &Directory) -> Result<bool> {
        let filter = DocumentFilter { source_prefix: Some(directory.uri_prefix()), ..DocumentFilter::default() };
        Ok(!self.page(&filter, None, 1).await?.is_empty())
    }

    /// Deletes the collection's documents of these URLs. Gives how many there were.
    pub(super) async fn pages_of(&self, gone: &[String]) -> Result<usize> {
        let mut pruned = 0;
        for url in gone {
            let filter = DocumentFilter { source_uri: Some(url.clone()), ..DocumentFilter::default() };
            pruned += self.delete(self.page(&filter, None, 1).await?).await?;
        }
        Ok(pruned)
    }

    async fn page(&self, filter: &DocumentFilter, after: Option<Uuid>, limit: u64) -> Result<Vec<Document>> {
        let mut pages = documents::pages(self.app.store.db(), &[self.collection], filter, after, limit).await?;
        Ok(pages.remove(&self.collection).unwrap_or_default())
    }

    async fn delete(&self, documents: Vec<Document>) -> Result<usize> {
        let mut deleted = 0;
        for document in documents {
            self.job.check()?;
            deleted += usize::from(delete(self.app, &self.job.kinds, document.tenant_id, document.id).await?);
        }
        Ok(deleted)
    }
}

fn is_gone(directory: &Directory, document: &Document) -> bool {
    document.source_uri.as_deref().is_some_and(|uri| directory.is_gone(uri))
}
