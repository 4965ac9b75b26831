//! `DateTime`

use async_graphql::{Description, InputValueError, InputValueResult, Scalar, ScalarType, Value};
use chrono::{Datelike, NaiveDate, SubsecRound, Utc};

use crate::error::{Error, Result};

type Instant = chrono::DateTime<Utc>;

/// A date and time as RFC 3339 writes it, such as `2026-01-31T12:00:00Z`; in UTC between the years 0001 and 9999.
/// Answers are in UTC, with at most six digits of a second.
#[derive(Description, Debug, Clone, PartialEq)]
pub struct DateTime(
    /// What cannot be read is kept as it came, so that it is refused by its place, in [`DateTime::checked`].
    Result<Instant, String>,
);

#[Scalar(use_type_description, specified_by_url = "https://datatracker.ietf.org/doc/html/rfc3339")]
impl ScalarType for DateTime {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::String(text) => Ok(Self(read(&text).ok_or(text))),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    /// A time beyond the years that can be written, which earlier versions stored, becomes the nearest that can.
    fn to_value(&self) -> Value {
        match &self.0 {
            Ok(at) => {
                let (first, last) = bounds();
                Value::String((*at).clamp(first, last).trunc_subsecs(DIGITS).to_rfc3339())
            }
            Err(text) => Value::String(text.clone()),
        }
    }
}

impl DateTime {
    /// The instant; `field` is its place in the input.
    pub fn checked(self, field: &str) -> Result<Instant> {
        self.0.map_err(|text| Error::input(field, format!("\"{text}\""), EXPECTED))
    }

    /// As [`DateTime::checked`], where one was given.
    pub fn optional(given: Option<Self>, field: &str) -> Result<Option<Instant>> {
        given.map(|at| at.checked(field)).transpose()
    }
}

impl From<Instant> for DateTime {
    fn from(at: Instant) -> Self {
        Self(Ok(at))
    }
}

/// Digits of a second that PostgreSQL keeps.
const DIGITS: u16 = 6;

const EXPECTED: &str = "an RFC 3339 date and time between the years 0001 and 9999, such as 2026-01-31T12:00:00Z";

/// RFC 3339 has years of four digits, and the year 0 is none.
fn read(text: &str) -> Option<Instant> {
    let at = chrono::DateTime::parse_from_rfc3339(text).ok()?.with_timezone(&Utc);
    (1..=9999).contains(&at.year()).then_some(at)
}

/// The first and the last instant that can be written, to PostgreSQL's microsecond.
fn bounds() -> (Instant, Instant) {
    let first = NaiveDate::from_ymd_opt(1, 1, 1).and_then(|day| day.and_hms_opt(0, 0, 0));
    let last = NaiveDate::from_ymd_opt(9999, 12, 31).and_then(|day| day.and_hms_micro_opt(23, 59, 59, 999_999));
    (first.expect("it is in the calendar").and_utc(), last.expect("it is in the calendar").and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_years_of_four_digits_come_in_and_go_out() {
        for text in ["0001-01-01T00:00:00", "9999-12-31T23:59:59.999999", "2026-01-31T12:00:00"] {
            let read = read(&format!("{text}Z")).expect(text);
            assert_eq!(DateTime(Ok(read)).to_value(), Value::String(format!("{text}+00:00")));
        }
        for text in [
            "0000-12-31T23:59:59Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "10000-01-01T00:00:00Z",
            "+262142-12-31T23:59:59Z",
            "-262000-01-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-01-31T12:00:00",
            "2026-01-31",
            "now",
            "",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
        for (stored, told) in
            [(Instant::MIN_UTC, "0001-01-01T00:00:00+00:00"), (Instant::MAX_UTC, "9999-12-31T23:59:59.999999+00:00")]
        {
            assert_eq!(DateTime::from(stored).to_value(), Value::String(told.to_owned()));
        }
    }
}
