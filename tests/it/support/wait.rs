//! Waiting for a state, never for a time.

use std::time::{Duration, Instant};

/// Longest wait for any state: far above what a loaded machine takes, so that reaching it is a failure.
const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until there is an answer; panics, naming what was waited for, where none comes.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < LIMIT, "waited {LIMIT:?} for {what}");
        tokio::time::sleep(LOOK).await;
    }
}
