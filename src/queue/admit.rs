//! Which waiting jobs may start under limits and circuits that are not closed. Pure: the rows come in, ids go out.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::candidates::{Candidate, Held};
use super::circuits::Circuit;
use super::limits::{Limit, LimitScope, RunningRow};

/// What is left of every limit, and which providers must be left alone.
#[derive(Debug)]
pub struct Rules {
    queue: String,
    limits: Vec<Limit>,
    /// Jobs that may still start, by place in `limits`; from `concurrency` alone.
    room: Vec<Option<i64>>,
    /// Providers of which no job may start.
    open: Vec<String>,
    /// Providers of which one job may try: whether it is under way.
    trials: HashMap<String, bool>,
}

impl Rules {
    /// The rules for one queue as they are at `now`.
    pub fn new(
        queue: &str,
        mut limits: Vec<Limit>,
        circuits: &[Circuit],
        running: &[RunningRow],
        now: DateTime<Utc>,
    ) -> Self {
        limits.iter_mut().for_each(|limit| refill(limit, now));
        let count = |limit: &Limit| -> i64 {
            running.iter().filter(|row| covers(limit, &row.queue, (*row).into())).map(|row| row.jobs).sum()
        };
        let room = limits.iter().map(|limit| limit.concurrency.map(|most| i64::from(most) - count(limit))).collect();
        let not_closed = circuits.iter().filter_map(|circuit| Some((&circuit.provider, circuit.open_until?)));
        let (open, half_open): (Vec<_>, Vec<_>) = not_closed.partition(|(_, until)| *until > now);
        let is_tried = |provider: &str| running.iter().any(|row| row.provider.as_deref() == Some(provider));
        Self {
            queue: queue.to_owned(),
            limits,
            room,
            open: open.into_iter().map(|(provider, _)| provider.clone()).collect(),
            trials: half_open.into_iter().map(|(provider, _)| (provider.clone(), is_tried(provider))).collect(),
        }
    }

    /// Whether no job of a provider may start: its circuit is open, or another one tries.
    pub(super) fn is_left_alone(&self, provider: &str) -> bool {
        self.open.iter().any(|open| open == provider) || self.trials.get(provider) == Some(&true)
    }

    /// Whether a used-up limit is on the job.
    pub(super) fn is_limited(&self, kind: &str, provider: Option<&str>, tenant: Uuid) -> bool {
        let subject = || Subject { kind, provider, tenant };
        (0..self.limits.len())
            .any(|place| self.is_used_up(place) && covers(&self.limits[place], &self.queue, subject()))
    }

    /// What need not be looked at; `None` where the whole queue is held back.
    pub fn held(&self) -> Option<Held> {
        let mut held = Held { providers: self.open.clone(), ..Held::default() };
        held.providers.extend(self.trials.iter().filter(|(_, is_tried)| **is_tried).map(|(name, _)| name.clone()));
        for limit in (0..self.limits.len()).filter(|place| self.is_used_up(*place)).map(|place| &self.limits[place]) {
            match limit.scope {
                LimitScope::Queue if limit.key == self.queue => return None,
                LimitScope::Queue => {}
                LimitScope::Kind => held.kinds.push(limit.key.clone()),
                LimitScope::Provider => held.providers.push(limit.key.clone()),
                LimitScope::Tenant => held.tenants.extend(limit.key.parse::<Uuid>().ok()),
            }
        }
        Some(held)
    }

    /// Picks at most `most` jobs: the highest priority first, the tenants in turn from the one after `after`.
    pub fn admit(&mut self, mut candidates: Vec<Candidate>, after: Uuid, most: usize) -> Vec<Uuid> {
        let mut rounds: HashMap<(i16, Uuid), usize> = HashMap::new();
        candidates.sort_by_key(|job| (std::cmp::Reverse(job.priority), job.turn, job.id));
        let mut in_turn: Vec<_> = candidates
            .into_iter()
            .map(|job| {
                let round = rounds.entry((job.priority, job.tenant_id)).or_default();
                *round += 1;
                ((std::cmp::Reverse(job.priority), *round, job.tenant_id <= after, job.tenant_id), job)
            })
            .collect();
        in_turn.sort_by_key(|(key, _)| *key);
        let mut admitted = Vec::new();
        for (_, job) in in_turn {
            if admitted.len() == most {
                break;
            }
            if self.start(&job) {
                admitted.push(job.id);
            }
        }
        admitted
    }

