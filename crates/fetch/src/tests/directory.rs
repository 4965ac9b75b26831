//! A caller reads what the operator allows, and nothing beside it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::{Directory, FetchFaultKind, Roots};

const LIMIT: usize = 1_000;

/// A directory that is allowed and one beside it that is not.
struct Disk(TempDir);

impl Disk {
    fn new() -> Self {
        let disk = Self(tempfile::tempdir().unwrap());
        for file in ["allowed/b.md", "allowed/a.md", "allowed/sub/c.md", "secret/key.md", "allowed-not/d.md"] {
            disk.write(file, file);
        }
        disk
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        fs::create_dir_all(self.path(path).parent().unwrap()).unwrap();
        fs::write(self.path(path), text).unwrap();
    }

    fn link(&self, from: &str, to: &str) {
        symlink(self.path(to), self.path(from)).unwrap();
    }

    fn roots(&self) -> Roots {
        Roots::new(vec![self.path("gone"), self.path("allowed")])
    }

    fn open(&self) -> Directory {
        self.roots().open(&self.path("allowed")).unwrap()
    }

    /// What opening this path is answered with; `None` where it is allowed.
    fn refused(&self, path: &str) -> Option<FetchFaultKind> {
        self.roots().open(&self.path(path)).err().map(|fault| fault.kind)
    }

    fn read(&self, path: &str) -> Result<String, FetchFaultKind> {
        let fetched = self.open().read(&self.path(path), LIMIT).map_err(|fault| fault.kind)?;
        Ok(String::from_utf8(fetched.bytes).unwrap())
    }
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "md")
}

const NOT_ALLOWED: FetchFaultKind = FetchFaultKind::NotAllowed;
const PERMANENT: FetchFaultKind = FetchFaultKind::Permanent { status: None };

#[test]
fn a_directory_is_allowed_at_a_root_and_under_it_only() {
    let disk = Disk::new();
    disk.link("allowed/out", "secret");
    disk.link("in", "allowed/sub");
    for (path, refused) in [
        ("allowed", None),
        ("allowed/sub", None),
        ("allowed/sub/../../allowed", None),
        ("in", None),
        ("", Some(NOT_ALLOWED)),
        ("secret", Some(NOT_ALLOWED)),
        ("allowed-not", Some(NOT_ALLOWED)),
        ("allowed/../secret", Some(NOT_ALLOWED)),
        ("allowed/out", Some(NOT_ALLOWED)),
        ("nothing", Some(NOT_ALLOWED)),
        ("allowed/../nothing", Some(NOT_ALLOWED)),
        ("allowed/nothing", Some(PERMANENT)),
        ("allowed/a.md", Some(PERMANENT)),
    ] {
        assert_eq!(disk.refused(path), refused, "{path:?}");
    }
    assert_eq!(disk.roots().open(Path::new("allowed")).unwrap_err().kind, NOT_ALLOWED, "a relative path");
}

#[test]
fn without_roots_every_directory_is_refused() {
    let disk = Disk::new();
    for path in [disk.path("allowed"), PathBuf::from("/"), PathBuf::from("/nothing")] {
        assert_eq!(Roots::default().open(&path).unwrap_err().kind, NOT_ALLOWED);
    }
}

#[test]
fn a_root_may_itself_be_a_link_of_the_operator() {
    let disk = Disk::new();
    disk.link("current", "allowed");
    let roots = Roots::new(vec![disk.path("current")]);
    assert!(roots.open(&disk.path("current/sub")).is_ok());
    assert_eq!(roots.open(&disk.path("secret")).unwrap_err().kind, NOT_ALLOWED);
}

#[test]
fn a_listing_has_the_wanted_files_in_order_and_no_hidden_ones_or_links() {
    let disk = Disk::new();
    for file in ["allowed/.hidden.md", "allowed/.git/e.md", "allowed/picture.png"] {
        disk.write(file, "");
    }
    disk.link("allowed/file.md", "secret/key.md");
    disk.link("allowed/out", "secret");
    disk.link("allowed/round", "allowed");
    let listing = disk.open().list(is_markdown, 3).unwrap();
    assert_eq!(listing.files, ["a.md", "b.md", "sub/c.md"].map(|file| disk.path("allowed").join(file)));
    assert_eq!((listing.unwanted, listing.unreadable.len()), (1, 0));
    assert_eq!(listing.unwanted_files, [disk.path("allowed/picture.png")]);
}

