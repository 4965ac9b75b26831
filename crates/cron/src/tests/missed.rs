//! No firing is lost or doubled, however the looks at the clock fall.

use std::time::Duration;

use chrono::TimeDelta;
use proptest::prelude::*;

use super::*;
use crate::{Due, Missed, due};

/// Fewer than proptest's 256: each case walks through days.
const CASES: u32 = 128;

const GRACE: Duration = Duration::from_secs(60);
const NO_LIMIT: usize = 1_000_000;

fn hourly() -> Cron {
    Cron::parse("@hourly", "UTC").unwrap()
}

fn due_at(missed: Missed, due_at: &str, now: &str, limit: usize) -> Due {
    due(&hourly(), missed, utc(due_at), utc(now), GRACE, limit)
}

fn found(firings: &[&str], next: &str, skipped: usize) -> Due {
    Due { firings: firings.iter().map(|firing| utc(firing)).collect(), next: Some(utc(next)), skipped }
}

const POLICIES: [Missed; 3] = [Missed::Skip, Missed::RunOnce, Missed::RunAll];

#[test]
fn a_firing_that_is_late_by_at_most_the_grace_fires_whatever_the_policy() {
    for missed in POLICIES {
        for now in ["2026-01-01 01:00:00", "2026-01-01 01:00:01", "2026-01-01 01:01:00"] {
            let expected = found(&["2026-01-01 01:00"], "2026-01-01 02:00", 0);
            assert_eq!(due_at(missed, "2026-01-01 01:00", now, 1), expected, "{missed:?} at {now}");
        }
    }
}

#[test]
fn nothing_fires_before_its_time() {
    for missed in POLICIES {
        let expected = found(&[], "2026-01-01 01:00", 0);
        assert_eq!(due_at(missed, "2026-01-01 01:00", "2026-01-01 00:59:59", 1), expected, "{missed:?}");
    }
}

#[test]
fn after_a_pause_the_policy_decides_over_the_missed_ones_and_the_punctual_one_fires() {
    let after = |missed, now| due_at(missed, "2026-01-01 01:00", now, NO_LIMIT);
    let (late, punctual) = ("2026-01-01 04:30", "2026-01-01 04:00:10");
    let four = ["2026-01-01 01:00", "2026-01-01 02:00", "2026-01-01 03:00", "2026-01-01 04:00"];
    for (missed, now, firings, skipped) in [
        (Missed::Skip, late, &[][..], 4),
        (Missed::Skip, punctual, &four[3..], 3),
        (Missed::RunOnce, late, &four[3..], 3),
        (Missed::RunOnce, punctual, &four[2..], 2),
        (Missed::RunAll, late, &four[..], 0),
        (Missed::RunAll, punctual, &four[..], 0),
    ] {
        assert_eq!(after(missed, now), found(firings, "2026-01-01 05:00", skipped), "{missed:?} at {now}");
    }
}

#[test]
fn what_finds_no_room_stays_due() {
    let (first, now) = ("2026-01-01 01:00", "2026-01-01 04:30");
    let all = due_at(Missed::RunAll, first, now, 3);
    assert_eq!(all, found(&["2026-01-01 01:00", "2026-01-01 02:00", "2026-01-01 03:00"], "2026-01-01 04:00", 0));
    let once_and_punctual = due_at(Missed::RunOnce, first, "2026-01-01 04:00:10", 1);
    assert_eq!(once_and_punctual, found(&["2026-01-01 03:00"], "2026-01-01 04:00", 2));
    assert_eq!(due_at(Missed::RunAll, first, now, 0).firings.len(), 1, "a limit of none would stand still for ever");
}

#[test]
fn a_grace_beyond_all_time_misses_nothing() {
    let due = due(&hourly(), Missed::Skip, utc("2026-01-01 01:00"), utc("2026-01-02 01:00"), Duration::MAX, NO_LIMIT);
    assert_eq!((due.firings.len(), due.skipped), (25, 0));
}

