//! How often and how patiently the client tries again.

use std::time::Duration;

/// Exponential backoff with an end.
#[derive(Debug, Clone, Copy)]
pub(super) struct Retry {
    /// Tries after the first one.
    pub attempts: u32,
    /// Pause before the first of them; each further pause is twice as long.
    pub base: Duration,
    /// Longest pause.
    pub max: Duration,
}

impl Retry {
    /// About a minute in all: enough for a server to be restarted, short enough for somebody who watches.
    pub const DEFAULT: Self = Self { attempts: 10, base: Duration::from_millis(250), max: Duration::from_secs(10) };

    /// The pause before try `attempt` (from 0), or `None` where it is time to give up.
    pub fn pause(&self, attempt: u32) -> Option<Duration> {
        let pause = self.base.saturating_mul(2_u32.saturating_pow(attempt));
        (attempt < self.attempts).then_some(pause.min(self.max))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_then_end() {
        let retry = Retry { attempts: 4, base: Duration::from_secs(1), max: Duration::from_secs(3) };
        let pauses: Vec<_> = (0..6).map(|attempt| retry.pause(attempt).map(|pause| pause.as_secs())).collect();
        assert_eq!(pauses, [Some(1), Some(2), Some(3), Some(3), None, None]);
    }
}
