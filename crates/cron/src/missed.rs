//! What becomes of firings that were due while no process looked.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::Cron;

/// What to do about firings that were missed: due longer ago than the grace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missed {
    /// Nothing: the next one comes by itself.
    Skip,
    /// One run in place of all of them, for the latest.
    RunOnce,
    /// Each of them is run, the oldest first.
    RunAll,
}

/// What a look at the clock found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Due {
    /// The firings to start now, the oldest first.
    pub firings: Vec<DateTime<Utc>>,
    /// The firing to look for next: in the future, or one that found no room among `firings` and is due already.
    /// `None` where the expression never fires again.
    pub next: Option<DateTime<Utc>>,
    /// How many missed firings were left out for good.
    pub skipped: usize,
}

/// Which firings to start at `now`, where `due_at` is the first one that nobody looked at yet.
///
/// A firing that is late by at most `grace` is not missed and fires whatever the policy: the clock is looked at from
/// time to time only, and a leader may just have changed. At most `limit` firings are started, which is at least one;
/// later ones stay due.
///
/// Looks at every firing between `due_at` and `now`, about a microsecond each.
pub fn due(
    cron: &Cron,
    missed: Missed,
    due_at: DateTime<Utc>,
    now: DateTime<Utc>,
    grace: Duration,
    limit: usize,
) -> Due {
    let since = punctual_since(now, grace);
    let mut due = Due { next: Some(due_at), ..Due::default() };
    while let Some(firing) = due.next.filter(|next| *next <= now) {
        let is_missed = firing < since;
        match missed {
            Missed::Skip if is_missed => due.skipped += 1,
            Missed::RunOnce if is_missed => {
                // Only missed ones stand before this one, so at most one.
                due.skipped += due.firings.len();
                due.firings = vec![firing];
            }
            _ if due.firings.len() >= limit.max(1) => break,
            _ => due.firings.push(firing),
        }
        due.next = cron.next_after(firing);
    }
    due
}

/// The time from which on firings are not missed; the beginning of time where the grace reaches beyond it.
fn punctual_since(now: DateTime<Utc>, grace: Duration) -> DateTime<Utc> {
    let grace = TimeDelta::from_std(grace).ok();
    grace.and_then(|grace| now.checked_sub_signed(grace)).unwrap_or(DateTime::<Utc>::MIN_UTC)
}
