//! Circuit breakers (Nygard, "Release It!", 2007): a provider that fails again and again is left alone for a while.

use std::time::Duration;

use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement, prelude::DateTimeUtc};

use crate::error::Result;
use crate::store::{Doing, Transaction, execute, millis};

/// When a circuit opens, and for how long.
#[derive(Debug, Clone, Copy)]
pub struct CircuitSettings {
    /// Failures in a row after which it opens.
    pub failures: u32,
    /// How long it is open the first time; doubled each time that the trial fails.
    pub open: Duration,
    /// Longest time.
    pub open_max: Duration,
}

/// A provider that fails.
#[derive(Debug, Clone, PartialEq, FromQueryResult)]
pub struct Circuit {
    /// The provider.
    pub provider: String,
    /// Failures since the last success.
    pub failures: i32,
    /// Times it opened since the last success.
    pub trips: i32,
    /// Until when its jobs wait; past: one may try; none: it is closed.
    pub open_until: Option<DateTimeUtc>,
    /// The last failure.
    pub error_code: String,
    /// The last failure.
    pub error_message: String,
    /// When that was.
    pub failed_at: DateTimeUtc,
}

/// Counts a failure. `pause` is what the provider asked for. Gives until when the circuit is open, if it is.
pub async fn note_failure(
    tx: &Transaction,
    provider: &str,
    settings: CircuitSettings,
    pause: Option<Duration>,
    (code, message): (&str, &str),
) -> Result<Option<DateTimeUtc>> {
    let statement = Statement::from_sql_and_values(
        DbBackend::Postgres,
        "INSERT INTO circuits AS c (provider, failures, trips, open_until, error_code, error_message)
         VALUES ($1, 1, CASE WHEN $2 <= 1 OR $5 IS NOT NULL THEN 1 ELSE 0 END,
             CASE WHEN $5 IS NOT NULL THEN now() + $5 * interval '1 ms'
                  WHEN $2 <= 1 THEN now() + $3 * interval '1 ms' END, $6, $7)
         ON CONFLICT (provider) DO UPDATE SET failures = c.failures + 1, error_code = $6, error_message = $7,
             failed_at = now(),
             trips = c.trips + CASE WHEN c.open_until > now() THEN 0
                 WHEN c.failures + 1 >= $2 OR $5 IS NOT NULL THEN 1 ELSE 0 END,
             open_until = CASE
                 WHEN $5 IS NOT NULL THEN greatest(c.open_until, now() + $5 * interval '1 ms')
                 WHEN c.open_until > now() THEN c.open_until
                 WHEN c.failures + 1 >= $2
                     THEN now() + least($3 * power(2, least(c.trips, 30)), $4) * interval '1 ms' END
         RETURNING open_until",
        [
            provider.into(),
            settings.failures.cast_signed().into(),
            millis(settings.open).into(),
            millis(settings.open_max).into(),
            pause.map(millis).into(),
            code.into(),
            message.into(),
        ],
    );
    let row = tx.query_one_raw(statement).await.doing("count the provider's failure")?;
    row.map_or(Ok(None), |row| row.try_get_by_index(0)).doing("count the provider's failure")
}

/// Closes the circuit of a provider that answers. Costs nothing where it is closed.
pub async fn close(db: &impl ConnectionTrait, provider: &str) -> Result<bool> {
    let sql = "DELETE FROM circuits WHERE provider = $1";
    Ok(execute(db, "close the circuit", sql, [provider.into()]).await? > 0)
}

/// Every provider that fails.
pub async fn all(db: &impl ConnectionTrait) -> Result<Vec<Circuit>> {
    let question = Statement::from_string(DbBackend::Postgres, "SELECT * FROM circuits ORDER BY provider");
    Circuit::find_by_statement(question).all(db).await.doing("read the circuits")
}
