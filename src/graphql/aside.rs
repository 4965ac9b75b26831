//! Costly operations are run aside: on threads that serve nothing else, so that nobody who asks little waits behind one.

use std::num::NonZero;
use std::panic::resume_unwind;
use std::sync::Arc;

use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// Room for as many operations at once as the machine has cores; more would share them, and end later.
#[derive(Clone)]
pub struct Aside(Arc<Semaphore>);

impl Default for Aside {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
        Self(Arc::new(Semaphore::new(cores)))
    }
}

impl Aside {
    /// Runs work on a thread of its own once there is room. Dropped, it is given up at its next wait.
    pub async fn run<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> T {
        let room = self.0.clone().acquire_owned().await.expect("never closed");
        let dropped = CancellationToken::new();
        let given_up = dropped.clone();
        let _guard = dropped.drop_guard();
        let (runtime, work) = (Handle::current(), work.in_current_span());
        let thread = tokio::task::spawn_blocking(move || {
            let _room = room;
            runtime.block_on(given_up.run_until_cancelled(work))
        });
        match thread.await {
            Ok(done) => done.expect("this future was not dropped"),
            Err(ended) => match ended.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The process ends, and this with it.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn those_who_ask_little_are_served_while_costly_work_holds_its_thread() {
        let (let_go, held) = mpsc::channel::<()>();
        let aside = Aside::default();
        let costly = tokio::spawn({
            let aside = aside.clone();
            async move { aside.run(async move { held.recv() }).await }
        });
        // On the only thread that serves.
        tokio::task::yield_now().await;
        let_go.send(()).expect("it waits");
        assert_eq!(costly.await.expect("no panic"), Ok(()));
    }

    #[tokio::test]
    async fn work_that_nobody_waits_for_any_more_is_given_up() {
        let (owned, mut is_dropped) = tokio::sync::oneshot::channel::<()>();
        let (started, has_started) = tokio::sync::oneshot::channel();
        let work = async move {
            let _owned = owned;
            started.send(()).expect("someone listens");
            std::future::pending::<()>().await;
        };
        let waiting = tokio::spawn(async move { Aside::default().run(work).await });
        has_started.await.expect("it starts");
        waiting.abort();
        assert!((&mut is_dropped).await.is_err());
    }

    #[tokio::test]
    async fn a_panic_is_that_of_the_caller() {
        let waiting = tokio::spawn(async { Aside::default().run(async { panic!("a fault") }).await });
        assert!(waiting.await.expect_err("it panics").is_panic());
    }
}
