//! Which files the paths of the command line stand for.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use text::load::ContentType;
use walkdir::{DirEntry, WalkDir};

use super::summary::FailedDocument;
use crate::error::ClientError;
use crate::terminal::plain;

/// How many kinds of left out files a message names.
const KINDS_SHOWN: usize = 5;

/// A file to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SourceFile {
    /// Absolute, without links, so that a file has one source URI by whatever way it is named.
    pub path: PathBuf,
    pub content_type: ContentType,
}

/// What the paths stand for.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub files: Vec<SourceFile>,
    /// The folders that were named and held a file to send: absolute, without links.
    pub folders: BTreeSet<PathBuf>,
    pub skipped: Skipped,
    /// Folders and files inside folders that could not be looked at.
    pub failures: Vec<FailedDocument>,
}

/// Files inside folders that no loader reads: how many of each extension.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skipped(BTreeMap<String, usize>);

impl Skipped {
    fn add(&mut self, path: &Path) {
        let extension = path.extension().map(|extension| format!(".{}", plain(&extension.to_string_lossy())));
        *self.0.entry(extension.unwrap_or_else(|| "no extension".to_owned())).or_default() += 1;
    }

    /// How many in all.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.values().sum()
    }

    /// The most frequent kinds with their counts: `.png 12, .zip 3, …`.
    #[must_use]
    pub fn kinds(&self) -> String {
        let mut kinds: Vec<_> = self.0.iter().collect();
        kinds.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let more = if kinds.len() > KINDS_SHOWN { ", …" } else { "" };
        let shown: Vec<_> = kinds.iter().take(KINDS_SHOWN).map(|(kind, count)| format!("{kind} {count}")).collect();
        format!("{}{more}", shown.join(", "))
    }
}

/// Walks the paths, in their order and by name inside folders; a file named twice is taken once.
///
/// # Errors
/// Where a path is not there or no file could be sent. What cannot be read inside a folder is a failure of its own.
pub(super) fn find(paths: &[PathBuf]) -> Result<Found, ClientError> {
    let mut found = Found::default();
    let mut seen = HashSet::new();
    for given in paths {
        let path = fs::canonicalize(given).map_err(|error| unusable(given, &error))?;
        if path.is_dir() {
            let before = found.files.len();
            walk(&path, &mut seen, &mut found);
            let holds_files = found.files.len() > before || seen.iter().any(|file| file.starts_with(&path));
            found.folders.extend(holds_files.then_some(path));
        } else if path.is_file() {
            let content_type = ContentType::from_path(&path).unwrap_or(ContentType::PlainText);
            take(path, content_type, &mut seen, &mut found);
        } else {
            return Err(unusable(given, &io::Error::other("neither a file nor a folder")));
        }
    }
    if found.files.is_empty() { Err(nothing(&found)) } else { Ok(found) }
}

fn walk(folder: &Path, seen: &mut HashSet<PathBuf>, found: &mut Found) {
    // Links are not followed: they could lead out of the folder, or round in it. Who wants one names it.
    let entries = WalkDir::new(folder).sort_by_file_name().into_iter().filter_entry(|entry| !is_hidden(entry));
    for entry in entries {
        match entry {
            Ok(entry) if entry.file_type().is_file() => match ContentType::from_path(entry.path()) {
                Some(content_type) => take(entry.into_path(), content_type, seen, found),
                None => found.skipped.add(entry.path()),
            },
            Ok(_) => {}
            Err(error) => found.failures.push(unreadable(folder, &error)),
        }
    }
}

/// A named folder is taken even where it is hidden.
fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.')
}

fn take(path: PathBuf, content_type: ContentType, seen: &mut HashSet<PathBuf>, found: &mut Found) {
    if seen.insert(path.clone()) {
        found.files.push(SourceFile { path, content_type });
    }
}

fn unreadable(folder: &Path, error: &walkdir::Error) -> FailedDocument {
    let path = error.path().unwrap_or(folder);
    let cause = error.io_error().map_or_else(|| error.to_string(), ToString::to_string);
    FailedDocument::local(path, format!("cannot be read: {cause}"))
}

fn unusable(given: &Path, error: &io::Error) -> ClientError {
    let path = plain(&given.to_string_lossy());
    match error.kind() {
        io::ErrorKind::NotFound => ClientError::NoSuchPath { path },
        _ => ClientError::UnreadablePath { path, cause: error.to_string() },
    }
}

fn nothing(found: &Found) -> ClientError {
    let mut reasons = Vec::new();
    if found.skipped.count() > 0 {
        let known = ContentType::ALL.map(ContentType::as_str).join(", ");
        reasons.push(format!("skipped {}, of which no loader reads any (known are {known})", found.skipped.kinds()));
    }
    reasons.extend(found.failures.iter().take(KINDS_SHOWN).map(ToString::to_string));
    if reasons.is_empty() {
        reasons.push("the folders hold no files".to_owned());
    }
    ClientError::NothingToIngest { found: reasons.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "text").unwrap();
        }
        folder
    }

    fn names(found: &Found, folder: &Path) -> Vec<String> {
        let root = fs::canonicalize(folder).unwrap();
        found.files.iter().map(|file| file.path.strip_prefix(&root).unwrap().display().to_string()).collect()
    }

    #[test]
    fn a_folder_gives_its_readable_files_by_name_without_hidden_ones() {
        let folder = folder(&["b.md", "a/z.TXT", "a/y.html", ".git/x.md", "a/.hidden.md", "p.png", "q.png", "LICENSE"]);
        let found = find(&[folder.path().to_owned()]).unwrap();
        assert_eq!(names(&found, folder.path()), ["a/y.html", "a/z.TXT", "b.md"]);
        assert_eq!(found.skipped.kinds(), ".png 2, no extension 1");
    }

    #[test]
    fn a_named_file_is_text_whatever_its_extension() {
        let folder = folder(&["Makefile", ".env.example"]);
        let found = find(&[folder.path().join("Makefile"), folder.path().join(".env.example")]).unwrap();
        assert!(found.files.iter().all(|file| file.content_type == ContentType::PlainText));
        assert_eq!(found.files.len(), 2);
    }

    #[test]
    fn a_file_named_by_two_ways_is_taken_once() {
        let folder = folder(&["a.md", "sub/b.md"]);
        let paths = [folder.path().to_owned(), folder.path().join("sub/../a.md"), folder.path().join("sub")];
        assert_eq!(names(&find(&paths).unwrap(), folder.path()), ["a.md", "sub/b.md"]);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_parent_folder_is_no_endless_walk() {
        let folder = folder(&["sub/a.md"]);
        std::os::unix::fs::symlink(folder.path(), folder.path().join("sub/round")).unwrap();
        assert_eq!(names(&find(&[folder.path().to_owned()]).unwrap(), folder.path()), ["sub/a.md"]);
    }

    #[test]
    fn a_path_that_is_not_there_is_named() {
        let error = find(&["/no/such/fi\u{1b}le.md".into()]).unwrap_err();
        assert_eq!(error.to_string(), "no such file or folder: /no/such/file.md");
    }

    #[test]
    fn where_nothing_can_be_sent_the_message_names_what_was_there() {
        let full = folder(&["a.png", "b.zip"]);
        let error = find(&[full.path().to_owned()]).unwrap_err().to_string();
        assert!(
            error.starts_with("nothing to ingest: skipped .png 1, .zip 1, of which no loader reads any"),
            "{error}"
        );
        let empty = folder(&[]);
        let error = find(&[empty.path().to_owned()]).unwrap_err().to_string();
        assert_eq!(error, "nothing to ingest: the folders hold no files");
    }
}
