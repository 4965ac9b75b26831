use serde_json::json;

use super::*;
use crate::queue::limits::LimitScope;

fn now() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::hours(1)
}

/// A queue with two slots, both taken, at two jobs a second.
fn seen(ahead: i64) -> Seen {
    let queue = QueueState {
        name: "ingest".to_owned(),
        paused_at: None,
        rate_per_s: 2.0,
        depths: HashMap::from([("RUNNING".to_owned(), 2)]),
        oldest_pending_at: None,
    };
    let worker = WorkerRow {
        id: Uuid::nil(),
        host: String::new(),
        pid: 1,
        version: String::new(),
        slots: json!({ "ingest": 2 }),
        started_at: now(),
        seen_at: now(),
        unseen_s: 1.0,
        running: 2,
    };
    let settings = WaitSettings { lease: Duration::from_secs(30), position_limit: 10 };
    Seen {
        tenant: Uuid::nil(),
        now: now(),
        settings,
        queues: vec![queue],
        workers: vec![worker],
        circuits: Vec::new(),
        limits: Vec::new(),
        running: Vec::new(),
        places: HashMap::from([(Uuid::nil(), Place { id: Uuid::nil(), ahead })]),
    }
}

fn waiting(state: JobState) -> Waiting {
    let run_at = now() + TimeDelta::seconds(7);
    let (queue, kind, provider) = ("ingest".to_owned(), "index".to_owned(), Some("acme".to_owned()));
    Waiting { id: Uuid::nil(), queue, kind, provider, state, run_at }
}

fn expected_s(wait: &Wait) -> Option<i64> {
    wait.expected_start_at.map(|at| (at - now()).num_seconds())
}

#[test]
fn a_queued_job_starts_when_those_before_it_have_at_the_rate_of_its_queue() {
    for (ahead, position, is_exact, after_s) in [(0, 1, true, 0), (5, 6, true, 3), (10, 11, false, 5)] {
        let wait = seen(ahead).wait(&waiting(JobState::Pending));
        assert_eq!(wait.reason, WaitReason::Queued);
        assert_eq!((wait.position, wait.is_position_exact), (Some(position), is_exact));
        assert_eq!(expected_s(&wait), Some(after_s), "{ahead} ahead");
    }
}

#[test]
fn a_job_before_which_a_slot_is_free_starts_now_and_without_a_rate_nothing_is_told() {
    let mut idle = seen(1);
    idle.queues[0].depths.clear();
    assert_eq!(expected_s(&idle.wait(&waiting(JobState::Pending))), Some(0));
    let mut unrated = seen(1);
    unrated.queues[0].rate_per_s = 0.0;
    assert_eq!(expected_s(&unrated.wait(&waiting(JobState::Pending))), None);
}

#[test]
fn what_waits_for_its_time_starts_then_and_nothing_is_promised_while_nobody_may_take_it() {
    for (state, reason) in [(JobState::Scheduled, WaitReason::Scheduled), (JobState::Retrying, WaitReason::Backoff)] {
        let wait = seen(0).wait(&waiting(state));
        assert_eq!((wait.reason, expected_s(&wait)), (reason, Some(7)));
        let mut paused = seen(0);
        paused.queues[0].paused_at = Some(now());
        assert_eq!(expected_s(&paused.wait(&waiting(state))), None);
    }
}

#[test]
fn what_holds_a_job_back_is_told() {
    let paused = |seen: &mut Seen| seen.queues[0].paused_at = Some(now());
    let lost = |seen: &mut Seen| seen.workers[0].unseen_s = 31.0;
    let open = |seen: &mut Seen| {
        seen.circuits.push(Circuit {
            provider: "acme".to_owned(),
            failures: 5,
            trips: 1,
            open_until: Some(now() + TimeDelta::seconds(20)),
            error_code: String::new(),
            error_message: String::new(),
            failed_at: now(),
        });
    };
    let limited = |seen: &mut Seen| {
        let (scope, key) = (LimitScope::Kind, "index".to_owned());
        seen.limits.push(Limit::new(scope, key, Some(0), None, now()));
    };
    type Hold<'a> = &'a dyn Fn(&mut Seen);
    let cases: [(Hold<'_>, WaitReason, Option<i64>); 4] = [
        (&paused, WaitReason::QueuePaused, None),
        (&lost, WaitReason::NoWorkers, None),
        (&open, WaitReason::CircuitOpen, Some(20)),
        (&limited, WaitReason::Limited, None),
    ];
    for (hold, reason, after_s) in cases {
        let mut seen = seen(3);
        hold(&mut seen);
        let wait = seen.wait(&waiting(JobState::Pending));
        assert_eq!((wait.reason, wait.position, expected_s(&wait)), (reason, Some(4), after_s));
    }
}
