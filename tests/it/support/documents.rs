//! Documents as the API shows them.

use serde_json::{Value as Json, json};

use super::TestApp;
use super::gql::id;

const DOCUMENT: &str =
    "query($id: ID!) { document(id: $id) { id status title author tags metadata sourceUri contentType
    text chunkCount tokenCount error { code message }
    chunks(first: 100) { edges { node { id index text startChar endChar tokenCount headingPath } } } } }";

impl TestApp {
    /// A document with its chunks; null where it is not there.
    pub async fn document(&self, document: &str) -> Json {
        self.data(DOCUMENT, json!({ "id": document })).await["document"].take()
    }

    /// Ingests and waits for the run's end; gives the payload.
    pub async fn ingest_to_end(&self, collection: &str, documents: Json) -> Json {
        let payload = self.ingest(collection, documents).await;
        self.progress(&id(&payload["run"]), None).await;
        payload
    }

    /// Ingests one document, waits for the run's end, and gives the document.
    pub async fn indexed(&self, collection: &str, document: Json) -> Json {
        let payload = self.ingest_to_end(collection, json!([document])).await;
        self.document(&id(&payload["documents"][0]["document"])).await
    }

    /// Deletes a document.
    pub async fn delete_document(&self, document: &str) {
        let query = "mutation($id: ID!) { deleteDocument(input: { id: $id }) { deletedDocumentId } }";
        self.data(query, json!({ "id": document })).await;
    }

    /// Deletes a collection.
    pub async fn delete_collection(&self, collection: &str) {
        let query = "mutation($id: ID!) { deleteCollection(input: { id: $id }) { deletedCollectionId } }";
        self.data(query, json!({ "id": collection })).await;
    }
}

/// The chunks of a document, in order.
pub fn chunks(document: &Json) -> Vec<&Json> {
    let edges = document["chunks"]["edges"].as_array().unwrap_or_else(|| panic!("no chunks in {document}"));
    edges.iter().map(|edge| &edge["node"]).collect()
}

/// A field of each of several objects.
pub fn each<'a>(objects: impl IntoIterator<Item = &'a Json>, field: &str) -> Vec<Json> {
    objects.into_iter().map(|object| object[field].clone()).collect()
}
