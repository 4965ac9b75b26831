//! What a document's content is held to: format, size, text, and the chunks that a caller cut.

use settings::IngestSettings;
use text::load::{self, ContentType};

use super::prepared::Bounds;
use crate::error::{Code, Error, Result};
use crate::ingest::ready_made::ReadyChunk;
use crate::search::vector;

/// The format of a file with the name and content type that came with it; `told` goes before both.
pub(in crate::ingest) fn check_file(
    field: &str,
    (name, uploaded): (&str, Option<String>),
    told: Option<&str>,
    bytes: &[u8],
    limits: &IngestSettings,
) -> Result<ContentType> {
    let by_name = ContentType::from_path(name.as_ref());
    let uploaded = uploaded.filter(|_| by_name.is_none());
    let kind = content_type(field, told.or(uploaded.as_deref()), by_name.unwrap_or(ContentType::PlainText))?;
    check_bytes(&format!("{field}.source.upload"), bytes, limits.document_limit_bytes)?;
    Ok(kind)
}

pub(super) fn content_type(field: &str, told: Option<&str>, otherwise: ContentType) -> Result<ContentType> {
    let Some(told) = told else { return Ok(otherwise) };
    told.parse().map_err(|_: load::LoadError| {
        Error::refused(Code::UnsupportedContentType, format!("{field}.contentType"), told, expected_types())
    })
}

/// What can be loaded, for a sentence.
pub(in crate::ingest) fn expected_types() -> String {
    format!("one of {}, in UTF-8", ContentType::ALL.map(ContentType::as_str).join(", "))
}

pub(super) fn refuse_content_type(field: &str, told: Option<&str>) -> Result<()> {
    match told {
        None => Ok(()),
        Some(told) => Err(Error::input(format!("{field}.contentType"), told, "none: `chunks` have no content type")),
    }
}

pub(super) fn check_bytes(field: &str, bytes: &[u8], limit: usize) -> Result<()> {
    if bytes.len() > limit {
        let got = format!("{} bytes", bytes.len());
        return Err(Error::refused(Code::PayloadTooLarge, field, got, format!("at most {limit} bytes")));
    }
    if let Some(what) = load::recognise(bytes) {
        return Err(Error::refused(Code::UnsupportedContentType, field, what, expected_types()));
    }
    check_text(field, bytes)
}

fn check_text(field: &str, bytes: &[u8]) -> Result<()> {
    load::check(bytes).map_err(|cause| {
        let got = match cause {
            load::LoadError::Empty => "no text".to_owned(),
            load::LoadError::NulByte { offset } => format!("a NUL byte at byte {offset}"),
            load::LoadError::InvalidUtf8 { offset } => format!("invalid UTF-8 at byte {offset}"),
            other => other.to_string(),
        };
        Error::input(field, got, "text in UTF-8 that is not blank")
    })
}

pub(super) fn check_chunks(
    field: &str,
    chunks: &[ReadyChunk],
    Bounds { space, room, limits }: Bounds<'_>,
) -> Result<()> {
    let list = format!("{field}.source.chunks");
    if chunks.is_empty() {
        return Err(Error::input(list, "none", format!("1 to {} chunks", limits.chunks_limit)));
    }
    if chunks.len() > limits.chunks_limit {
        let got = format!("{} chunks", chunks.len());
        return Err(Error::refused(Code::PayloadTooLarge, list, got, format!("at most {}", limits.chunks_limit)));
    }
    let size: usize = chunks.iter().map(|chunk| chunk.text.len()).sum();
    if size > limits.document_limit_bytes {
        let expected = format!("at most {} bytes", limits.document_limit_bytes);
        return Err(Error::refused(Code::PayloadTooLarge, list, format!("{size} bytes"), expected));
    }
    for (index, chunk) in chunks.iter().enumerate() {
        let text = format!("{list}.{index}.text");
        check_text(&text, chunk.text.as_bytes())?;
        match &chunk.vector {
            Some(vector) => vector::check(&format!("{list}.{index}.vector"), vector, space)?,
            None if space.model.is_some() => room.map_or(Ok(()), |room| room.check(&text, &chunk.text))?,
            None => {
                let expected = "a vector: this collection has no embedding model";
                return Err(Error::input(format!("{list}.{index}.vector"), "none", expected));
            }
        }
    }
    Ok(())
}
