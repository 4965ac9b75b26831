//! Files read into batches, bounded by count and bytes.

use std::fs::File;
use std::io::{self, Read};
use std::vec;

use serde::Serialize;
use text::load;
use url::Url;

use super::files::SourceFile;
use super::summary::FailedDocument;

/// Bounds of a batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BatchLimits {
    /// Most documents.
    pub documents: usize,
    /// Most bytes of their JSON, unless one document alone is larger.
    pub bytes: usize,
    /// Largest file that is read at all, in bytes.
    pub file_bytes: u64,
}

impl BatchLimits {
    /// A batch is one transaction of the server: large enough to be cheap, small enough to be there in a moment. The
    /// file limit only keeps a misplaced disk image out of memory; the server's own is lower and refuses by name.
    pub const DEFAULT: Self = Self { documents: 100, bytes: 8 << 20, file_bytes: 1 << 30 };
}

/// A document of `ingestDocuments`. No title: the server finds the one in the text.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NewDocument {
    pub source: TextSource,
    pub source_uri: String,
    pub content_type: &'static str,
    /// For messages.
    #[serde(skip)]
    pub file: SourceFile,
}

#[derive(Debug, Serialize)]
pub(super) struct TextSource {
    pub text: String,
}

/// What is sent at once, and the files that could not be read on the way to it.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub documents: Vec<NewDocument>,
    pub failures: Vec<FailedDocument>,
}

/// Reads files as it is asked for batches.
pub(super) struct Batches {
    files: vec::IntoIter<SourceFile>,
    /// Read, but too large for the batch before it.
    held: Option<(NewDocument, usize)>,
    limits: BatchLimits,
}

impl Batches {
    pub fn new(files: Vec<SourceFile>, limits: BatchLimits) -> Self {
        Self { files: files.into_iter(), held: None, limits }
    }

    fn next_document(&mut self) -> Option<Result<(NewDocument, usize), FailedDocument>> {
        if let Some(held) = self.held.take() {
            return Some(Ok(held));
        }
        let file = self.files.next()?;
        Some(read(file, self.limits.file_bytes))
    }
}

impl Iterator for Batches {
    type Item = Batch;

    fn next(&mut self) -> Option<Batch> {
        let mut batch = Batch::default();
        let mut bytes = 0;
        while batch.documents.len() < self.limits.documents {
            match self.next_document() {
                None => break,
                Some(Err(failure)) => batch.failures.push(failure),
                Some(Ok((document, size))) if batch.documents.is_empty() || bytes + size <= self.limits.bytes => {
                    bytes += size;
                    batch.documents.push(document);
                }
                Some(Ok(too_large)) => {
                    self.held = Some(too_large);
                    break;
                }
            }
        }
        let is_empty = batch.documents.is_empty() && batch.failures.is_empty();
        (!is_empty).then_some(batch)
    }
}

/// The document and the bytes of its JSON.
fn read(file: SourceFile, limit: u64) -> Result<(NewDocument, usize), FailedDocument> {
    let text = read_text(&file, limit)?;
    let Ok(source_uri) = Url::from_file_path(&file.path) else {
        return Err(FailedDocument::local(&file.path, "has no absolute path".to_owned()));
    };
    let content_type = file.content_type.as_str();
    let document = NewDocument { source: TextSource { text }, source_uri: source_uri.into(), content_type, file };
    let size = json_bytes(&document);
    Ok((document, size))
}

fn read_text(file: &SourceFile, limit: u64) -> Result<String, FailedDocument> {
    let failed = |message: String| FailedDocument::local(&file.path, message);
    let mut bytes = Vec::new();
    File::open(&file.path)
        .and_then(|open| open.take(limit + 1).read_to_end(&mut bytes))
        .map_err(|error| failed(format!("cannot be read: {error}")))?;
    if bytes.len() as u64 > limit {
        return Err(failed(format!("is larger than {limit} bytes, the most that is sent")));
    }
    if let Some(what) = load::recognise(&bytes) {
        return Err(FailedDocument::unsupported(&file.path, what));
    }
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        failed(format!("is no UTF-8 text: the byte at offset {offset} begins no character"))
    })
}

fn json_bytes(document: &NewDocument) -> usize {
    struct Counter(usize);
    impl io::Write for Counter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counter = Counter(0);
    serde_json::to_writer(&mut counter, document).expect("strings become JSON, and counting cannot fail");
    counter.0
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use text::load::ContentType;

    use super::*;

    const LIMITS: BatchLimits = BatchLimits { documents: 3, bytes: 1_000, file_bytes: 2_000 };

    fn write(folder: &Path, name: &str, content: &[u8]) -> SourceFile {
        let path = folder.join(name);
        fs::write(&path, content).unwrap();
        SourceFile { path, content_type: ContentType::Markdown }
    }

    #[test]
    fn batches_are_bounded_by_count_and_by_bytes_and_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let sizes = [1, 1, 1, 1, 600, 600, 1_500, 1];
        let files: Vec<_> = sizes
            .iter()
            .enumerate()
            .map(|(index, &size)| write(folder.path(), &format!("{index}.md"), "x".repeat(size).as_bytes()))
            .collect();
        let batches: Vec<Vec<_>> = Batches::new(files, LIMITS)
            .map(|batch| batch.documents.iter().map(|document| document.source.text.len()).collect())
            .collect();
        assert_eq!(batches, [vec![1, 1, 1], vec![1, 600], vec![600], vec![1_500], vec![1]]);
    }

    #[test]
    fn files_that_cannot_be_read_are_told_and_the_others_go_on() {
        let folder = tempfile::tempdir().unwrap();
        let files = vec![
            write(folder.path(), "latin1.md", b"caf\xe9"),
            SourceFile { path: folder.path().join("gone.md"), content_type: ContentType::Markdown },
            write(folder.path(), "huge.md", &[b'x'; 2_001]),
            write(folder.path(), "paper.md", b"%PDF-1.7\n%%EOF\n"),
            write(folder.path(), "good.md", b"good"),
        ];
        let batches: Vec<_> = Batches::new(files, LIMITS).collect();
        let [batch] = batches.as_slice() else { panic!("{batches:?}") };
        assert_eq!(batch.documents.len(), 1);
        let messages: Vec<_> = batch.failures.iter().map(|failure| failure.message.as_str()).collect();
        assert_eq!(messages[0], "is no UTF-8 text: the byte at offset 3 begins no character");
        assert!(messages[1].starts_with("cannot be read: "), "{messages:?}");
        assert_eq!(messages[2], "is larger than 2000 bytes, the most that is sent");
        let told = batch.failures[3].to_string();
        let expected = "is a PDF document, which no loader reads (known are text/plain, text/markdown, text/html)";
        assert!(told.ends_with(&format!("paper.md: {expected} (UNSUPPORTED_CONTENT_TYPE)")), "{told}");
    }

    #[test]
    fn a_source_uri_is_percent_encoded() {
        let folder = tempfile::tempdir().unwrap();
        let file = write(folder.path(), "naïve 50% #1?.md", b"text");
        let (document, _) = read(file, 100).unwrap();
        assert!(document.source_uri.starts_with("file:///"), "{}", document.source_uri);
        assert!(document.source_uri.ends_with("/na%C3%AFve%2050%25%20%231%3F.md"), "{}", document.source_uri);
    }
}
