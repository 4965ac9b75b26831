//! Directories of this machine: only under the roots that the operator allowed, and never through a symbolic link that
//! could lead out of them.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, open, openat};
use rustix::io::Errno;
use url::Url;
use walkdir::{DirEntry, WalkDir};

use crate::Fetched;
use crate::fault::{FetchFault, FetchFaultKind};

/// Files that are not wanted and told by name; the others are counted.
const UNWANTED_TOLD: usize = 100;

/// The directories under which a source may lie; without any, none may.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roots(Vec<PathBuf>);

/// A directory that may be read. All its work blocks: call it where blocking is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Without links.
    root: PathBuf,
    /// Without links, and the root or under it.
    path: PathBuf,
}

/// What a directory holds.
#[derive(Debug, Default)]
pub struct Listing {
    /// The wanted files: absolute, without links, sorted.
    pub files: Vec<PathBuf>,
    /// How many files were not wanted; hidden ones and links are not counted.
    pub unwanted: usize,
    /// The first of those that the walk came by, sorted.
    pub unwanted_files: Vec<PathBuf>,
    /// Directories in it that could not be looked at, so that `files` may lack some.
    pub unreadable: Vec<FetchFault>,
}

impl Roots {
    /// The allowed roots. They need not exist: one that does not allows nothing.
    #[must_use]
    pub fn new(directories: Vec<PathBuf>) -> Self {
        Self(directories)
    }

    /// The directory of this absolute path, once its links are resolved.
    ///
    /// # Errors
    /// [`FetchFaultKind::NotAllowed`] where it lies under no root; whether it exists is then not told.
    pub fn open(&self, path: &Path) -> Result<Directory, FetchFault> {
        let outside = || FetchFault::not_allowed(format!("{} is under no allowed directory", path.display()));
        if !path.is_absolute() {
            return Err(outside());
        }
        let found = match path.canonicalize() {
            Ok(found) => found,
            Err(error) if self.seems_inside(path) => return Err(unreadable(path, &error)),
            Err(_) => return Err(outside()),
        };
        let roots = self.0.iter().filter_map(|root| root.canonicalize().ok());
        let root = roots.into_iter().find(|root| found.starts_with(root)).ok_or_else(outside)?;
        if !found.is_dir() {
            return Err(FetchFault::permanent(format!("{} is not a directory", path.display())));
        }
        Ok(Directory { root, path: found })
    }

    /// Whether the path as it is written lies under a root, so that its owner may be told that it is missing.
    fn seems_inside(&self, path: &Path) -> bool {
        let climbs = path.components().any(|part| part == Component::ParentDir);
        !climbs && self.0.iter().any(|root| path.starts_with(root))
    }
}

impl Listing {
    fn leave_out(&mut self, file: PathBuf) {
        self.unwanted += 1;
        if self.unwanted_files.len() < UNWANTED_TOLD {
            self.unwanted_files.push(file);
        }
    }
}

impl Directory {
    /// Every file in it and in its directories that is `wanted`, without hidden ones and without following links.
    ///
    /// # Errors
    /// [`FetchFaultKind::TooMany`] for more than `limit` files. A directory in it that cannot be looked at is told in
    /// the listing.
    pub fn list(&self, wanted: impl Fn(&Path) -> bool, limit: usize) -> Result<Listing, FetchFault> {
        let mut listing = Listing::default();
        let walk = WalkDir::new(&self.path).follow_root_links(false).into_iter();
        for entry in walk.filter_entry(|entry| !is_hidden(entry)) {
            match entry {
                Ok(entry) if !entry.file_type().is_file() => {}
                Ok(entry) if !wanted(entry.path()) => listing.leave_out(entry.into_path()),
                Ok(_) if listing.files.len() >= limit => {
                    let message = format!("{} has more than {limit} files", self.path.display());
                    return Err(FetchFault::new(FetchFaultKind::TooMany, message));
                }
                Ok(entry) => listing.files.push(entry.into_path()),
                Err(error) => {
                    let path = error.path().unwrap_or(&self.path).to_owned();
                    listing.unreadable.push(unreadable(&path, &error.into()));
                }
            }
        }
        listing.files.sort_unstable();
        listing.unwanted_files.sort_unstable();
        Ok(listing)
    }

