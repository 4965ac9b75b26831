//! Whose fault a database error is.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use super::disk;
use crate::error::{Error, Result};

/// Adds what was being done to a database error. `doing` ends the sentence "could not …".
pub trait Doing<T> {
    /// The value, or our error with the cause kept for the log.
    fn doing(self, doing: &'static str) -> Result<T>;
}

impl<T> Doing<T> for Result<T, DbErr> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|error| match fault_of(&error) {
            Fault::Outage => Error::unavailable(doing, error),
            Fault::StorageFull => {
                disk::note_full(&error);
                Error::storage_full(doing, error)
            }
            Fault::Ours => Error::internal(doing, error),
        })
    }
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|error| DbErr::Query(RuntimeErr::SqlxError(error.into()))).doing(doing)
    }
}

/// Whether a unique index refused the row.
pub fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The same statement may succeed later.
    Outage,
    /// It will when somebody made room.
    StorageFull,
    /// The statement is wrong.
    Ours,
}

fn fault_of(error: &DbErr) -> Fault {
    match error {
        DbErr::ConnectionAcquire(_) => Fault::Outage,
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => fault_of_driver(cause),
        _ => Fault::Ours,
    }
}

/// SQLSTATE of a full disk.
const DISK_FULL: &str = "53100";

/// What the system says where the code only tells that the system refused (58): of a quota, for one. Looked for there
/// alone, because other messages quote what callers sent.
const NO_ROOM: [&str; 2] = ["No space left on device", "Disk quota exceeded"];

/// SQLSTATE classes and codes after which the same statement may succeed: connection exceptions (08), insufficient
/// resources (53), operator intervention (57), serialization failure and deadlock (40001, 40P01).
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn fault_of_driver(error: &sqlx::Error) -> Fault {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => Fault::Outage,
        sqlx::Error::Database(cause) => {
            let code = cause.code().unwrap_or_default();
            let is_class = |class: &str| code.starts_with(class);
            let says_no_room = || NO_ROOM.iter().any(|words| cause.message().contains(words));
            if code == DISK_FULL || is_class("58") && says_no_room() {
                Fault::StorageFull
            } else if ["08", "53", "57"].into_iter().any(is_class) || ["40001", "40P01"].contains(&&*code) {
                Fault::Outage
            } else {
                Fault::Ours
            }
        }
        _ => Fault::Ours,
    }
}
