//! Documents checked and hashed, before anything is written.

use settings::IngestSettings;
use sha2::{Digest, Sha256};
use text::load::ContentType;

use super::content::{check_bytes, check_chunks, check_file, content_type, refuse_content_type};
use super::document::{NewDocument, Source};
use crate::app::App;
use crate::error::{Error, Result};
use crate::ingest::ready_made::{self, Kept};
use crate::ingest::room::Room;
use crate::store::entity::embedding_space::Model as Space;

/// A checked document.
pub(super) struct Prepared {
    pub(super) hash: Vec<u8>,
    pub(super) content_type: String,
    pub(super) original: Vec<u8>,
    pub(super) body: Option<String>,
    pub(super) vectors: Option<Vec<u8>>,
    pub(super) size: usize,
    pub(super) given: NewDocument,
}

/// What documents are held to.
#[derive(Clone, Copy)]
pub(super) struct Bounds<'a> {
    pub(super) space: &'a Space,
    pub(super) room: Option<&'a Room>,
    pub(super) limits: &'a IngestSettings,
}

/// Checks and hashes away from the threads that serve requests: 64 MB take a tenth of a second.
pub(super) async fn prepare_all(
    app: &App,
    documents: Vec<NewDocument>,
    space: Space,
    room: Option<Room>,
) -> Result<Vec<Prepared>> {
    let limits = app.config.ingest.clone();
    let work = move || {
        let bounds = Bounds { space: &space, room: room.as_ref(), limits: &limits };
        let prepare = |(index, document)| prepare(&format!("input.documents.{index}"), document, bounds);
        documents.into_iter().enumerate().map(prepare).collect()
    };
    tokio::task::spawn_blocking(work).await.map_err(|panic| Error::internal("check the documents", panic))?
}

fn prepare(field: &str, mut given: NewDocument, bounds: Bounds<'_>) -> Result<Prepared> {
    let Bounds { space, limits, .. } = bounds;
    let source = std::mem::replace(&mut given.source, Source::Text(String::new()));
    let mut hasher = Sha256::new();
    let (original, content_type, body, vectors) = match source {
        Source::Text(text) => {
            let kind = content_type(field, given.content_type.as_deref(), ContentType::PlainText)?;
            check_bytes(&format!("{field}.source.text"), text.as_bytes(), limits.document_limit_bytes)?;
            (text.into_bytes(), kind.as_str().to_owned(), None, None)
        }
        Source::File { bytes, name, content_type: uploaded } => {
            let told = given.content_type.as_deref();
            let kind = check_file(field, (&name, uploaded), told, &bytes, limits)?;
            (bytes, kind.as_str().to_owned(), None, None)
        }
        Source::Chunks(chunks) => {
            refuse_content_type(field, given.content_type.as_deref())?;
            check_chunks(field, &chunks, bounds)?;
            let Kept { original, body, vectors } = ready_made::write(&chunks, space.dimensions.unsigned_abs() as usize);
            (original, ready_made::CONTENT_TYPE.to_owned(), Some(body), vectors)
        }
    };
    if space.model.is_none() && content_type != ready_made::CONTENT_TYPE {
        let expected = "`chunks` with vectors: this collection has no embedding model";
        return Err(Error::input(format!("{field}.source"), "a document to be embedded", expected));
    }
    hasher.update(content_type.as_bytes());
    hasher.update(b"\n");
    hasher.update(&original);
    hasher.update(vectors.as_deref().unwrap_or_default());
    let hash = hasher.finalize().to_vec();
    Ok(Prepared { hash, content_type, size: original.len(), original, body, vectors, given })
}