    /// Reads a file of a listing, of at most `limit_bytes`.
    ///
    /// Safe also against somebody who exchanges files and directories while it reads: each part of the path below the
    /// root is opened from the one before it, and none may be a link.
    ///
    /// # Errors
    /// [`FetchFaultKind::NotAllowed`] where the path leads out of the directory or through a link.
    pub fn read(&self, file: &Path, limit_bytes: usize) -> Result<Fetched, FetchFault> {
        let outside = || FetchFault::not_allowed(format!("{} is not inside {}", file.display(), self.path.display()));
        let in_directory = file.starts_with(&self.path);
        let below_root = file.strip_prefix(&self.root).ok().filter(|_| in_directory).ok_or_else(outside)?;
        let opened = open_below(&self.root, below_root).map_err(|error| unreadable(file, &error))?;
        let metadata = opened.metadata().map_err(|error| unreadable(file, &error))?;
        if !metadata.is_file() {
            return Err(FetchFault::permanent(format!("{} is not a file", file.display())));
        }
        // One byte more than allowed tells that there are more; the size told before may have changed since.
        let limit = u64::try_from(limit_bytes).unwrap_or(u64::MAX);
        let mut bytes = Vec::with_capacity(usize::try_from(metadata.len().min(limit)).unwrap_or_default());
        opened.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| unreadable(file, &error))?;
        if bytes.len() > limit_bytes {
            let message = format!("{} has more than {limit_bytes} bytes", file.display());
            return Err(FetchFault::new(FetchFaultKind::TooLarge, message));
        }
        let source_uri = Url::from_file_path(file).map_err(|()| outside())?.into();
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Fetched { source_uri, name, content_type: None, bytes })
    }
}

impl Directory {
    /// What the source URI of each file in it and below begins with.
    ///
    /// # Panics
    /// Never: the path is absolute.
    #[must_use]
    pub fn uri_prefix(&self) -> String {
        Url::from_directory_path(&self.path).expect("a canonical path is absolute").into()
    }

    /// Whether the file of a source URI would be in it, and is certainly not there any more. What cannot be looked at,
    /// and what lies behind a link, counts as there.
    #[must_use]
    pub fn is_gone(&self, source_uri: &str) -> bool {
        let path = Url::parse(source_uri).ok().and_then(|url| url.to_file_path().ok());
        let Some(path) = path.filter(|path| path.starts_with(&self.path)) else { return false };
        let Ok(below_root) = path.strip_prefix(&self.root) else { return false };
        match open_below(&self.root, below_root) {
            // A directory in the place of the file.
            Ok(found) => found.metadata().is_ok_and(|metadata| metadata.is_dir()),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }
}

/// Opens a file by its path below `root`, one part after the other.
fn open_below(root: &Path, path: &Path) -> io::Result<File> {
    // A pipe would be waited for at opening.
    let reading = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let mut at: OwnedFd = open(root, reading | OFlags::DIRECTORY, Mode::empty())?;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(Errno::LOOP.into()) };
        let directory = if parts.peek().is_some() { OFlags::DIRECTORY } else { OFlags::empty() };
        at = openat(&at, name, reading | directory | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Ok(File::from(at))
}

/// The directory itself is taken even where it is hidden.
fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn unreadable(path: &Path, error: &io::Error) -> FetchFault {
    let path = path.display();
    // What systems say to a link in the place of a file or a directory.
    let is_link = matches!(Errno::from_io_error(error), Some(Errno::LOOP | Errno::NOTDIR | Errno::MLINK));
    match error.kind() {
        _ if is_link => FetchFault::not_allowed(format!("{path} leads through a symbolic link or a file")),
        io::ErrorKind::NotFound => FetchFault::permanent(format!("{path} does not exist")),
        io::ErrorKind::PermissionDenied => FetchFault::permanent(format!("{path} may not be read by this process")),
        _ => FetchFault::transient(format!("{path} cannot be read: {error}")),
    }
}
