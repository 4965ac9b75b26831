//! Work on threads that may block: nobody waits for it longer than for the job that it is part of.

use text::{Stop, Stopped};
use tokio_util::sync::CancellationToken;

use crate::error::{Error, Result};

impl From<Stopped> for Error {
    fn from(_: Stopped) -> Self {
        Self::interrupted()
    }
}

/// Does work on a thread that may block until `stop` is cancelled or the future dropped. The thread is told so and left
/// to itself: nobody waits for one that does not listen. `doing` ends the sentence "could not …".
pub async fn until_stopped<T: Send + 'static>(
    stop: &CancellationToken,
    doing: &'static str,
    work: impl FnOnce(&Stop) -> Result<T> + Send + 'static,
) -> Result<T> {
    let stop = stop.child_token();
    let told = Stop::from(stop.clone());
    let _told_when_dropped = stop.clone().drop_guard();
    let thread = tokio::task::spawn_blocking(move || work(&told));
    let ended = stop.run_until_cancelled(thread).await.ok_or_else(Error::interrupted)?;
    ended.map_err(|panic| Error::internal(doing, panic))?
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::error::Code;

    /// Work that goes on until it is told to stop, and then says so.
    fn endless(started: mpsc::Sender<()>, stopped: mpsc::Sender<()>) -> impl FnOnce(&Stop) -> Result<()> + Send {
        move |stop| {
            started.send(()).expect("someone listens");
            while stop.check().is_ok() {
                std::thread::yield_now();
            }
            stopped.send(()).expect("someone listens");
            Ok(stop.check()?)
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn work_ends_when_it_is_stopped_and_when_nobody_waits_for_it_any_more() {
        for is_dropped in [false, true] {
            let (token, (started, has_started), (stopped, has_stopped)) =
                (CancellationToken::new(), mpsc::channel(), mpsc::channel());
            let waiting = tokio::spawn({
                let token = token.clone();
                async move { until_stopped(&token, "wait", endless(started, stopped)).await }
            });
            has_started.recv().expect("it starts");
            if is_dropped {
                waiting.abort();
                assert!(waiting.await.expect_err("aborted").is_cancelled());
            } else {
                token.cancel();
                assert_eq!(waiting.await.expect("no panic").expect_err("stopped").code, Code::Interrupted);
            }
            has_stopped.recv().expect("it ends");
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nobody_waits_for_a_thread_that_does_not_listen() {
        let (token, (free, blocked)) = (CancellationToken::new(), mpsc::channel::<()>());
        token.cancel();
        let stopped = until_stopped(&token, "wait", move |_| Ok(blocked.recv().is_ok())).await;
        assert_eq!(stopped.expect_err("stopped").code, Code::Interrupted);
        drop(free);
    }
}