    /// The limits with what is left in their buckets.
    pub fn into_limits(self) -> Vec<Limit> {
        self.limits
    }

    fn is_used_up(&self, place: usize) -> bool {
        let limit = &self.limits[place];
        self.room[place].is_some_and(|room| room <= 0) || (limit.per_minute.is_some() && limit.tokens < 1.0)
    }

    /// Counts a start, if every rule lets the job start.
    fn start(&mut self, job: &Candidate) -> bool {
        let provider = job.provider.as_deref();
        if provider.is_some_and(|provider| self.is_left_alone(provider)) {
            return false;
        }
        let concerned: Vec<usize> =
            (0..self.limits.len()).filter(|place| covers(&self.limits[*place], &self.queue, job.into())).collect();
        if concerned.iter().any(|place| self.is_used_up(*place)) {
            return false;
        }
        for place in concerned {
            self.room[place] = self.room[place].map(|room| room - 1);
            if self.limits[place].per_minute.is_some() {
                self.limits[place].tokens -= 1.0;
            }
        }
        if let Some(is_tried) = provider.and_then(|provider| self.trials.get_mut(provider)) {
            *is_tried = true;
        }
        true
    }
}

/// What a limit may be on, of a job or of many.
struct Subject<'a> {
    kind: &'a str,
    provider: Option<&'a str>,
    tenant: Uuid,
}

impl<'a> From<&'a Candidate> for Subject<'a> {
    fn from(job: &'a Candidate) -> Self {
        Self { kind: &job.kind, provider: job.provider.as_deref(), tenant: job.tenant_id }
    }
}

impl<'a> From<&'a RunningRow> for Subject<'a> {
    fn from(row: &'a RunningRow) -> Self {
        Self { kind: &row.kind, provider: row.provider.as_deref(), tenant: row.tenant_id }
    }
}

fn covers(limit: &Limit, queue: &str, subject: Subject<'_>) -> bool {
    match limit.scope {
        LimitScope::Queue => limit.key == queue,
        LimitScope::Kind => limit.key == subject.kind,
        LimitScope::Provider => Some(limit.key.as_str()) == subject.provider,
        LimitScope::Tenant => limit.key.parse() == Ok(subject.tenant),
    }
}

/// Starts that a bucket holds: those of one second, at least one.
fn burst(per_minute: f64) -> f64 {
    (per_minute / 60.0).max(1.0)
}

