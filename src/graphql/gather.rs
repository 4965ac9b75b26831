//! Questions that are asked one by one and answered in lists.
//!
//! Who asks first lets everyone ask who can: the fields beside it, and other tasks that are ready; then all is read that
//! was asked for. There is no clock in it, so that who asks alone waits for nothing. What is asked while reading has to
//! wait for its turn is read with the rest. No answer is kept: who asks later has it read again.

use std::any::{Any, TypeId};
use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::sync::{Arc, Mutex};

use tokio::sync::oneshot::{self, Receiver, Sender};
use tracing::Instrument;

use crate::error::Error;
use crate::lock::lock;
use crate::store::connect::Share;

/// Most keys of a statement.
const KEYS_AT_ONCE: usize = 1_000;

/// What a question names.
pub trait Key: Clone + Eq + Hash + Send + Sync + 'static {}

impl<K: Clone + Eq + Hash + Send + Sync + 'static> Key for K {}

/// What is found by key; the error is everybody's who asked.
pub type Found<K, V> = Result<HashMap<K, V>, Arc<Error>>;

/// Answers many questions at once.
pub trait Load<K: Key>: Send + Sync + 'static {
    /// An answer.
    type Value: Clone + Send + Sync + 'static;

    /// The answers to those keys that have one.
    fn load(&self, keys: &[K]) -> impl Future<Output = Found<K, Self::Value>> + Send;
}

/// Gathers questions for what answers many.
pub struct Gather<L>(Arc<Inner<L>>);

struct Inner<L> {
    loader: L,
    /// Where what is read must wait for its turn.
    share: Option<Share>,
    /// A [`Batch`] for each type of key.
    batches: Mutex<HashMap<TypeId, Box<dyn Any + Send>>>,
}

/// Questions that will be answered together.
struct Batch<K, V> {
    /// Counts the batches of a type of key.
    number: u64,
    /// Whether somebody is about to read it.
    is_called: bool,
    keys: HashSet<K>,
    askers: Vec<Asker<K, V>>,
}

/// Who waits for the answers to its keys.
struct Asker<K, V> {
    keys: Vec<K>,
    waits: Sender<Found<K, V>>,
}

impl<L> Gather<L> {
    /// Reads by this loader, in the turns of a share where one is given.
    pub fn new(loader: L, share: Option<Share>) -> Self {
        Self(Arc::new(Inner { loader, share, batches: Mutex::default() }))
    }

    /// The answer to one question.
    pub async fn load_one<K: Key>(&self, key: K) -> Result<Option<L::Value>, Arc<Error>>
    where
        L: Load<K>,
    {
        Ok(self.load_many([key.clone()]).await?.remove(&key))
    }

    /// The answers to those keys that have one.
    pub async fn load_many<K: Key>(&self, keys: impl IntoIterator<Item = K>) -> Found<K, L::Value>
    where
        L: Load<K>,
    {
        let keys: Vec<K> = keys.into_iter().collect();
        if keys.is_empty() {
            return Ok(HashMap::new());
        }
        let (number, answer) = self.0.batch(|batch| batch.ask(keys));
        tokio::task::yield_now().await;
        if self.0.batch::<K, _>(|batch| batch.call(number)) {
            // In a task of its own: others wait for it also where this one leaves.
            tokio::spawn(self.0.clone().answer::<K>().in_current_span());
        }
        answer.await.unwrap_or_else(|left| Err(Arc::new(Error::internal("read what was asked for", left))))
    }
}

impl<L> Inner<L> {
    /// Reads what has gathered until its turn, and tells everyone who asked.
    async fn answer<K: Key>(self: Arc<Self>)
    where
        L: Load<K>,
    {
        let _turn = match &self.share {
            Some(share) => Some(share.turn().await),
            None => None,
        };
        let Batch { keys, askers, .. } = self.batch::<K, _>(Batch::take);
        let found = self.read(keys).await;
        for Asker { keys, waits } in askers {
            // Refused where who asked has left.
            let _ = waits.send(match &found {
                Ok(found) => Ok(keys.into_iter().filter_map(|key| found.get_key_value(&key)).map(cloned).collect()),
                Err(error) => Err(error.clone()),
            });
        }
    }

    async fn read<K: Key>(&self, keys: HashSet<K>) -> Found<K, L::Value>
    where
        L: Load<K>,
    {
        let keys: Vec<K> = keys.into_iter().collect();
        let mut found = HashMap::new();
        for some in keys.chunks(KEYS_AT_ONCE) {
            found.extend(self.loader.load(some).await?);
        }
        Ok(found)
    }

    fn batch<K: Key, T>(&self, work: impl FnOnce(&mut Batch<K, L::Value>) -> T) -> T
    where
        L: Load<K>,
    {
        let mut batches = lock(&self.batches);
        let batch = batches.entry(TypeId::of::<K>()).or_insert_with(|| Box::new(Batch::<K, L::Value>::new(0)));
        work(batch.downcast_mut().expect("each type of key has a batch of its own type"))
    }
}

