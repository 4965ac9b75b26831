//! Threads that compute for async callers: two lanes, bounded, cancellable, and safe from panics. One thread takes
//! queries only, so that a query begins at once however much bulk work there is.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use super::error::EmbedError;

/// Pieces of work that may wait in a lane before its callers wait too. Enough that no thread runs dry between two polls
/// of a caller, and few enough that a caller who gives up leaves little behind.
const WAITING_PER_LANE: usize = 64;

/// Which lane a piece of work waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    /// Someone waits for the answer: taken before all bulk work, after the work already running.
    Query,
    /// Background work: taken when no query waits.
    Bulk,
}

/// A fixed number of threads over two queues.
pub(super) struct Pool {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
    query_room: Arc<Semaphore>,
    bulk_room: Arc<Semaphore>,
}

struct Shared {
    lanes: Mutex<Lanes>,
    /// Told whenever `lanes` changes.
    changed: Condvar,
}

struct Lanes {
    queries: VecDeque<Task>,
    bulk: VecDeque<Task>,
    /// Threads that may still begin bulk work; one thread is always left for queries.
    bulk_threads: usize,
    closed: bool,
}

struct Task {
    priority: Priority,
    work: Box<dyn FnOnce() + Send>,
    /// The place in the lane, free again when the work is taken out.
    _room: OwnedSemaphorePermit,
}

/// The outcome of submitted work, to wait for. Dropping it cancels the work if it has not begun.
#[derive(Debug)]
pub(super) struct Ticket<T>(oneshot::Receiver<Result<T, EmbedError>>);

impl<T> Ticket<T> {
    pub(super) async fn outcome(self) -> Result<T, EmbedError> {
        self.0.await.unwrap_or(Err(EmbedError::Stopped))
    }
}

