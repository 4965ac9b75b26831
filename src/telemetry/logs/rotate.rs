//! A log file that is put aside when it is full: `name`, then `name.1` (the newest) to `name.N`.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Appends lines to a file and begins a new one before a line would make it longer than allowed.
pub(super) struct RotatingFile {
    path: PathBuf,
    file: File,
    bytes: u64,
    max_bytes: u64,
    backups: u32,
}

impl RotatingFile {
    /// Opens the file for appending, with its directory; `max_bytes` and `backups` as `log.file_max_bytes` and
    /// `log.file_backups` say.
    pub fn open(path: &Path, max_bytes: u64, backups: u32) -> io::Result<Self> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory)?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        let bytes = file.metadata()?.len();
        Ok(Self { path: path.to_owned(), file, bytes, max_bytes, backups })
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.backups == 0 {
            self.file.set_len(0)?;
            self.bytes = 0;
            return Ok(());
        }
        for number in (1..self.backups).rev() {
            rename_if_present(&self.backup(number), &self.backup(number + 1))?;
        }
        rename_if_present(&self.path, &self.backup(1))?;
        *self = Self::open(&self.path, self.max_bytes, self.backups)?;
        Ok(())
    }

    fn backup(&self, number: u32) -> PathBuf {
        let mut name = OsString::from(&self.path);
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }
}

impl Write for RotatingFile {
    /// Writes all of `line` or fails, so that a line never stands in two files.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let length = line.len() as u64;
        if self.bytes > 0 && self.bytes + length > self.max_bytes {
            // A file that cannot be put aside grows on: too long is better than lost.
            let _ = self.rotate();
        }
        if let Err(cause) = self.file.write_all(line) {
            // Nor does half a line stand before the next one, once there is room again.
            let _ = self.file.set_len(self.bytes);
            return Err(cause);
        }
        self.bytes += length;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn rename_if_present(from: &Path, to: &Path) -> io::Result<()> {
    match fs::rename(from, to) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names_and_texts(directory: &Path) -> Vec<(String, String)> {
        let entries = fs::read_dir(directory).unwrap().map(Result::unwrap);
        let mut files: Vec<_> = entries
            .map(|entry| {
                let name = entry.file_name().into_string().unwrap();
                (name, fs::read_to_string(entry.path()).unwrap())
            })
            .collect();
        files.sort();
        files
    }

    fn files(expected: &[(&str, &str)]) -> Vec<(String, String)> {
        expected.iter().map(|(name, text)| (name.to_string(), text.to_string())).collect()
    }

    #[test]
    fn a_full_file_is_put_aside_and_only_so_many_are_kept() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        let mut log = RotatingFile::open(&path, 8, 2).unwrap();
        for line in ["one\n", "two\n", "three\n", "four\n", "five\n", "six\n"] {
            log.write_all(line.as_bytes()).unwrap();
        }
        let expected = [("a.log", "six\n"), ("a.log.1", "five\n"), ("a.log.2", "four\n")];
        assert_eq!(names_and_texts(directory.path()), files(&expected));
    }

    #[test]
    fn a_file_of_an_earlier_run_is_continued_and_counts() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/a.log");
        RotatingFile::open(&path, 8, 1).unwrap().write_all(b"one\n").unwrap();
        let mut log = RotatingFile::open(&path, 8, 1).unwrap();
        log.write_all(b"two\n").unwrap();
        log.write_all(b"three\n").unwrap();
        let expected = [("a.log", "three\n"), ("a.log.1", "one\ntwo\n")];
        assert_eq!(names_and_texts(path.parent().unwrap()), files(&expected));
    }

    #[test]
    fn without_backups_a_full_file_begins_anew() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatingFile::open(&directory.path().join("a.log"), 5, 0).unwrap();
        log.write_all(b"one\n").unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(names_and_texts(directory.path()), files(&[("a.log", "two\n")]));
    }

    #[test]
    fn a_line_longer_than_the_file_may_be_is_kept_whole() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = RotatingFile::open(&directory.path().join("a.log"), 4, 1).unwrap();
        log.write_all(b"a long line\n").unwrap();
        assert_eq!(names_and_texts(directory.path()), files(&[("a.log", "a long line\n")]));
    }

    #[test]
    fn no_line_is_lost_where_a_file_cannot_be_put_aside() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        fs::create_dir_all(directory.path().join("a.log.1/in the way")).unwrap();
        let mut log = RotatingFile::open(&path, 4, 1).unwrap();
        log.write_all(b"one\n").unwrap();
        log.write_all(b"two\n").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "one\ntwo\n");
    }
}
