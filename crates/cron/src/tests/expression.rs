//! What an expression means, and which are refused.

use std::str::FromStr as _;
use std::time::Duration;

use chrono::{TimeDelta, Timelike};
use proptest::prelude::*;

use super::*;
use crate::CronFault;

/// Fewer than proptest's 256: each case walks through days.
const CASES: u32 = 64;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// The next firings after `from`, as Berlin's clock shows them.
fn shown(cron: &Cron, from: &str, n: usize) -> Vec<String> {
    let show = |at: DateTime<Utc>| at.with_timezone(&chrono_tz::Europe::Berlin).format("%d. %H:%M %Z").to_string();
    cron.upcoming(utc(from), n).into_iter().map(show).collect()
}

#[test]
fn an_expression_is_read_in_its_time_zone() {
    for (zone, next) in [
        ("UTC", "2026-07-01 06:30"),
        ("Europe/Berlin", "2026-07-01 04:30"),
        ("America/New_York", "2026-07-01 10:30"),
        ("Asia/Kolkata", "2026-07-01 01:00"),
    ] {
        let cron = Cron::parse("30 6 * * *", zone).unwrap();
        assert_eq!(cron.next_after(utc("2026-07-01 00:00")), Some(utc(next)), "{zone}");
    }
}

#[test]
fn every_form_of_an_expression_fires_as_its_author_means_it() {
    // The first of January 2026 is a Thursday.
    for (expression, next) in [
        ("@hourly", "2026-01-01 01:00"),
        ("@daily", "2026-01-02 00:00"),
        ("@weekly", "2026-01-04 00:00"),
        ("@monthly", "2026-02-01 00:00"),
        ("@yearly", "2027-01-01 00:00"),
        ("*/15 9-17 * * MON-FRI", "2026-01-01 09:00"),
        ("0 12 * * 7", "2026-01-04 12:00"),
        ("0 0 13 * 5", "2026-01-02 00:00"),
        ("0 0 13 * +5", "2026-02-13 00:00"),
        ("0 0 L 2 *", "2026-02-28 00:00"),
        ("0 0 LW 1 *", "2026-01-30 00:00"),
        ("0 0 10W * *", "2026-01-09 00:00"),
        ("0 0 * * 1#2", "2026-01-12 00:00"),
        ("0 0 * * friL", "2026-01-30 00:00"),
        ("0 0 ? feb-mar/1 sat-sun", "2026-02-01 00:00"),
        ("  5   4 \t* *  * ", "2026-01-01 04:05"),
    ] {
        let cron = Cron::parse(expression, "UTC").unwrap();
        assert_eq!(cron.next_after(utc("2026-01-01 00:00")), Some(utc(next)), "{expression}");
    }
}

#[test]
fn the_next_firing_is_strictly_later_also_than_a_fraction_of_a_second() {
    let cron = Cron::parse("0 * * * *", "UTC").unwrap();
    for (at, next) in [
        ("2026-01-01 00:59:59", "2026-01-01 01:00"),
        ("2026-01-01 00:59:59.999", "2026-01-01 01:00"),
        ("2026-01-01 01:00:00", "2026-01-01 02:00"),
        ("2026-01-01 01:00:00.001", "2026-01-01 02:00"),
    ] {
        assert_eq!(cron.next_after(utc(at)), Some(utc(next)), "after {at}");
    }
}

#[test]
fn a_leap_day_comes_every_fourth_year_but_not_in_most_centuries() {
    let firings = |from| Cron::parse("0 0 29 2 *", "UTC").unwrap().upcoming(utc(from), 2);
    assert_eq!(firings("2026-01-01 00:00"), [utc("2028-02-29 00:00"), utc("2032-02-29 00:00")]);
    assert_eq!(firings("2096-01-01 00:00"), [utc("2096-02-29 00:00"), utc("2104-02-29 00:00")]);
}

/// In 2026 Berlin's clock jumps from 2:00 to 3:00 on 29 March.
#[test]
fn a_time_that_the_clock_leaves_out_fires_when_the_clock_jumps() {
    let eve = "2026-03-28 12:00";
    assert_eq!(shown(&berlin("30 2 * * *"), eve, 2), ["29. 03:00 CEST", "30. 02:30 CEST"]);
    let both_left_out = shown(&berlin("10,50 2 * * *"), eve, 3);
    assert_eq!(both_left_out, ["29. 03:00 CEST", "30. 02:10 CEST", "30. 02:50 CEST"], "together, once");
    let with_a_time_after = shown(&berlin("0 2,3,14 * * *"), eve, 3);
    assert_eq!(with_a_time_after, ["28. 14:00 CET", "29. 03:00 CEST", "29. 14:00 CEST"], "and no second time at 3");
    let in_steps = shown(&berlin("*/30 1-3 * * *"), eve, 4);
    assert_eq!(in_steps, ["29. 01:00 CET", "29. 01:30 CET", "29. 03:00 CEST", "29. 03:30 CEST"]);
}