/// What a leader does that looks at these times: every firing it starts, with the time at which it did.
struct Run {
    started: Vec<(DateTime<Utc>, DateTime<Utc>)>,
    skipped: usize,
    next: DateTime<Utc>,
}

fn run(cron: &Cron, missed: Missed, ticks: &[DateTime<Utc>], first: DateTime<Utc>, limit: usize) -> Run {
    let mut run = Run { started: Vec::new(), skipped: 0, next: first };
    for &now in ticks {
        let due = due(cron, missed, run.next, now, GRACE, limit);
        run.started.extend(due.firings.into_iter().map(|firing| (now, firing)));
        run.skipped += due.skipped;
        run.next = due.next.unwrap();
    }
    run
}

fn is_missed(now: DateTime<Utc>, firing: DateTime<Utc>) -> bool {
    (now - firing).to_std().unwrap() > GRACE
}

prop_compose! {
    /// Looks at the clock, some close together and some after hours of nothing.
    fn ticks()(pauses in prop::collection::vec(prop_oneof![1..90_i64, 600..40_000_i64], 1..40)) -> Vec<DateTime<Utc>> {
        let start = utc("2026-10-24 18:00");
        pauses.iter().scan(start, |now, pause| { *now += TimeDelta::seconds(*pause); Some(*now) }).collect()
    }
}

fn cron() -> impl Strategy<Value = Cron> {
    prop::sample::select(vec!["* * * * *", "*/20 * * * *", "@hourly", "30 2 * * *", "0,30 2,14 * * *"]).prop_map(berlin)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn run_all_starts_every_firing_once_and_in_order(cron in cron(), ticks in ticks(), limit in 1..50_usize) {
        let first = cron.next_after(ticks[0] - TimeDelta::hours(1)).unwrap();
        let run = run(&cron, Missed::RunAll, &ticks, first, limit);
        let started: Vec<_> = run.started.iter().map(|(_, firing)| *firing).collect();
        let all = cron.upcoming(first - TimeDelta::seconds(1), started.len() + 1);
        prop_assert_eq!(&started, &all[..started.len()]);
        prop_assert_eq!(run.next, all[started.len()], "and the one after them is next");
        prop_assert_eq!(run.skipped, 0);
    }

    #[test]
    fn every_firing_is_either_started_or_skipped_and_only_missed_ones_are_skipped(
        cron in cron(), ticks in ticks(), missed in prop::sample::select(&POLICIES[..]),
    ) {
        let first = cron.next_after(ticks[0] - TimeDelta::hours(1)).unwrap();
        let run = run(&cron, missed, &ticks, first, NO_LIMIT);
        let last = *ticks.last().unwrap();
        let all: Vec<_> = std::iter::successors(Some(first), |at| cron.next_after(*at)).take_while(|at| *at <= last).collect();
        prop_assert_eq!(run.started.len() + run.skipped, all.len());
        prop_assert!(run.next > last);
        for firing in all {
            let looked_at = *ticks.iter().find(|tick| **tick >= firing).unwrap();
            let times = run.started.iter().filter(|(now, started)| (*now, *started) == (looked_at, firing)).count();
            prop_assert!(times == 1 || (times == 0 && is_missed(looked_at, firing)), "{} at {}", firing, looked_at);
        }
    }

    #[test]
    fn skip_starts_no_missed_firing_and_run_once_at_most_one_at_a_look(cron in cron(), ticks in ticks()) {
        let first = cron.next_after(ticks[0] - TimeDelta::hours(1)).unwrap();
        for (missed, most) in [(Missed::Skip, 0), (Missed::RunOnce, 1)] {
            let run = run(&cron, missed, &ticks, first, NO_LIMIT);
            for tick in &ticks {
                let late = run.started.iter().filter(|(now, firing)| now == tick && is_missed(*now, *firing));
                prop_assert!(late.count() <= most);
            }
        }
    }
}
