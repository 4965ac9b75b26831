//! What `ingestDocuments` takes and gives.

use async_graphql::{
    Context, Enum, ID, InputObject, InputValueError, InputValueResult, OneofObject, Scalar, ScalarType, SimpleObject,
    Value,
};
use serde_json::Value as Json;

use super::document::Document;
use super::job::Job;
use super::run::Run;
use super::vector::Vector;
use crate::error::{Code, Error, Result};
use crate::graphql::types::date_time::DateTime;
use crate::graphql::{check, name};
use crate::ingest::ready_made::ReadyChunk;
use crate::ingest::submit::{NewDocument, Outcome, Source};

/// Documents for a collection.
#[derive(InputObject)]
pub struct IngestDocumentsInput {
    /// Where to.
    pub collection_id: ID,
    /// 1 to 1,000 (a setting). All are taken or, where one is refused, none.
    pub documents: Vec<DocumentInput>,
}

/// One document.
#[derive(InputObject)]
pub struct DocumentInput {
    /// Its content.
    source: DocumentSourceInput,
    /// `text/plain`, `text/markdown` or `text/html`, in UTF-8. By default `text/plain` for a text, and for an upload
    /// what its name or its part's header says. None for chunks.
    content_type: Option<String>,
    /// Where it came from, at most 2,048 characters; what is percent-encoded counts as the characters that it stands
    /// for. A document from the same source is replaced.
    source_uri: Option<String>,
    /// At most 255 characters; line breaks become spaces. By default the one found in the content.
    title: Option<String>,
    /// At most 255 characters; line breaks become spaces.
    author: Option<String>,
    /// At most 100 of at most 255 characters; kept as the name of a collection is.
    #[graphql(default)]
    tags: Vec<String>,
    /// A JSON object of at most 64 KiB (a setting).
    metadata: Option<Json>,
    /// When it shall be deleted; a minute later it is gone. A time in the past deletes it as soon.
    expires_at: Option<DateTime>,
}

/// A document's content: at most 10 MiB (a setting).
#[derive(OneofObject)]
pub enum DocumentSourceInput {
    /// The text itself.
    Text(String),
    /// A file. <https://github.com/jaydenseric/graphql-multipart-request-spec>
    Upload(Upload),
    /// Chunks cut by the caller, 1 to 10,000 (a setting).
    Chunks(Vec<ChunkInput>),
}

/// The place of an uploaded file in its request. The engine's own type panics where a caller writes one by hand.
pub struct Upload(usize);

/// What stands before the place of a file.
const UPLOADED: &str = "#__graphql_file__:";

/// What stands in a variable for the file at a place of the request's uploads.
pub fn upload_placeholder(place: usize) -> Value {
    Value::String(format!("{UPLOADED}{place}"))
}

/// A file of a multipart request. Such a request needs one of the headers `GraphQL-Require-Preflight`,
/// `Apollo-Require-Preflight`, `X-Apollo-Operation-Name`, `GraphQL-Preflight` or `X-Requested-With`, with any value: pages
/// of other origins cannot send them unasked.
#[Scalar(specified_by_url = "https://github.com/jaydenseric/graphql-multipart-request-spec")]
impl ScalarType for Upload {
    fn parse(value: Value) -> InputValueResult<Self> {
        let place = match &value {
            Value::String(text) => text.strip_prefix(UPLOADED).and_then(|place| place.parse().ok()),
            _ => None,
        };
        place.map(Self).ok_or_else(|| InputValueError::custom("got no file, expected one of a multipart request"))
    }

    fn to_value(&self) -> Value {
        Value::Null
    }
}

/// A chunk cut by the caller.
#[derive(InputObject)]
pub struct ChunkInput {
    /// Its text, not blank. Without a vector at most as many tokens as the collection's model reads (`longestChunk` of
    /// `embeddingModels`): of a longer one the rest would not be found.
    text: String,
    /// Its vector, of the collection's dimensions. Without one the collection's model makes it.
    vector: Option<Vector>,
}