/// In 2026 Berlin's clock goes back from 3:00 to 2:00 on 25 October.
#[test]
fn a_time_that_the_clock_shows_twice_fires_once_unless_the_expression_follows_the_clock() {
    let eve = "2026-10-24 12:00";
    assert_eq!(shown(&berlin("30 2 * * *"), eve, 2), ["25. 02:30 CEST", "26. 02:30 CET"]);
    let list = shown(&berlin("0 2,14 * * *"), eve, 2);
    assert_eq!(list, ["25. 02:00 CEST", "25. 14:00 CET"]);
    let hourly = shown(&berlin("@hourly"), "2026-10-24 22:30", 4);
    assert_eq!(hourly, ["25. 01:00 CEST", "25. 02:00 CEST", "25. 02:00 CET", "25. 03:00 CET"]);
    let in_the_second = berlin("30 2 * * *").next_after(utc("2026-10-25 01:10"));
    assert_eq!(in_the_second, Some(utc("2026-10-26 01:30")), "asked at the second 2:10, its time has passed");
}

#[test]
fn what_is_no_expression_is_refused_with_what_was_expected() {
    let five = "5 fields (minute, hour, day of month, month, day of week), not";
    for (expression, expected) in [
        ("", &*format!("{five} 0")),
        ("* * * *", &format!("{five} 4")),
        ("* * * * * *", &format!("{five} 6")),
        ("@often", &format!("{five} 1")),
        ("60 * * * *", "a number from 0 to 59 in the minute, not `60`"),
        ("* 24 * * *", "a number from 0 to 23 in the hour, not `24`"),
        ("* * 0 * *", "a number from 1 to 31 in the day of month, not `0`"),
        ("* * * 13 *", "a number from 1 to 12 or a name such as JAN in the month, not `13`"),
        ("* * * * 8", "a number from 0 to 7 or a name such as SUN in the day of week, not `8`"),
        ("5-1 * * * *", "a range that rises in the minute, not `5-1`"),
        ("50-70 * * * *", "a number from 0 to 59 in the minute, not `70`"),
        ("a * * * *", "a number from 0 to 59 in the minute, not `A`"),
        ("1,,2 * * * *", "a number from 0 to 59 in the minute, where one is missing"),
        (", * * * *", "a number from 0 to 59 in the minute, where one is missing"),
        ("0 0 * * L", "a day before `L` in the day of week, such as `5L`"),
        ("0 0 * * #2", "a day before `#` in the day of week, such as `1#2`"),
        ("0 0 W * *", "a day before `W` in the day of month, such as `15W`"),
        (&"0,".repeat(300), "at most 512 bytes"),
    ] {
        assert_eq!(refused(expression), expected, "{expression}");
    }
}

/// What an expression is refused with.
fn refused(expression: &str) -> String {
    match Cron::parse(expression, "UTC") {
        Err(CronFault::BadExpression { expected }) => expected,
        other => panic!("{expression}: {other:?}"),
    }
}

#[test]
fn a_step_beyond_its_field_or_range_is_refused_and_one_as_long_is_not() {
    for (expression, most, field) in [
        ("*/90 * * * *", 60, "minute, not `*/90`"),
        ("*/61 * * * *", 60, "minute, not `*/61`"),
        ("*/0 * * * *", 60, "minute, not `*/0`"),
        ("*/-5 * * * *", 60, "minute, not `*/-5`"),
        ("0 */25 * * *", 24, "hour, not `*/25`"),
        ("0 0 */40 * *", 31, "day of month, not `*/40`"),
        ("0 0 1 */13 *", 12, "month, not `*/13`"),
        ("0 0 * * */8", 7, "day of week, not `*/8`"),
        ("5,*/99999999 * * * *", 60, "minute, not `*/99999999`"),
        ("10-20/12 * * * *", 11, "minute, not `10-20/12`"),
        ("0 0 * * MON-FRI/6", 5, "day of week, not `MON-FRI/6`"),
    ] {
        assert_eq!(refused(expression), format!("a step from 1 to {most} in the {field}"));
    }
    assert_eq!(refused("0/70 * * * *"), "`*` or a range before a step in the minute, not `0/70`");
    for expression in
        ["*/60 * * * *", "0 */24 * * *", "0 0 */31 * *", "0 0 1 */12 *", "0 0 * * */7", "10-20/11 * * * *"]
    {
        Cron::parse(expression, "UTC").unwrap();
    }
}

#[test]
fn what_belongs_to_another_field_is_refused() {
    for expression in [
        "MON * * * *",
        "L * * * *",
        "* 15W * * *",
        "* * JAN * *",
        "* * 1#2 * *",
        "* * 15L * *",
        "* * 32W * *",
        "* * * MON *",
        "* * * JANFEB *",
        "* * * 1JAN *",
        "* * * * FEB",
        "* * * * L",
        "* * * * 3W",
        "* * * * 1#6",
        "* * * * 1#0",
        "* * * * 9#1",
        "* * * +1 *",
    ] {
        refused(expression);
    }
}

