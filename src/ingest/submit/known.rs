//! Documents that are there already and that a call may mean.

use std::collections::HashMap;

use serde_json::Value as Json;
use uuid::Uuid;

use super::prepared::Prepared;
use crate::error::Result;
use crate::store::entity::document::{Model as Document, Status};
use crate::store::{Transaction, documents};

/// Documents of the collection that the call may mean, by source and by content.
pub(super) struct Known {
    pub(super) by_source: HashMap<String, Document>,
    pub(super) by_content: HashMap<Vec<u8>, Document>,
    /// What readers saw of each before this call, where that is something else than what its newest version brought.
    attributes: HashMap<Uuid, Json>,
}

impl Known {
    /// What the document goes back to when its new version is cancelled: the attributes of the indexed version.
    pub(super) fn shown_before(&self, row: &Document) -> Option<Json> {
        self.attributes.get(&row.id).cloned()
    }
}

pub(super) async fn known_documents(db: &Transaction, collection: Uuid, prepared: &[Prepared]) -> Result<Known> {
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
