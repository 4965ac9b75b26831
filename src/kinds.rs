//! Every kind of job of the product. A new one is a file with its [`JobKind`](crate::queue::JobKind) and its
//! [`Handler`](crate::queue::Handler), and a line here.

use std::sync::Arc;

use crate::app::App;
use crate::queue::Kinds;
use crate::{collection, ingest, search};

/// All of them, over an application. Made once per process.
pub fn all(app: &Arc<App>) -> Kinds {
    Kinds::default()
        .with(ingest::job::KIND, ingest::work::IngestDocument::new(app.clone()))
        .with(ingest::pull::KIND, ingest::pull::IngestSource::new(app.clone()))
        .with(search::build::KIND, search::build::BuildIndex::new(app.clone()))
        .with(collection::purge::KIND, collection::purge::PurgeCollection::new(app.clone()))
}
