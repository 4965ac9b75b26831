//! Whose fault a database error is.

use sea_orm::{DbErr, RuntimeErr, SqlErr};

use crate::error::{Error, Result};

/// Adds what was being done to a database error. `doing` ends the sentence "could not …".
pub trait Doing<T> {
    /// The value, or our error with the cause kept for the log.
    fn doing(self, doing: &'static str) -> Result<T>;
}

impl<T> Doing<T> for Result<T, DbErr> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(
            |error| if is_outage(&error) { Error::unavailable(doing, error) } else { Error::internal(doing, error) },
        )
    }
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T> {
        self.map_err(|error| {
            if is_driver_outage(&error) { Error::unavailable(doing, error) } else { Error::internal(doing, error) }
        })
    }
}

/// Whether a unique index refused the row.
pub fn is_unique_violation(error: &DbErr) -> bool {
    matches!(error.sql_err(), Some(SqlErr::UniqueConstraintViolation(_)))
}

fn is_outage(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) => true,
        DbErr::Conn(RuntimeErr::SqlxError(cause))
        | DbErr::Exec(RuntimeErr::SqlxError(cause))
        | DbErr::Query(RuntimeErr::SqlxError(cause)) => is_driver_outage(cause),
        _ => false,
    }
}

/// SQLSTATE classes and codes after which the same statement may succeed: connection exceptions (08), insufficient
/// resources (53), operator intervention (57), serialization failure and deadlock (40001, 40P01).
/// <https://www.postgresql.org/docs/current/errcodes-appendix.html>
fn is_driver_outage(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::Protocol(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(cause) => cause.code().is_some_and(|code| {
            code.starts_with("08")
                || code.starts_with("53")
                || code.starts_with("57")
                || code == "40001"
                || code == "40P01"
        }),
        _ => false,
    }
}
