//! Files with an operation, by the multipart request specification: the parts `operations`, `map`, and then a file each.
//! <https://github.com/jaydenseric/graphql-multipart-request-spec>
//!
//! Over any stream of bytes; knows nothing of HTTP. Files go to temporary files that have no name: however it ends,
//! nothing is left behind.

mod file;
mod map;
mod parts;

use async_graphql::{Request, UploadValue};
use axum::body::Bytes;
use futures_util::Stream;

use self::map::{Map, Mapped};
use self::parts::{Part, Parts};
use super::json::{self, Root};
use super::operation;
use crate::error::{Code, Error, Result};
use crate::graphql::upload_placeholder;

/// What a form may hold, besides what bounds its bytes.
#[derive(Clone, Copy, Debug)]
pub struct FormLimits {
    /// Most files, and most places that they are mapped to.
    pub files: usize,
    /// Most JSON values of `operations`, and of `map`.
    pub values: usize,
}

/// Reads a form whose parts stand between `boundary`s; returns where it ends or at the first fault.
///
/// # Errors
/// Of the stream; otherwise `BAD_USER_INPUT` or `PAYLOAD_TOO_LARGE` that names the part.
pub async fn read_form(
    boundary: &str,
    bytes: impl Stream<Item = Result<Bytes>> + Send,
    limits: FormLimits,
) -> Result<Request> {
    let mut parts = Parts::new(boundary, bytes);
    let operations = parts.text("operations").await?;
    let root = Root { name: "operations", prefix: "operations." };
    let mut request = operation::read(root, json::value(root, &operations, limits.values)?)?;
    let mut map = Map::read(&parts.text("map").await?, limits)?;
    for (index, file) in map.files().iter().enumerate() {
        map::put(&mut request.variables, file, &upload_placeholder(index))?;
    }
    while let Some(part) = parts.next().await? {
        receive(&mut map, part).await?;
    }
    request.uploads = map.received()?;
    Ok(request)
}

/// Takes one file, which must be one of the map's that did not come yet.
async fn receive(map: &mut Map, mut part: Part<'_>) -> Result<()> {
    let name = part.name()?;
    let place = match map.file(&name) {
        Some(Mapped::Missing(place)) => place,
        Some(Mapped::Received) => return Err(Error::input(name, "a part of this name twice", "it once")),
        None if matches!(name.as_str(), "operations" | "map") => {
            return Err(Error::input(name, "a part of this name twice", "it once"));
        }
        None => return Err(Error::input(name, "a part that the map does not name", "the files of the map only")),
    };
    let (filename, content_type) = (part.filename(), part.content_type());
    let content = file::store(&mut part).await?;
    *place = Some(UploadValue { filename, content_type, content });
    Ok(())
}

/// More files, or places of files, than the limit.
fn too_many(files: &str, limit: usize) -> Error {
    let expected = format!("at most {limit} (ingest.documents_limit)");
    Error::refused(Code::PayloadTooLarge, "map", format!("more than {limit} {files}"), expected)
}
