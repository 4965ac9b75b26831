//! Cron expressions, read in the time zone of those who wrote them.

use std::time::Duration;

use chrono::{DateTime, LocalResult, NaiveDate, NaiveDateTime, TimeZone, Utc};
use chrono_tz::{GapInfo, Tz};
use croner::parser::{CronParser, Seconds, Year};

use crate::fields;

/// Longest expression, in bytes: every minute of an hour by name takes 170.
const EXPRESSION_LIMIT: usize = 512;

/// How many firings [`Cron::check_interval`] looks at. The times of a day repeat on every day that fires, so the first
/// days show them all; the rest is for days that are seldom neighbours, such as a first of the month and a Monday.
const FIRINGS_LOOKED_AT: usize = 1_000;

/// The firings of a cron expression in a time zone. All instants are in UTC, to the second.
///
/// An expression has five fields: minute, hour, day of month, month, day of week; or is one of `@hourly`, `@daily`,
/// `@weekly`, `@monthly` and `@yearly`. Beyond `*`, lists, ranges and steps it may use names (`MON`, `JAN`), `L` (last
/// day of the month, `5L` the last Friday), `W` (nearest working day, `LW` the month's last) and `#` (`1#2`, the second
/// Monday). A step is no longer than its field or range. Where day of month and day of week are both given, a day that
/// matches either fires, as is usual; with `+` before the day of week, one that matches both.
///
/// Where the clock changes, what counts is whether the minute or the hour begins with `*`:
///
/// - If so, the expression follows the clock, and fires whenever the clock shows such a time: never at one that it
///   leaves out, and both times at one that it shows twice, so that "every ten minutes" stays that.
/// - If not, the expression names times of the day, and each of them fires once on its day: one that the clock leaves
///   out at the moment in which it jumps, one that it shows twice at the first of the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    pattern: croner::Cron,
    time_zone: Tz,
    follows_clock: bool,
}

/// What is wrong with an expression or its time zone. Each is for the one who wrote it to mend.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CronFault {
    /// The IANA database has no zone of this name; upper and lower case count.
    #[error("unknown time zone; expected an IANA name such as Europe/Berlin or UTC")]
    UnknownTimeZone,
    /// The expression cannot be read.
    #[error("{expected}")]
    BadExpression {
        /// What should have been there.
        expected: String,
    },
    /// No day of the calendar matches, such as a 30th of February.
    #[error("it never fires: no day of the calendar matches")]
    NeverFires,
    /// Two firings follow each other too closely.
    #[error("it fires {} s after another time, expected at least {} s", .interval.as_secs(), .minimum.as_secs())]
    TooOften {
        /// The time between the two.
        interval: Duration,
        /// The least that is allowed.
        minimum: Duration,
    },
}

impl Cron {
    /// Reads an expression of five fields.
    ///
    /// # Errors
    /// Every [`CronFault`] but [`CronFault::TooOften`], for which there is [`Cron::check_interval`].
    pub fn parse(expression: &str, time_zone: &str) -> Result<Self, CronFault> {
        Self::with(Seconds::Disallowed, expression, time_zone)
    }

    /// Reads an expression of six fields, the first of which is the second; for schedules of our own.
    ///
    /// # Errors
    /// As [`Cron::parse`].
    pub fn with_seconds(expression: &str, time_zone: &str) -> Result<Self, CronFault> {
        Self::with(Seconds::Required, expression, time_zone)
    }

    fn with(seconds: Seconds, expression: &str, time_zone: &str) -> Result<Self, CronFault> {
        let time_zone = time_zone.parse().map_err(|_| CronFault::UnknownTimeZone)?;
        let pattern = pattern(seconds, expression)?;
        // Whether a day matches at all does not depend on where the search begins.
        let anywhere = NaiveDate::from_ymd_opt(2_000, 1, 1).unwrap_or_default().into();
        pattern.find_next_occurrence::<NaiveDateTime>(&anywhere, true).map_err(|_| CronFault::NeverFires)?;
        let follows_clock = times_of_day(pattern.as_str()).any(|field| field.starts_with('*'));
        Ok(Self { pattern, time_zone, follows_clock })
    }

    /// The first firing strictly after `at`; `None` only near the year 5000, where the search ends.
    pub fn next_after(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let local = at.with_timezone(&self.time_zone);
        if self.follows_clock {
            return self.pattern.find_next_occurrence(&local, false).ok().map(|next| next.to_utc());
        }
        // The instants of rising clock times never fall, but they may stand still: at a jump of the clock.
        let mut clock = local.naive_local();
        loop {
            clock = self.pattern.find_next_occurrence(&clock, false).ok()?;
            let instant = self.instant(clock)?;
            if instant > at {
                return Some(instant);
            }
        }
    }

    /// The next `n` firings strictly after `at`, in order.
    pub fn upcoming(&self, at: DateTime<Utc>, n: usize) -> Vec<DateTime<Utc>> {
        std::iter::successors(self.next_after(at), |last| self.next_after(*last)).take(n).collect()
    }

    /// Refuses an expression that fires more often than once in `minimum`, as the clock shows it: that a change of the
    /// clock brings two firings nearer to each other on one day of the year is no fault of the expression.
    ///
    /// # Errors
    /// [`CronFault::TooOften`], with the first interval that is too short.
    pub fn check_interval(&self, minimum: Duration, from: DateTime<Utc>) -> Result<(), CronFault> {
        let mut firings = self.pattern.iter_after(from.with_timezone(&self.time_zone).naive_local());
        let Some(mut last) = firings.next() else { return Ok(()) };
        for firing in firings.take(FIRINGS_LOOKED_AT) {
            let interval = (firing - last).to_std().unwrap_or_default();
            if interval < minimum {
                return Err(CronFault::TooOften { interval, minimum });
            }
            last = firing;
        }
        Ok(())
    }

    /// When the clock first shows this time, or jumps over it.
    fn instant(&self, clock: NaiveDateTime) -> Option<DateTime<Utc>> {
        let local = match self.time_zone.from_local_datetime(&clock) {
            LocalResult::Single(only) => only,
            LocalResult::Ambiguous(first, _) => first,
            LocalResult::None => GapInfo::new(&clock, &self.time_zone)?.end?,
        };
        Some(local.to_utc())
    }
}

fn pattern(seconds: Seconds, expression: &str) -> Result<croner::Cron, CronFault> {
    let bad = |expected: String| CronFault::BadExpression { expected };
    if expression.len() > EXPRESSION_LIMIT {
        return Err(bad(format!("at most {EXPRESSION_LIMIT} bytes")));
    }
    fields::check(expression, seconds == Seconds::Required).map_err(bad)?;
    let parser = CronParser::builder().seconds(seconds).year(Year::Disallowed).build();
    parser.parse(expression).map_err(|error| bad(error.to_string()))
}

/// The fields before the three of the day: hour, minute and second.
fn times_of_day(pattern: &str) -> impl Iterator<Item = &str> {
    pattern.split_whitespace().rev().skip(3)
}