/// A full bucket.
pub(super) fn full(per_minute: Option<f64>) -> f64 {
    per_minute.map_or(0.0, burst)
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of a wait stay far below 2^52")]
fn refill(limit: &mut Limit, now: DateTime<Utc>) {
    let Some(per_minute) = limit.per_minute else { return };
    let waited_ms = (now - limit.refilled_at).num_milliseconds().max(0) as f64;
    limit.tokens = (limit.tokens + waited_ms * per_minute / 60_000.0).min(burst(per_minute));
    limit.refilled_at = limit.refilled_at.max(now);
}

#[cfg(test)]
mod tests {
    use chrono::Duration;

    use super::*;

    fn limit(scope: LimitScope, key: &str, concurrency: Option<i32>, per_minute: Option<f64>) -> Limit {
        Limit::new(scope, key.to_owned(), concurrency, per_minute, DateTime::UNIX_EPOCH)
    }

    fn jobs(count: i64, kind: &str, provider: Option<&str>, tenant: u128) -> Vec<Candidate> {
        let job = |turn: i64| Candidate {
            id: Uuid::from_u128(tenant << 64 | u128::from(turn.unsigned_abs()) << 16 | kind.len() as u128),
            tenant_id: Uuid::from_u128(tenant),
            kind: kind.to_owned(),
            provider: provider.map(str::to_owned),
            priority: 0,
            turn,
        };
        (1..=count).map(job).collect()
    }

    fn running(kind: &str, provider: Option<&str>, jobs: i64) -> RunningRow {
        let (queue, tenant_id) = ("ingest".to_owned(), Uuid::from_u128(1));
        RunningRow { queue, kind: kind.to_owned(), provider: provider.map(str::to_owned), tenant_id, jobs }
    }

    fn circuit(provider: &str, open_until: i64) -> Circuit {
        Circuit {
            provider: provider.to_owned(),
            failures: 5,
            trips: 1,
            open_until: Some(DateTime::UNIX_EPOCH + Duration::seconds(open_until)),
            error_code: String::new(),
            error_message: String::new(),
            failed_at: DateTime::UNIX_EPOCH,
        }
    }

    fn admitted(rules: &mut Rules, candidates: Vec<Candidate>, most: usize) -> usize {
        rules.admit(candidates, Uuid::nil(), most).len()
    }

    #[test]
    fn a_limit_leaves_room_for_what_does_not_run_yet_and_holds_only_what_it_is_on() {
        for (scope, key) in [
            (LimitScope::Queue, "ingest"),
            (LimitScope::Kind, "index"),
            (LimitScope::Provider, "acme"),
            (LimitScope::Tenant, "00000000-0000-0000-0000-000000000001"),
        ] {
            let limits = vec![limit(scope, key, Some(3), None)];
            let mut rules =
                Rules::new("ingest", limits, &[], &[running("index", Some("acme"), 2)], DateTime::UNIX_EPOCH);
            assert_eq!(admitted(&mut rules, jobs(5, "index", Some("acme"), 1), 9), 1, "{scope:?}");
            assert_eq!(rules.held().is_none(), scope == LimitScope::Queue);
            let others = if scope == LimitScope::Queue { 0 } else { 5 };
            assert_eq!(admitted(&mut rules, jobs(5, "other", None, 2), 9), others, "{scope:?}");
        }
        let mut unlimited = Rules::new("ingest", Vec::new(), &[], &[], DateTime::UNIX_EPOCH);
        assert_eq!(admitted(&mut unlimited, jobs(5, "index", None, 1), 4), 4);
    }

    #[test]
    fn a_bucket_holds_a_second_of_starts_and_fills_with_time() {
        let at = |seconds| DateTime::UNIX_EPOCH + Duration::seconds(seconds);
        let mut limits = vec![limit(LimitScope::Kind, "index", None, Some(120.0))];
        for (now, expected) in [(0, 2), (0, 0), (1, 2), (1, 0), (100, 2)] {
            let mut rules = Rules::new("ingest", limits, &[], &[], at(now));
            assert_eq!(admitted(&mut rules, jobs(9, "index", None, 1), 9), expected, "at {now} s");
            limits = rules.into_limits();
        }
        let slow = vec![limit(LimitScope::Kind, "index", None, Some(1.0))];
        let mut rules = Rules::new("ingest", slow, &[], &[], at(0));
        assert_eq!(admitted(&mut rules, jobs(9, "index", None, 1), 9), 1);
    }

    #[test]
    fn an_open_circuit_holds_its_provider_and_a_half_open_one_lets_one_job_try() {
        let now = DateTime::UNIX_EPOCH;
        for (open_until, running_now, expected) in [(10, 0, 0), (0, 0, 1), (-10, 0, 1), (-10, 1, 0)] {
            let under_way = [running("index", Some("acme"), running_now)];
            let under_way = if running_now > 0 { &under_way[..] } else { &[] };
            let mut rules = Rules::new("ingest", Vec::new(), &[circuit("acme", open_until)], under_way, now);
            assert_eq!(admitted(&mut rules, jobs(5, "index", Some("acme"), 1), 9), expected, "until {open_until}");
            assert_eq!(admitted(&mut rules, jobs(5, "index", Some("other"), 1), 9), 5);
            assert_eq!(admitted(&mut rules, jobs(5, "index", None, 1), 9), 5);
        }
    }

    #[test]
    fn tenants_take_turns_from_the_one_after_the_last_and_higher_priority_comes_first() {
        let mut rules = Rules::new("ingest", Vec::new(), &[], &[], DateTime::UNIX_EPOCH);
        let mut candidates: Vec<_> = (1..=3).flat_map(|tenant| jobs(4, "index", None, tenant)).collect();
        candidates[3].priority = 1;
        let by_id: HashMap<Uuid, Candidate> = candidates.iter().map(|job| (job.id, job.clone())).collect();
        let order: Vec<_> = rules
            .admit(candidates, Uuid::from_u128(1), 6)
            .iter()
            .map(|id| (by_id[id].tenant_id.as_u128(), by_id[id].turn))
            .collect();
        assert_eq!(order, [(1, 4), (2, 1), (3, 1), (1, 1), (2, 2), (3, 2)]);
    }
}
