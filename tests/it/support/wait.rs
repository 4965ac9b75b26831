//! Waiting for a state, never for a time.

use std::time::{Duration, Instant};

/// Longest wait for any state: far above what a machine takes under any load, so that only a hang reaches it. How long
/// work takes is no test's business, but that of `benches/`.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until there is an answer; panics, naming what was waited for, where none comes.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        tokio::time::sleep(LOOK).await;
    }
}