impl DocumentInput {
    /// The checked input; `field` is its path.
    pub async fn checked(self, ctx: &Context<'_>, field: &str, metadata_limit: usize) -> Result<NewDocument> {
        if self.tags.len() > check::TAGS_LIMIT {
            let got = format!("{} tags", self.tags.len());
            return Err(Error::input(format!("{field}.tags"), got, format!("at most {}", check::TAGS_LIMIT)));
        }
        let tag = |(index, tag): (usize, String)| name::name(&format!("{field}.tags.{index}"), &tag);
        let tags = self.tags.into_iter().enumerate().map(tag).collect::<Result<_>>()?;
        let uri = format!("{field}.sourceUri");
        Ok(NewDocument {
            source_uri: check::optional_uri(&uri, self.source_uri, 1)?,
            title: name::optional_line(&format!("{field}.title"), self.title.as_deref())?,
            author: name::optional_line(&format!("{field}.author"), self.author.as_deref())?,
            tags,
            metadata: check::optional_object(&format!("{field}.metadata"), self.metadata, metadata_limit)?,
            expires_at: DateTime::optional(self.expires_at, &format!("{field}.expiresAt"))?,
            content_type: self.content_type,
            source: self.source.read(ctx, &format!("{field}.source")).await?,
        })
    }
}

impl DocumentSourceInput {
    async fn read(self, ctx: &Context<'_>, field: &str) -> Result<Source> {
        match self {
            Self::Text(text) => Ok(Source::Text(text)),
            Self::Upload(upload) => read_upload(ctx, upload, &format!("{field}.upload")).await,
            Self::Chunks(chunks) => {
                let chunk = |chunk: ChunkInput| ReadyChunk { text: chunk.text, vector: chunk.vector.map(|v| v.0) };
                Ok(Source::Chunks(chunks.into_iter().map(chunk).collect()))
            }
        }
    }
}

/// Reads the uploaded file on a thread that may block; one over the limit is refused unread.
async fn read_upload(ctx: &Context<'_>, upload: Upload, field: &str) -> Result<Source> {
    use crate::graphql::context::ContextExt;
    let limit = ctx.app().config.ingest.document_limit_bytes;
    let unreadable = |cause: std::io::Error| Error::internal("read the upload", cause);
    let missing = || Error::input(field, "no file", "a file of a multipart request");
    let value = ctx.query_env.uploads.get(upload.0).ok_or_else(missing)?;
    let size = value.size().map_err(unreadable)?;
    let Some(size) = usize::try_from(size).ok().filter(|size| *size <= limit) else {
        let (got, expected) = (format!("{size} bytes"), format!("at most {limit} bytes"));
        return Err(Error::refused(Code::PayloadTooLarge, field, got, expected));
    };
    let (name, content_type) = (value.filename.clone(), value.content_type.clone());
    let file = value.content.try_clone().map_err(unreadable)?;
    let read = move || {
        // From its beginning, wherever others who read the same file are.
        let mut bytes = vec![0; size];
        std::os::unix::fs::FileExt::read_exact_at(&file, &mut bytes, 0).map(|()| bytes)
    };
    let read = tokio::task::spawn_blocking(read).await.map_err(|panic| Error::internal("read the upload", panic))?;
    Ok(Source::File { bytes: read.map_err(unreadable)?, name, content_type })
}

/// What `ingestDocuments` led to.
#[derive(SimpleObject)]
pub struct IngestDocumentsPayload {
    /// The run to follow with `ingestProgress`.
    pub run: Run,
    /// What became of each document, in the call's order.
    pub documents: Vec<IngestedDocument>,
}

/// What became of one document of the call.
#[derive(SimpleObject)]
pub struct IngestedDocument {
    /// What became of it.
    pub outcome: IngestOutcome,
    /// The document.
    pub document: Document,
    /// The job that works on it; for `UNCHANGED` the one that did.
    pub job: Option<Job>,
}

/// What became of a document.
#[derive(Enum, Clone, Copy, PartialEq, Eq)]
#[graphql(remote = "Outcome")]
pub enum IngestOutcome {
    /// New, or tried again after a failure: a job works on it.
    Accepted,
    /// The same content is there already. Title, author, tags and metadata are taken over where given.
    Unchanged,
    /// New content for a known document: a job works on it, and the old content answers searches until it is done.
    Replaced,
}
