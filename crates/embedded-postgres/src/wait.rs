//! Waiting for a state of another process, which nobody announces.

use std::{
    thread,
    time::{Duration, Instant},
};

/// Short beside the 100 ms that a start takes, long beside the few µs of a look.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until `look` gives something or `timeout` is over; looks at least once. Blocks the thread.
pub(crate) fn wait_for<T>(timeout: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let began = Instant::now();
    loop {
        let seen = look();
        if seen.is_some() || began.elapsed() >= timeout {
            return seen;
        }
        thread::sleep(LOOK_EVERY);
    }
}