impl Pool {
    /// Starts threads for bulk work (zero is taken as one), which queries may use too, and one for queries alone.
    pub(super) fn start(bulk_threads: usize) -> io::Result<Self> {
        let bulk_threads = bulk_threads.max(1);
        let lanes = Lanes { queries: VecDeque::new(), bulk: VecDeque::new(), bulk_threads, closed: false };
        let shared = Arc::new(Shared { lanes: Mutex::new(lanes), changed: Condvar::new() });
        let mut pool = Self {
            shared,
            threads: Vec::new(),
            query_room: Arc::new(Semaphore::new(WAITING_PER_LANE)),
            bulk_room: Arc::new(Semaphore::new(WAITING_PER_LANE)),
        };
        // Into the pool one by one: should a thread not start, dropping the pool ends those that did.
        for index in 0..=bulk_threads {
            let shared = Arc::clone(&pool.shared);
            let thread = Builder::new().name(format!("embed-{index}")).spawn(move || shared.work())?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Queues a piece of work, waiting while its lane is full. A panic in it becomes an error of its ticket.
    pub(super) async fn submit<T, F>(&self, priority: Priority, work: F) -> Result<Ticket<T>, EmbedError>
    where
        T: Send + 'static,
        F: FnOnce() -> T + Send + 'static,
    {
        let room = match priority {
            Priority::Query => &self.query_room,
            Priority::Bulk => &self.bulk_room,
        };
        let room = Arc::clone(room).acquire_owned().await.map_err(|_| EmbedError::Stopped)?;
        let (reply, ticket) = oneshot::channel();
        let work = move || {
            if reply.is_closed() {
                return;
            }
            // The work owns what it changes, and what it shares never changes: nothing half-done can be seen after it.
            let outcome = catch_unwind(AssertUnwindSafe(work));
            let outcome = outcome.map_err(|panic| EmbedError::Panicked(panic_message(panic.as_ref())));
            // The caller may have left meanwhile.
            let _ = reply.send(outcome);
        };
        self.shared.push(Task { priority, work: Box::new(work), _room: room });
        Ok(Ticket(ticket))
    }
}

impl Drop for Pool {
    /// Drops what waits and joins the threads, which takes as long as the pieces already running.
    fn drop(&mut self) {
        self.shared.close();
        for thread in self.threads.drain(..) {
            // A thread catches the panics of its work, so it has nothing to tell.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn work(&self) {
        let mut done = None;
        while let Some((priority, work)) = self.next(done) {
            work();
            done = Some(priority);
        }
    }

    /// The next piece of work for a thread that has done one; `None` when the pool closes.
    fn next(&self, done: Option<Priority>) -> Option<(Priority, Box<dyn FnOnce() + Send>)> {
        let mut lanes = self.lock();
        if done == Some(Priority::Bulk) {
            lanes.bulk_threads += 1;
        }
        loop {
            if lanes.closed {
                return None;
            }
            if let Some(task) = lanes.take() {
                if lanes.bulk_threads > 0 && !lanes.bulk.is_empty() {
                    // This thread may have become free for bulk work and taken a query: another one may sleep.
                    self.changed.notify_one();
                }
                return Some((task.priority, task.work));
            }
            lanes = self.changed.wait(lanes).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn push(&self, task: Task) {
        let mut lanes = self.lock();
        match task.priority {
            Priority::Query => lanes.queries.push_back(task),
            Priority::Bulk => lanes.bulk.push_back(task),
        }
        self.changed.notify_one();
    }

    fn close(&self) {
        let mut lanes = self.lock();
        lanes.queries.clear();
        lanes.bulk.clear();
        lanes.closed = true;
        self.changed.notify_all();
    }

    /// No code of callers runs under this lock, so a poisoned one still guards whole queues.
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lanes {
    fn take(&mut self) -> Option<Task> {
        if let Some(query) = self.queries.pop_front() {
            return Some(query);
        }
        if self.bulk_threads == 0 {
            return None;
        }
        let bulk = self.bulk.pop_front()?;
        self.bulk_threads -= 1;
        Some(bulk)
    }
}

/// What a panic said, where it said it in words.
pub(super) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Occupies one thread of the pool until the sender goes.
    async fn hold(pool: &Pool, priority: Priority) -> (mpsc::Sender<()>, Ticket<()>) {
        let (release, held) = mpsc::channel::<()>();
        let (begin, begun) = oneshot::channel();
        let work = move || {
            let _ = begin.send(());
            let _ = held.recv();
        };
        let ticket = pool.submit(priority, work).await.expect("the pool is open");
        begun.await.expect("the work begins");
        (release, ticket)
    }

    fn pool() -> Pool {
        Pool::start(1).expect("the system gives threads")
    }

    #[tokio::test]
    async fn a_query_begins_while_bulk_work_holds_every_bulk_thread() {
        let pool = pool();
        let (release, held) = hold(&pool, Priority::Bulk).await;
        let waiting = pool.submit(Priority::Bulk, || ()).await.expect("the pool is open");
        let query = pool.submit(Priority::Query, || 7).await.expect("the pool is open");
        assert_eq!(query.outcome().await, Ok(7));
        drop(release);
        held.outcome().await.expect("the work ends");
        waiting.outcome().await.expect("the bulk thread is free again");
    }

    #[tokio::test]
    async fn queries_go_before_bulk_work_that_waits() {
        let pool = pool();
        let (release, _held) = hold(&pool, Priority::Bulk).await;
        let (_release_query, _held_query) = hold(&pool, Priority::Query).await;
        let (tell, told) = mpsc::channel();
        let mut tickets = Vec::new();
        for (priority, name) in [(Priority::Bulk, "bulk 1"), (Priority::Bulk, "bulk 2"), (Priority::Query, "query")] {
            let tell = tell.clone();
            tickets.push(pool.submit(priority, move || tell.send(name)).await.expect("the pool is open"));
        }
        drop(release);
        for ticket in tickets {
            ticket.outcome().await.expect("the work ends").expect("the test listens");
        }
        assert_eq!(told.try_iter().collect::<Vec<_>>(), ["query", "bulk 1", "bulk 2"]);
    }

    #[tokio::test]
    async fn a_panic_is_an_error_of_its_own_work_and_the_thread_lives_on() {
        let pool = pool();
        let bad = pool.submit(Priority::Query, || panic!("boom {}", 7)).await.expect("the pool is open");
        let good = pool.submit(Priority::Query, || 42).await.expect("the pool is open");
        assert_eq!(bad.outcome().await, Err::<(), _>(EmbedError::Panicked("boom 7".to_owned())));
        assert_eq!(good.outcome().await, Ok(42));
    }

    #[tokio::test]
    async fn work_whose_ticket_was_dropped_never_begins() {
        let pool = pool();
        let (release, _held) = hold(&pool, Priority::Bulk).await;
        let (tell, told) = mpsc::channel();
        drop(pool.submit(Priority::Bulk, move || tell.send(())).await.expect("the pool is open"));
        let after = pool.submit(Priority::Bulk, || ()).await.expect("the pool is open");
        drop(release);
        after.outcome().await.expect("the work ends");
        assert!(told.recv().is_err(), "the dropped work ran");
    }

    #[tokio::test]
    async fn a_full_lane_makes_its_callers_wait_and_leaves_the_other_open() {
        let pool = pool();
        let (release, _held) = hold(&pool, Priority::Bulk).await;
        let mut tickets = Vec::new();
        for _ in 0..WAITING_PER_LANE {
            tickets.push(pool.submit(Priority::Bulk, || ()).await.expect("the pool is open"));
        }
        let mut waiting = std::pin::pin!(pool.submit(Priority::Bulk, || ()));
        assert!(is_pending(waiting.as_mut()).await, "a place was given beyond the limit");
        let query = pool.submit(Priority::Query, || ()).await.expect("the pool is open");
        drop(release);
        query.outcome().await.expect("the query is answered");
        waiting.await.expect("a place comes free").outcome().await.expect("the work ends");
    }

    /// Whether one poll of the future leaves it waiting.
    async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }

    #[tokio::test]
    async fn dropping_the_pool_ends_its_threads_and_tells_those_who_wait() {
        let pool = pool();
        let shared = Arc::downgrade(&pool.shared);
        let (release, _held) = hold(&pool, Priority::Bulk).await;
        let waiting = pool.submit(Priority::Bulk, || ()).await.expect("the pool is open");
        pool.shared.close();
        drop(release);
        drop(pool);
        assert_eq!(waiting.outcome().await, Err(EmbedError::Stopped));
        assert!(shared.upgrade().is_none(), "a thread is left");
    }
}
