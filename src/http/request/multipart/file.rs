//! One file of a form, on disk.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::io::{AsyncSeekExt, AsyncWriteExt};

use super::parts::Part;
use crate::error::{Code, Error, Result};

/// The bytes of a part in a file that has no name and goes with its last owner.
pub async fn store(part: &mut Part<'_>) -> Result<File> {
    let made = tokio::task::spawn_blocking(tempfile::tempfile).await;
    let made = made.map_err(|panic| Error::internal("store the upload", panic))?;
    let mut file = tokio::fs::File::from_std(made.map_err(failed)?);
    while let Some(bytes) = part.chunk().await? {
        file.write_all(&bytes).await.map_err(failed)?;
    }
    file.flush().await.map_err(failed)?;
    file.rewind().await.map_err(failed)?;
    IS_FULL.store(false, Ordering::Relaxed);
    Ok(file.into_std().await)
}

/// Whether the last upload met a full disk.
static IS_FULL: AtomicBool = AtomicBool::new(false);

fn failed(cause: io::Error) -> Error {
    // A file of Tokio's tells a write that found no room as one of nothing.
    if !matches!(cause.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::WriteZero) {
        return Error::unavailable("store the upload", cause);
    }
    // Told once until there is room: every request would say the same.
    if !IS_FULL.swap(true, Ordering::Relaxed) {
        let (code, dir) = (Code::StorageFull.as_str(), std::env::temp_dir());
        tracing::error!(code, %cause, dir = %dir.display(), "no room for uploaded files: make room, or set TMPDIR");
    }
    Error::storage_full("store the upload", cause)
}
