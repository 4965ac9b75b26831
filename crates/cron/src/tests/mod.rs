//! Firings as a user would count them on a calendar.

mod expression;
mod missed;

use chrono::{DateTime, Utc};

use crate::Cron;

/// `2026-03-29 01:00` as an instant in UTC; with seconds where given.
fn utc(text: &str) -> DateTime<Utc> {
    let with_seconds = if text.len() == 16 { format!("{text}:00") } else { text.to_owned() };
    format!("{}Z", with_seconds.replace(' ', "T")).parse().unwrap()
}

fn berlin(expression: &str) -> Cron {
    Cron::parse(expression, "Europe/Berlin").unwrap()
}