#[test]
fn a_hidden_directory_is_listed_where_it_is_named() {
    let disk = Disk::new();
    disk.write("allowed/.notes/a.md", "");
    let listing = disk.roots().open(&disk.path("allowed/.notes")).unwrap().list(is_markdown, LIMIT).unwrap();
    assert_eq!(listing.files.len(), 1);
}

#[test]
fn more_files_than_the_limit_are_refused() {
    let disk = Disk::new();
    assert_eq!(disk.open().list(is_markdown, 2).unwrap_err().kind, FetchFaultKind::TooMany);
}

#[test]
fn a_file_is_read_with_what_names_it() {
    let disk = Disk::new();
    disk.write("allowed/naïve 50%.md", "text");
    let fetched = disk.open().read(&disk.path("allowed/naïve 50%.md"), 4).unwrap();
    assert!(fetched.source_uri.starts_with("file:///"), "{}", fetched.source_uri);
    assert!(fetched.source_uri.ends_with("/allowed/na%C3%AFve%2050%25.md"), "{}", fetched.source_uri);
    assert_eq!((fetched.name.as_str(), fetched.content_type), ("naïve 50%.md", None));
    assert_eq!(fetched.bytes, b"text");
}

#[test]
fn a_file_of_more_bytes_than_the_limit_is_refused() {
    let disk = Disk::new();
    let refused = disk.open().read(&disk.path("allowed/a.md"), "allowed/a.md".len() - 1).unwrap_err();
    assert_eq!(refused.kind, FetchFaultKind::TooLarge);
}

#[test]
fn a_file_is_read_from_inside_the_directory_only() {
    let disk = Disk::new();
    disk.link("allowed/file.md", "secret/key.md");
    disk.link("allowed/out", "secret");
    disk.link("allowed/sub/again.md", "allowed/a.md");
    for (path, read) in [
        ("allowed/a.md", Ok("allowed/a.md".to_owned())),
        ("allowed/sub/c.md", Ok("allowed/sub/c.md".to_owned())),
        ("secret/key.md", Err(NOT_ALLOWED)),
        ("allowed/../secret/key.md", Err(NOT_ALLOWED)),
        ("allowed/sub/../a.md", Err(NOT_ALLOWED)),
        ("allowed/file.md", Err(NOT_ALLOWED)),
        ("allowed/out/key.md", Err(NOT_ALLOWED)),
        ("allowed/sub/again.md", Err(NOT_ALLOWED)),
        ("allowed/nothing.md", Err(PERMANENT)),
        ("allowed/sub", Err(PERMANENT)),
    ] {
        assert_eq!(disk.read(path), read, "{path}");
    }
    let sub = disk.roots().open(&disk.path("allowed/sub")).unwrap();
    let outside = sub.read(&disk.path("allowed/a.md"), LIMIT).unwrap_err();
    assert_eq!(outside.kind, NOT_ALLOWED, "under the root, and not in this directory");
}

#[test]
fn a_directory_that_is_exchanged_for_a_link_after_it_was_listed_leads_nowhere() {
    let disk = Disk::new();
    disk.write("secret/c.md", "secret");
    let directory = disk.open();
    let sub = disk.roots().open(&disk.path("allowed/sub")).unwrap();
    let files = directory.list(is_markdown, LIMIT).unwrap().files;
    fs::remove_dir_all(disk.path("allowed/sub")).unwrap();
    disk.link("allowed/sub", "secret");
    let kind = |directory: &Directory| directory.read(files.last().unwrap(), LIMIT).unwrap_err().kind;
    assert_eq!(kind(&directory), NOT_ALLOWED);
    assert_eq!(kind(&sub), NOT_ALLOWED);
    assert_eq!(sub.list(is_markdown, LIMIT).unwrap().files, [""; 0].map(PathBuf::from));
}

#[test]
fn a_pipe_is_no_file_and_is_not_waited_for() {
    let disk = Disk::new();
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, disk.path("allowed/pipe.md"), mode).unwrap();
    assert_eq!(disk.read("allowed/pipe.md"), Err(PERMANENT));
}
