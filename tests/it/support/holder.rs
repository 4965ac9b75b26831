//! Holds a thread in the middle of a document, as a parser does that is busy for long.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use models::Tokenize;

/// Far above what a test takes: so long a failed one keeps its thread.
const LIMIT: Duration = Duration::from_secs(120);

/// Steers the tokenizers of an embedder.
#[derive(Default)]
pub struct Holder {
    state: Mutex<State>,
    let_go: Condvar,
}

#[derive(Default)]
struct State {
    holds_next: bool,
    is_holding: bool,
    /// Windows that the thread held last was given until it ended.
    read: Option<usize>,
}

impl Holder {
    /// The next thread that counts tokens waits.
    pub fn hold_next(&self) {
        *self.state() = State { holds_next: true, ..State::default() };
    }

    /// Whether one waits.
    pub fn is_holding(&self) -> bool {
        self.state().is_holding
    }

    /// It goes on.
    pub fn let_go(&self) {
        self.state().is_holding = false;
        self.let_go.notify_all();
    }

    /// How many windows of the text it was given in all, once it is done with the document.
    pub fn read(&self) -> Option<usize> {
        self.state().read
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics here")
    }
}

/// Words are tokens; one instance for each document.
pub struct Words {
    holder: Arc<Holder>,
    given: AtomicUsize,
    was_held: AtomicBool,
}

impl Words {
    /// For one document.
    pub fn new(holder: Arc<Holder>) -> Self {
        Self { holder, given: AtomicUsize::default(), was_held: AtomicBool::default() }
    }
}

impl Tokenize for Words {
    fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.given.fetch_add(1, SeqCst);
        let mut state = self.holder.state();
        if std::mem::take(&mut state.holds_next) {
            state.is_holding = true;
            self.was_held.store(true, SeqCst);
            let held = self.holder.let_go.wait_timeout_while(state, LIMIT, |state| state.is_holding);
            drop(held.expect("nobody panics here"));
        } else {
            drop(state);
        }
        let start = |word: &str| word.as_ptr() as usize - text.as_ptr() as usize;
        text.split_whitespace().map(|word| (start(word), start(word) + word.len())).collect()
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        if self.was_held.load(SeqCst) {
            self.holder.state().read = Some(self.given.load(SeqCst));
        }
    }
}
