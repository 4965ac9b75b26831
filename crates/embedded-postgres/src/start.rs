//! A start that nobody may wait for any more.

use std::{
    process::{Child, Output},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use crate::{error::ServerError, wait::wait_for};

/// Longer than any program of a start runs: what hangs is ended by who gives up waiting.
const FOR_EVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether the start that is under way is still wanted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Start {
    is_abandoned: Arc<AtomicBool>,
}

/// Dropped, it abandons the start. Does nothing to one that is over.
pub(crate) struct Guard(Arc<AtomicBool>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Start {
    pub(crate) fn guard(&self) -> Guard {
        Guard(Arc::clone(&self.is_abandoned))
    }

    /// Between two steps: an error where the start is to end.
    pub(crate) fn check(&self) -> Result<(), ServerError> {
        if self.is_abandoned.load(Ordering::Relaxed) { Err(ServerError::Cancelled) } else { Ok(()) }
    }

    /// Waits for a program to end, or kills it where the start is abandoned. What it writes must fit a pipe: nobody reads
    /// before its end. `doing` is for the error.
    pub(crate) fn wait(&self, mut child: Child, doing: &'static str) -> Result<Output, ServerError> {
        let look = || match (self.check(), child.try_wait()) {
            (Ok(()), Ok(None)) => None,
            (Ok(()), Ok(Some(_))) => Some(Ok(())),
            (Ok(()), Err(failed)) => Some(Err(ServerError::io(doing)(failed))),
            (Err(abandoned), _) => Some(Err(abandoned)),
        };
        if let Some(Err(error)) = wait_for(FOR_EVER, look) {
            // It may have ended this moment: then there is nothing to kill.
            let _ = child.kill();
            let _ = child.wait();
            return Err(error);
        }
        child.wait_with_output().map_err(ServerError::io(doing))
    }
}
