//! How long to wait before another attempt: exponential backoff.

use std::time::Duration;

/// Bounds of the wait.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Upper bound after the first failure.
    pub base: Duration,
    /// Upper bound after any failure.
    pub max: Duration,
}

impl Backoff {
    /// The longest wait after failed attempt number `attempt` (from 1): `min(max, base * 2^(attempt - 1))`.
    pub fn ceiling(self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }

    /// A wait between half and the whole of the longest, so that what failed together does not come back together.
    /// `chance` is in 0..1.
    pub fn wait(self, attempt: u32, chance: f64) -> Duration {
        self.ceiling(attempt).mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_maximum_and_jitters_by_half() {
        let backoff = Backoff { base: Duration::from_secs(1), max: Duration::from_secs(60) };
        for (attempt, ceiling) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60), (u32::MAX, 60)] {
            assert_eq!(backoff.wait(attempt, 1.0), Duration::from_secs(ceiling), "attempt {attempt}");
            assert_eq!(backoff.wait(attempt, 0.0), Duration::from_millis(ceiling * 500), "attempt {attempt}");
        }
    }
}
