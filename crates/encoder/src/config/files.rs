//! Reading JSON files.

use std::fs;
use std::io;
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::error::LoadError;

/// What was found and what was expected instead.
pub(super) type Mismatch = (String, String);

/// A file that must be there.
pub(super) fn read_json<T: DeserializeOwned>(file: &Path) -> Result<T, LoadError> {
    let json = fs::read(file).map_err(LoadError::unreadable(file))?;
    parse_json(file, &json)
}

/// A file that may be missing.
pub(super) fn read_optional_json<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, LoadError> {
    match fs::read(file) {
        Ok(json) => parse_json(file, &json).map(Some),
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => Err(LoadError::unreadable(file)(cause)),
    }
}

pub(super) fn parse_json<T: DeserializeOwned>(file: &Path, json: &[u8]) -> Result<T, LoadError> {
    serde_json::from_slice(json).map_err(|cause| {
        LoadError::unexpected(file, format!("JSON that does not fit ({cause})"), "a model's configuration")
    })
}

/// Turns a mismatch into the error of a file.
pub(super) fn mismatch_in(file: &Path) -> impl FnOnce(Mismatch) -> LoadError {
    let file = file.to_owned();
    move |(found, expected)| LoadError::unexpected(&file, found, expected)
}