impl<K: Key, V> Batch<K, V> {
    fn new(number: u64) -> Self {
        Self { number, is_called: false, keys: HashSet::new(), askers: Vec::new() }
    }

    /// Adds a question; gives the batch's number and where the answer comes.
    fn ask(&mut self, keys: Vec<K>) -> (u64, Receiver<Found<K, V>>) {
        let (waits, answer) = oneshot::channel();
        self.keys.extend(keys.iter().cloned());
        self.askers.push(Asker { keys, waits });
        (self.number, answer)
    }

    /// Whether the caller is the first to want this batch read.
    fn call(&mut self, number: u64) -> bool {
        self.number == number && !std::mem::replace(&mut self.is_called, true)
    }

    /// Gives it to be read; the next question begins another one.
    fn take(&mut self) -> Self {
        let next = Self::new(self.number + 1);
        std::mem::replace(self, next)
    }
}

fn cloned<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

    use futures_util::future::join_all;

    use super::*;

    /// Answers numbers up to a hundred with themselves, and counts how often it is asked.
    #[derive(Default)]
    struct Counting(AtomicUsize);

    impl Load<u32> for Arc<Counting> {
        type Value = u32;

        async fn load(&self, keys: &[u32]) -> Found<u32, u32> {
            self.0.fetch_add(1, SeqCst);
            if keys.contains(&u32::MAX) {
                return Err(Arc::new(Error::worker_lost()));
            }
            Ok(keys.iter().filter(|key| **key <= 100).map(|key| (*key, *key)).collect())
        }
    }

    fn counting() -> (Arc<Counting>, Gather<Arc<Counting>>) {
        let counting = Arc::<Counting>::default();
        (counting.clone(), Gather::new(counting, None))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn fields_beside_each_other_share_a_reading_whatever_other_threads_do() {
        for round in 1..=200 {
            let (counting, gather) = counting();
            let fields = join_all((0..100).map(|key| gather.load_one(key)));
            let found = fields.await.into_iter().map(|found| found.expect("an answer"));
            assert!(found.eq((0..100).map(Some)));
            assert_eq!(counting.0.load(SeqCst), 1, "round {round}");
        }
    }

    #[test]
    fn tasks_that_are_ready_share_a_reading_and_nobody_waits_for_a_clock() {
        // A runtime without one: any wait for a time would panic.
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let (counting, gather) = counting();
            let gather = Arc::new(gather);
            let asking = (0..50).map(|key| {
                let gather = gather.clone();
                tokio::spawn(async move { gather.load_one(key % 10).await })
            });
            for (key, asked) in (0..50).zip(join_all(asking).await) {
                assert_eq!(asked.expect("no panic").expect("an answer"), Some(key % 10));
            }
            assert_eq!(counting.0.load(SeqCst), 1);
            // One event after the other, as who catches up reads them.
            for key in 0..50 {
                assert_eq!(gather.load_one(key).await.expect("an answer"), Some(key));
            }
            assert_eq!(counting.0.load(SeqCst), 51, "no answer is kept");
        });
    }

    #[tokio::test]
    async fn what_is_asked_while_reading_waits_for_its_turn_is_read_with_the_rest() {
        let (counting, share) = (Arc::<Counting>::default(), Share::new(1));
        let gather = Gather::new(counting.clone(), Some(share.clone()));
        let turn = share.turn().await;
        let mut first = Box::pin(gather.load_one(1));
        for _ in 0..10 {
            assert!(futures_util::poll!(&mut first).is_pending());
            tokio::task::yield_now().await;
        }
        let mut second = Box::pin(gather.load_one(2));
        assert!(futures_util::poll!(&mut second).is_pending());
        drop(turn);
        assert_eq!((first.await.expect("an answer"), second.await.expect("an answer")), (Some(1), Some(2)));
        assert_eq!(counting.0.load(SeqCst), 1);
    }

    #[tokio::test]
    async fn who_leaves_takes_no_answer_from_the_others_and_an_error_is_everybodys() {
        let (counting, gather) = counting();
        let mut leaving = Box::pin(gather.load_one(1));
        assert!(futures_util::poll!(&mut leaving).is_pending());
        drop(leaving);
        assert_eq!(gather.load_many([1, 2, 101]).await.expect("an answer"), HashMap::from([(1, 1), (2, 2)]));
        assert_eq!(gather.load_many(Vec::<u32>::new()).await.expect("an answer"), HashMap::new());
        assert_eq!(counting.0.load(SeqCst), 1);
        let failed = join_all([1, u32::MAX].map(|key| gather.load_one(key))).await;
        assert!(failed.into_iter().all(|one| one.is_err()));
        assert_eq!(gather.load_many(0..3_000).await.expect("an answer").len(), 101);
        assert_eq!(counting.0.load(SeqCst), 5, "three statements for 3,000 keys");
    }
}
