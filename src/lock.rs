//! Locks whose holders never leave things half done.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock, whether or not a holder panicked: what it guards is whole after every line that changes it.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
