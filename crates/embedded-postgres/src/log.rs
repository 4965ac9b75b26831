//! The file PostgreSQL writes its log to.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use crate::{account::Account, child, error::ServerError};

const FILE: &str = "postgres.log";
/// At start a longer log than this, in bytes, moves to `postgres.log.1` and replaces the one there.
const MAX_SIZE: u64 = 10 * 1024 * 1024;
/// How much of the end is read for an error message, in bytes: more than the few lines it quotes.
const TAIL: u64 = 8 * 1024;

/// The log file, and where this run begins in it.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    path: PathBuf,
    begin: u64,
}

impl Log {
    /// Opens the log for appending; the [`File`] is for PostgreSQL's stderr.
    pub(crate) fn open(data_dir: &Path, account: &Account) -> Result<(Self, File), ServerError> {
        let path = data_dir.join(FILE);
        Self::open_at(&path, account).map_err(ServerError::unwritable(path))
    }

    fn open_at(path: &Path, account: &Account) -> io::Result<(Self, File)> {
        if fs::metadata(path).is_ok_and(|log| log.len() > MAX_SIZE) {
            fs::rename(path, path.with_extension("log.1"))?;
        }
        let file = File::options().append(true).create(true).mode(0o600).open(path)?;
        account.give(path)?;
        let log = Self { path: path.to_owned(), begin: file.metadata()?.len() };
        Ok((log, file))
    }

    /// Where it lies.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The last lines of this run as one line, for an error message.
    pub(crate) fn tail(&self) -> String {
        self.read_tail().map_or_else(|error| format!("({error})"), |tail| child::last_lines(&tail))
    }

    fn read_tail(&self) -> io::Result<Vec<u8>> {
        let mut file = File::open(&self.path)?;
        let end = file.metadata()?.len();
        file.seek(SeekFrom::Start(self.begin.max(end.saturating_sub(TAIL))))?;
        let mut tail = Vec::new();
        file.take(TAIL).read_to_end(&mut tail)?;
        Ok(tail)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn the_tail_quotes_this_run_only() {
        let temp = tempfile::tempdir().expect("temporary directory");
        let account = Account::choose(temp.path()).expect("an account");
        for run in ["first", "second"] {
            let (log, mut file) = Log::open(temp.path(), &account).expect("open");
            assert_eq!(log.tail(), "(nothing)");
            writeln!(file, "{run} run").expect("write");
            assert_eq!(log.tail(), format!("{run} run"));
        }
    }

    #[test]
    fn a_long_log_is_kept_once_under_another_name() {
        let temp = tempfile::tempdir().expect("temporary directory");
        let account = Account::choose(temp.path()).expect("an account");
        let (log, file) = Log::open(temp.path(), &account).expect("open");
        file.set_len(MAX_SIZE + 1).expect("grow");
        let (fresh, _) = Log::open(temp.path(), &account).expect("open again");
        let size = |path: &Path| fs::metadata(path).expect("there").len();
        assert_eq!(size(fresh.path()), 0);
        assert_eq!(size(&log.path().with_extension("log.1")), MAX_SIZE + 1);
    }
}