#[test]
fn a_time_zone_that_nobody_lives_in_is_refused() {
    for zone in ["Europe/Atlantis", "europe/berlin", "", "+02:00"] {
        assert_eq!(Cron::parse("@daily", zone), Err(CronFault::UnknownTimeZone), "{zone:?}");
    }
}

#[test]
fn a_date_that_no_calendar_has_never_fires() {
    for expression in ["0 0 30 2 *", "0 0 31 4,6,9,11 *", "0 0 31 2 +MON"] {
        assert_eq!(Cron::parse(expression, "UTC"), Err(CronFault::NeverFires), "{expression}");
    }
}

#[test]
fn seconds_are_for_schedules_of_our_own() {
    let cron = Cron::with_seconds("*/10 * * * * *", "UTC").unwrap();
    assert_eq!(cron.next_after(utc("2026-01-01 00:00:05")), Some(utc("2026-01-01 00:00:10")));
    assert!(Cron::with_seconds("* * * * *", "UTC").is_err());
    assert!(Cron::with_seconds("@hourly", "UTC").is_ok());
}

#[test]
fn the_shortest_interval_is_found_wherever_in_the_year_it_is() {
    let from = utc("2026-01-01 00:00");
    for (expression, minimum, too_short) in [
        ("* * * * *", MINUTE, None),
        ("* * * * *", 2 * MINUTE, Some(MINUTE)),
        ("@hourly", HOUR, None),
        ("*/7 * * * *", 7 * MINUTE, Some(4 * MINUTE)),
        ("0,1 0 1 1 *", HOUR, Some(MINUTE)),
        ("0,59 0,23 * * *", HOUR, Some(59 * MINUTE)),
        ("0 0 1 * MON", 25 * HOUR, Some(24 * HOUR)),
        ("0 0 29,1 2,3 *", 25 * HOUR, Some(24 * HOUR)),
        ("@yearly", 8_000 * HOUR, None),
        ("30 2,3 * * *", HOUR, None),
    ] {
        let expected = too_short.map_or(Ok(()), |interval| Err(CronFault::TooOften { interval, minimum }));
        assert_eq!(berlin(expression).check_interval(minimum, from), expected, "{expression}");
    }
    let seconds = Cron::with_seconds("*/10 * * * * *", "UTC").unwrap().check_interval(MINUTE, from);
    assert_eq!(seconds.unwrap_err().to_string(), "it fires 10 s after another time, expected at least 60 s");
}

/// Fields for the times of a day: some that follow the clock and some that name times.
fn times() -> impl Strategy<Value = String> {
    let minute = prop::sample::select(vec!["*", "*/7", "0", "30", "0,30", "5-50/15"]);
    let hour = prop::sample::select(vec!["*", "*/2", "2", "1-3", "0,2,14"]);
    (minute, hour).prop_map(|(minute, hour)| format!("{minute} {hour} * * *"))
}

fn zone() -> impl Strategy<Value = chrono_tz::Tz> {
    use chrono_tz::{America, Australia, Europe, Tz};
    // Lord Howe's clock changes by half an hour, Havana's at midnight.
    prop::sample::select(vec![Tz::UTC, Europe::Berlin, America::Havana, Australia::Lord_Howe])
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(CASES) })]

    #[test]
    fn an_expression_that_follows_the_clock_fires_at_exactly_the_minutes_that_the_clock_shows_it(
        times in times(), zone in zone(), day in 0..366_i64,
    ) {
        let cron = Cron::parse(&times, zone.name()).unwrap();
        prop_assume!(times.split(' ').take(2).any(|field| field.starts_with('*')));
        let from = utc("2026-01-01 00:00") + TimeDelta::days(day);
        let matches = croner::Cron::from_str(&times).unwrap();
        let minutes = (1..=2 * 24 * 60).map(|minute| from + TimeDelta::minutes(minute));
        let expected: Vec<_> =
            minutes.filter(|at| matches.is_time_matching(&at.with_timezone(&zone)).unwrap()).collect();
        prop_assert_eq!(cron.upcoming(from, expected.len()), expected);
    }

    #[test]
    fn an_expression_that_names_times_fires_on_every_day(times in times(), zone in zone(), day in 0..366_i64) {
        let cron = Cron::parse(&times, zone.name()).unwrap();
        prop_assume!(!times.split(' ').take(2).any(|field| field.starts_with('*')));
        let from = utc("2026-01-01 00:00") + TimeDelta::days(day);
        let firings = cron.upcoming(from, 50);
        prop_assert!(firings.is_sorted_by(|one, other| one < other));
        for pair in firings.windows(2) {
            prop_assert!(pair[1] - pair[0] <= TimeDelta::hours(25), "{:?}", pair);
            prop_assert_eq!(pair[0].second(), 0);
        }
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[0-9*/,#LW?+@a-zA-Z -]{0,24}", zone in "[A-Za-z/_+-]{0,12}") {
        let _ = Cron::parse(&text, "UTC");
        let _ = Cron::parse("@daily", &zone);
    }
}
