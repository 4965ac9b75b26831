//! One server of ours per data directory.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use crate::{account::Account, error::ServerError};

const FILE: &str = "lock";

/// The data directory, held until this is dropped or the process ends, however it ends.
///
/// The lock is advisory (flock(2)) and the file stays: removing it would let two processes lock two files of the
/// same name. Children do not inherit it, so an orphaned PostgreSQL never keeps it.
#[derive(Debug)]
pub(crate) struct DirLock {
    file: File,
}

impl Drop for DirLock {
    /// Closing the file would not do: a child that another thread has just forked has it too, until it runs its program.
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

impl DirLock {
    /// Takes the lock of `data_dir`, or fails at once with the holder's process id.
    pub(crate) fn take(data_dir: &Path, account: &Account) -> Result<Self, ServerError> {
        let path = data_dir.join(FILE);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(ServerError::unwritable(&path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(ServerError::InUse { path: data_dir.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(source)) => return Err(ServerError::unwritable(path)(source)),
        }
        let written = account.give(&path).and_then(|()| write_holder(&mut file));
        written.map_err(ServerError::unwritable(path))?;
        Ok(Self { file })
    }
}

fn write_holder(file: &mut File) -> std::io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> String {
    let mut text = String::new();
    match file.read_to_string(&mut text) {
        Ok(_) if !text.trim().is_empty() => text.trim().to_owned(),
        // Between taking the lock and writing the id.
        _ => "(unknown)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_locked_once_and_free_again_after_the_drop() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let account = Account::choose(dir.path()).expect("an account");
        let first = DirLock::take(dir.path(), &account).expect("free");

        let refusal = DirLock::take(dir.path(), &account).expect_err("taken");
        let expected = format!("is in use by process {};", std::process::id());
        assert!(refusal.to_string().contains(&expected), "{refusal}");

        drop(first);
        DirLock::take(dir.path(), &account).expect("free again");
    }
}
