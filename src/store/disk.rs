//! The disk under the database while it is full. A process has one database, and any statement may find its disk full:
//! so this is one state of the process, noted where database errors are read ([`super::Doing`]).
//!
//! It is told once in the log, and by health and metrics as long as it lasts. Only the server can say when there is room
//! again, because its disk may be another machine's: it is asked to write a file of its own and to drop it.

#![expect(clippy::disallowed_methods, reason = "noted where there is no application, and shown only")]

use std::error::Error as StdError;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use chrono::{DateTime, Utc};
use sea_orm::{ConnectionTrait, DbBackend, Statement, TransactionTrait};
use tokio::sync::watch;
use tokio::time::Instant;

use super::{Doing, Store};
use crate::causes::{chain, warn_of};
use crate::error::{Code, Result};

/// What is known of the disk.
#[derive(Debug, Clone, Copy)]
struct Disk {
    full_since: Option<DateTime<Utc>>,
    /// Since when there is room again.
    room_since: Option<Instant>,
    /// Until the next look whether there is.
    pause: Duration,
}

static DISK: LazyLock<watch::Sender<Disk>> =
    LazyLock::new(|| watch::Sender::new(Disk { full_since: None, room_since: None, pause: PAUSE.0 }));

/// Shortest and longest time between two looks whether there is room again; each writes [`NEEDED`]. It doubles where that
/// was room enough for the look, but not for what waited, on another disk perhaps.
const PAUSE: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(60));

/// Bytes without which nothing goes on: PostgreSQL logs changes in files of this size, and ends where it cannot begin
/// the next one.
const NEEDED: u64 = 16 << 20;

/// Bytes that a probe writes while nothing is known to be wrong: more than a page or two that happened to be left.
const PROBED: u64 = 1 << 20;

/// Bytes of a row of what is written.
const ROW: u64 = 8 << 10;

/// Notes that something could not be written. Only the first time is logged.
pub(super) fn note_full(cause: &(dyn StdError + 'static)) {
    let begins = DISK.send_if_modified(|disk| {
        let begins = disk.full_since.is_none();
        if begins {
            let is_relapse = disk.room_since.is_some_and(|since| since.elapsed() < PAUSE.1);
            disk.pause = if is_relapse { PAUSE.1.min(2 * disk.pause) } else { PAUSE.0 };
            disk.full_since = Some(Utc::now());
        }
        begins
    });
    if begins {
        let (code, cause) = (Code::StorageFull.as_str(), chain(cause));
        tracing::error!(code, cause, "the disk of the database is full: make room, and what waits goes on by itself");
    }
}

/// Since when the disk is full, as far as this process knows.
pub fn full_since() -> Option<DateTime<Utc>> {
    DISK.borrow().full_since
}

/// Whether the disk is full, or was so until a moment ago: what others left undone they may be about to do.
pub fn was_full_within(moment: Duration) -> bool {
    let disk = *DISK.borrow();
    disk.full_since.is_some() || disk.room_since.is_some_and(|since| since.elapsed() < moment)
}

/// Waits until there is room; not at all where there is.
pub async fn room() {
    // The sender is never dropped.
    let _ = DISK.subscribe().wait_for(|disk| disk.full_since.is_none()).await;
}

/// Looks for room whenever the disk is full, for ever.
pub async fn keep_looking(store: Store) -> Result<()> {
    let mut disk = DISK.subscribe();
    loop {
        let pause = disk.wait_for(|disk| disk.full_since.is_some()).await.map_or(PAUSE.1, |disk| disk.pause);
        tokio::time::sleep(pause).await;
        match write(&store, NEEDED).await {
            Ok(()) => {
                DISK.send_modify(|disk| (disk.full_since, disk.room_since) = (None, Some(Instant::now())));
                tracing::info!("the disk of the database has room again");
            }
            Err(error) => warn_of!(error),
        }
    }
}

/// Whether the server can write: [`Code::StorageFull`] where its disk is full.
///
/// # Errors
/// Also where the server does not answer.
pub async fn probe(store: &Store) -> Result<()> {
    write(store, PROBED).await
}

/// Lets the server write so many bytes beside its tables, in one of the files that it drops by itself: a list that is
/// too long for the memory it is allowed.
async fn write(store: &Store, bytes: u64) -> Result<()> {
    const DOING: &str = "write to the disk of the database";
    let tx = store.db().begin().await.doing(DOING)?;
    tx.execute_unprepared("SET LOCAL work_mem = '64kB'").await.doing(DOING)?;
    let question = format!(
        "WITH rows AS MATERIALIZED (SELECT repeat('x', {ROW}) AS row FROM generate_series(1, {}))
         SELECT sum(length(row)) FROM rows",
        bytes / ROW
    );
    tx.query_one_raw(Statement::from_string(DbBackend::Postgres, question)).await.doing(DOING)?;
    tx.rollback().await.doing(DOING)
}

/// Bytes that PostgreSQL's account, which is not root, may still write where `path` lies; none where it is not there.
pub fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    Some(disk.f_bavail.saturating_mul(disk.f_frsize))
}
