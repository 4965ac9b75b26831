//! Calls that wait for the threads of one kind, and how their texts are dealt out.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use std::vec::IntoIter;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::encode::{Embedding, Encode};
use super::error::EmbedError;
use super::meter::Meter;
use super::pass::{Answer, Pass};

/// Calls whose texts may wait in a lane before further callers wait too. It bounds what is kept of callers who have left,
/// and is more than threads can serve at a time.
pub(super) const CALLS_LIMIT: usize = 64;

/// The calls of one lane. Its threads compute what waits; a call's texts go in order, and calls take turns.
pub(super) struct Lane {
    encoder: Arc<dyn Encode>,
    /// Estimated tokens of a pass. One text may have more.
    pass_tokens: usize,
    queue: Mutex<Waiting>,
    /// Told when texts came or the lane closed.
    changed: Condvar,
    room: Arc<Semaphore>,
    meter: Meter,
}

#[derive(Default)]
struct Waiting {
    calls: VecDeque<Call>,
    is_closed: bool,
}

/// What still waits of a call.
struct Call {
    texts: IntoIter<String>,
    /// Place of the next text in the call.
    place: usize,
    came: Instant,
    reply: UnboundedSender<Answer>,
    /// The place in the lane, free again when no text waits any more.
    _room: OwnedSemaphorePermit,
}

impl Lane {
    pub(super) fn new(encoder: Arc<dyn Encode>, pass_tokens: usize, meter: Meter) -> Self {
        let room = Arc::new(Semaphore::new(CALLS_LIMIT));
        Self { encoder, pass_tokens, queue: Mutex::default(), changed: Condvar::new(), room, meter }
    }

    /// One embedding per text, in order. Waits while the lane is full; dropping the future takes back what was not begun.
    pub(super) async fn embed(&self, texts: Vec<String>) -> Result<Vec<Embedding>, EmbedError> {
        let count = texts.len();
        if count == 0 {
            return Ok(Vec::new());
        }
        let came = Instant::now();
        let room = Arc::clone(&self.room).acquire_owned().await.map_err(|_| EmbedError::Stopped)?;
        let (reply, mut answers) = unbounded_channel();
        self.push(Call { texts: texts.into_iter(), place: 0, came, reply, _room: room });
        let mut parts = Vec::new();
        while let Some(answer) = answers.recv().await {
            parts.push((answer.place, answer.outcome?));
        }
        // Threads end in any order.
        parts.sort_unstable_by_key(|(place, _)| *place);
        let embeddings: Vec<_> = parts.into_iter().flat_map(|(_, embeddings)| embeddings).collect();
        if embeddings.len() == count { Ok(embeddings) } else { Err(EmbedError::Stopped) }
    }

    /// Computes what comes, until the lane closes.
    pub(super) fn work(&self) {
        while let Some(pass) = self.next() {
            pass.run(&*self.encoder, &self.meter);
        }
    }

    /// Ends the threads after the passes they are at. What waits is not computed any more.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn push(&self, call: Call) {
        let mut queue = self.lock();
        queue.calls.push_back(call);
        self.meter.waiting(queue.texts());
        self.changed.notify_one();
    }

    fn next(&self) -> Option<Pass> {
        let mut queue = self.lock();
        loop {
            if queue.is_closed {
                return None;
            }
            let pass = self.fill(&mut queue);
            self.meter.waiting(queue.texts());
            if !queue.calls.is_empty() {
                // One call may be work for many threads.
                self.changed.notify_one();
            }
            if !pass.is_empty() {
                return Some(pass);
            }
            queue = self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// As many texts as a pass takes, from the calls in turn: whoever fills it goes to the end. The lengths of the texts
    /// are left mixed. Nothing is padded, so putting short ones together was worth 2 %, within the noise.
    fn fill(&self, queue: &mut Waiting) -> Pass {
        let mut pass = Pass::default();
        let mut room = self.pass_tokens;
        while let Some(mut call) = queue.calls.pop_front() {
            if call.reply.is_closed() {
                continue;
            }
            let fitting = call.texts.as_slice().iter().take_while(|text| {
                let tokens = self.encoder.estimate(text);
                let fits = tokens <= room;
                room = room.saturating_sub(tokens);
                fits
            });
            let fitting = fitting.count();
            let count = if pass.is_empty() { fitting.max(1) } else { fitting };
            if count == 0 {
                // It keeps its turn.
                queue.calls.push_front(call);
                break;
            }
            if call.place == 0 {
                self.meter.waited(call.came.elapsed());
            }
            pass.add(call.texts.by_ref().take(count), call.place, call.reply.clone());
            call.place += count;
            if call.texts.len() > 0 {
                queue.calls.push_back(call);
                break;
            }
        }
        pass
    }

    /// No code of callers runs under this lock, so a poisoned one still guards whole queues.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn texts(&self) -> usize {
        self.calls.iter().map(|call| call.texts.len()).sum()
    }
}
