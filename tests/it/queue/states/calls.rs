//! What may happen to jobs.

use proptest::prelude::*;

/// Calls in a sequence.
pub const LONGEST: usize = 60;
/// Jobs; with more of them each would have fewer leases.
pub const JOBS: usize = 3;
/// Processes that take jobs.
pub const HOLDERS: usize = 3;

/// A call. Numbers choose among what is there: jobs, or all leases that were ever given, most of them lost by now.
#[derive(Debug, Clone)]
pub enum Call {
    Enqueue {
        is_later: bool,
    },
    BecomeDue {
        job: usize,
    },
    Promote,
    Lease {
        holder: usize,
        limit: usize,
    },
    Renew {
        holder: usize,
    },
    SetProgress {
        lease: usize,
        done: u32,
    },
    FinishStep {
        lease: usize,
        name: &'static str,
    },
    Succeed {
        lease: usize,
        is_batched: bool,
    },
    Fail {
        lease: usize,
        is_transient: bool,
    },
    WaitForProvider {
        lease: usize,
        is_over: bool,
    },
    GiveBack {
        holder: usize,
    },
    /// The holder is killed: its leases run out, and somebody sweeps.
    Crash {
        holder: usize,
    },
    Cancel {
        job: usize,
    },
    Retry {
        job: usize,
        attempts: u32,
    },
    SetPriority {
        job: usize,
        priority: i16,
    },
}

/// Random ones. Leases are given and lost more often than jobs end, so that many are written under too late.
pub fn sequences() -> impl Strategy<Value = Vec<Call>> {
    use Call::*;
    let (job, lease, holder) = (0..JOBS, 0..5_usize, 0..HOLDERS);
    let call = prop_oneof![
        3 => any::<bool>().prop_map(|is_later| Enqueue { is_later }),
        2 => job.clone().prop_map(|job| BecomeDue { job }),
        6 => Just(Promote),
        12 => (holder.clone(), 1..4_usize).prop_map(|(holder, limit)| Lease { holder, limit }),
        1 => holder.clone().prop_map(|holder| Renew { holder }),
        4 => (lease.clone(), 0..5_u32).prop_map(|(lease, done)| SetProgress { lease, done }),
        4 => (lease.clone(), prop_oneof![Just("first"), Just("second")])
            .prop_map(|(lease, name)| FinishStep { lease, name }),
        2 => (lease.clone(), any::<bool>()).prop_map(|(lease, is_batched)| Succeed { lease, is_batched }),
        4 => (lease.clone(), prop::bool::weighted(0.7)).prop_map(|(lease, is_transient)| Fail { lease, is_transient }),
        1 => (lease, any::<bool>()).prop_map(|(lease, is_over)| WaitForProvider { lease, is_over }),
        5 => holder.clone().prop_map(|holder| GiveBack { holder }),
        4 => holder.prop_map(|holder| Crash { holder }),
        1 => job.clone().prop_map(|job| Cancel { job }),
        4 => (job.clone(), 1..4_u32).prop_map(|(job, attempts)| Retry { job, attempts }),
        1 => (job, -1..2_i16).prop_map(|(job, priority)| SetPriority { job, priority }),
    ];
    prop::collection::vec(call, 1..=LONGEST)
}
