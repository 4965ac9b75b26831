//! One reader for each thing that is followed, whatever the number of its followers. It begins with the first and ends
//! with the last of them. What it found last lies in a `watch` channel: who does not look costs nothing, and holds up
//! nobody.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::watch;

use crate::lock::lock;

/// The readers of things with such keys, and what they found.
#[derive(Debug)]
pub struct Readers<K, V> {
    open: Arc<Mutex<HashMap<K, watch::Sender<V>>>>,
}

impl<K, V> Clone for Readers<K, V> {
    fn clone(&self) -> Self {
        Self { open: self.open.clone() }
    }
}

impl<K, V> Default for Readers<K, V> {
    fn default() -> Self {
        Self { open: Arc::default() }
    }
}

impl<K, V> Readers<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Send + Sync + 'static,
{
    /// Follows what the reader of a thing finds. Where there is none, one starts, from `first`. A channel that closes
    /// without a word in it lost its reader.
    pub fn join<F>(&self, key: K, first: V, read: impl FnOnce(watch::Sender<V>) -> F) -> watch::Receiver<V>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut open = self.lock();
        if let Some(found) = open.get(&key) {
            return found.subscribe();
        }
        let (found, follower) = watch::channel(first);
        open.insert(key.clone(), found.clone());
        // Dropped with the reader, however it ends.
        let entry = Entry { readers: self.clone(), key, found: found.clone() };
        tokio::spawn(keep(entry, read(found)));
        follower
    }

    /// How many there are.
    #[cfg(test)]
    fn count(&self) -> usize {
        self.lock().len()
    }
}

impl<K, V> Readers<K, V> {
    fn lock(&self) -> MutexGuard<'_, HashMap<K, watch::Sender<V>>> {
        lock(&self.open)
    }
}

/// Reads until the reader ends by itself or nobody follows.
async fn keep<K: Eq + Hash, V>(entry: Entry<K, V>, reading: impl Future<Output = ()>) {
    tokio::pin!(reading);
    loop {
        tokio::select! {
            () = &mut reading => return,
            () = entry.found.closed() => if entry.is_left() { return },
        }
    }
}

/// A reader's entry; leaves with it.
struct Entry<K: Eq + Hash, V> {
    readers: Readers<K, V>,
    key: K,
    found: watch::Sender<V>,
}

impl<K: Eq + Hash, V> Entry<K, V> {
    /// Whether still nobody follows. Then nobody can join any more.
    fn is_left(&self) -> bool {
        let mut open = self.readers.lock();
        let is_left = self.found.receiver_count() == 0;
        if is_left {
            open.remove(&self.key);
        }
        is_left
    }
}

impl<K: Eq + Hash, V> Drop for Entry<K, V> {
    fn drop(&mut self) {
        let mut open = self.readers.lock();
        // After `is_left` the key may be a successor's.
        if open.get(&self.key).is_some_and(|found| found.same_channel(&self.found)) {
            open.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn all_followers_of_a_thing_share_a_reader_that_ends_with_the_last_of_them() {
        let (readers, started) = (Readers::<u8, u32>::default(), AtomicUsize::new(0));
        let join = |key| {
            readers.join(key, 0, |found| {
                started.fetch_add(1, Ordering::Relaxed);
                async move {
                    found.send_replace(7);
                    std::future::pending::<()>().await;
                }
            })
        };
        let mut followers = [join(1), join(1), join(2)];
        for follower in &mut followers {
            assert_eq!(*follower.wait_for(|found| *found == 7).await.expect("a reader"), 7);
        }
        assert_eq!((started.load(Ordering::Relaxed), readers.count()), (2, 2));
        drop(followers);
        while readers.count() > 0 {
            tokio::task::yield_now().await;
        }
        join(1).wait_for(|found| *found == 7).await.expect("a new reader");
    }

    #[tokio::test]
    async fn a_reader_that_ends_is_followed_by_another_and_one_that_panics_closes_its_channel() {
        let readers = Readers::<u8, u32>::default();
        let mut follower = readers.join(1, 0, |found| async move { assert_eq!(found.receiver_count(), 0, "told to") });
        assert!(follower.changed().await.is_err());
        assert_eq!(readers.count(), 0);
        let mut follower = readers.join(1, 0, |found| async move {
            found.send_replace(1);
        });
        follower.changed().await.expect("its word");
        assert_eq!(*follower.borrow(), 1);
    }
}
