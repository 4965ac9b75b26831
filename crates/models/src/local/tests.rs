//! The pool, over an encoder that does as its texts say.

use std::pin::Pin;
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::encode::{Embedding, Encode};
use super::error::EmbedError;
use super::lane::CALLS_LIMIT;
use super::pool::{Pool, Priority};

/// Texts of [`Fake`], of 12 tokens each, in a pass of documents, and in one of queries.
const BULK_TEXTS: usize = 32;
const QUERY_TEXTS: usize = 5;

/// Tells the texts of each pass as it begins. A text that says `hold` keeps its thread until it is let go, and one that
/// says `panic` panics. The vector of a text is its length.
struct Fake {
    begun: UnboundedSender<Vec<String>>,
    go: Mutex<Receiver<()>>,
}

impl Encode for Fake {
    fn estimate(&self, text: &str) -> usize {
        if text.starts_with("long") { 1000 } else { 12 }
    }

    fn encode(&self, texts: &[String]) -> Vec<Embedding> {
        // A test that has ended listens no more.
        let _ = self.begun.send(texts.to_vec());
        for text in texts {
            if text == "hold" {
                let _ = self.go.lock().expect("nobody panics with this lock").recv();
            }
            assert!(!text.starts_with("panic"), "told to {text}");
        }
        texts.iter().map(|text| embedding(text)).collect()
    }
}

fn embedding(text: &str) -> Embedding {
    Embedding { vector: vec![text.len() as f32], tokens: 16, truncated: false }
}

/// A pool, the passes it begins, and what lets its held threads go: one by a message, all by its end.
struct Harness {
    pool: Pool,
    begun: UnboundedReceiver<Vec<String>>,
    go: mpsc::Sender<()>,
}

type Outcome = Result<Vec<Embedding>, EmbedError>;
type Call<'a> = Pin<Box<dyn Future<Output = Outcome> + 'a>>;

impl Harness {
    fn start(bulk_threads: usize) -> Self {
        let (tell, begun) = unbounded_channel();
        let (go, held) = mpsc::channel();
        let fake = Fake { begun: tell, go: Mutex::new(held) };
        let fake = Arc::new(fake);
        let pool = Pool::start("test", Arc::clone(&fake) as _, fake, bulk_threads).expect("the system gives threads");
        Self { pool, begun, go }
    }
}

fn owned(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

fn expected(texts: &[&str]) -> Outcome {
    Ok(texts.iter().map(|text| embedding(text)).collect())
}

/// A call that waits: its lane's threads must be held.
async fn waiting(pool: &Pool, texts: Vec<String>, priority: Priority) -> Call<'_> {
    let mut call: Call = Box::pin(pool.embed(texts, priority));
    assert!(is_pending(call.as_mut()).await, "the call did not wait");
    call
}

async fn is_pending(mut call: Pin<&mut (dyn Future<Output = Outcome> + '_)>) -> bool {
    std::future::poll_fn(|context| std::task::Poll::Ready(call.as_mut().poll(context).is_pending())).await
}

/// A call that holds a thread.
async fn hold<'a>(pool: &'a Pool, begun: &mut UnboundedReceiver<Vec<String>>, priority: Priority) -> Call<'a> {
    let call = waiting(pool, owned(&["hold"]), priority).await;
    assert_eq!(begun.recv().await, Some(owned(&["hold"])));
    call
}

#[tokio::test]
async fn a_query_begins_while_bulk_work_holds_every_bulk_thread() {
    let Harness { pool, mut begun, go } = Harness::start(1);
    let held = hold(&pool, &mut begun, Priority::Bulk).await;
    let bulk = waiting(&pool, owned(&["document"]), Priority::Bulk).await;
    assert_eq!(pool.embed(owned(&["query"]), Priority::Query).await, expected(&["query"]));
    drop(go);
    assert_eq!(held.await, expected(&["hold"]));
    assert_eq!(bulk.await, expected(&["document"]));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_system_lets_queries_run_before_bulk_work() {
    struct Niceness;
    impl Encode for Niceness {
        fn estimate(&self, _text: &str) -> usize {
            1
        }
        fn encode(&self, _texts: &[String]) -> Vec<Embedding> {
            let nice = rustix::process::getpriority_process(None).expect("a thread may ask this");
            vec![Embedding { vector: vec![nice as f32], tokens: 1, truncated: false }]
        }
    }
    let pool = Pool::start("test", Arc::new(Niceness), Arc::new(Niceness), 1).expect("the system gives threads");
    let niceness = async |priority| pool.embed(owned(&["a"]), priority).await.expect("it runs")[0].vector[0];
    let own = rustix::process::getpriority_process(None).expect("a thread may ask this") as f32;
    assert_eq!(niceness(Priority::Query).await, own);
    assert_eq!(niceness(Priority::Bulk).await, (own + 10.0).min(19.0));
}

#[tokio::test]
async fn texts_of_several_callers_that_wait_are_computed_in_one_pass_and_each_gets_its_own() {
    for (priority, threads) in [(Priority::Bulk, 1), (Priority::Query, 2)] {
        let Harness { pool, mut begun, go } = Harness::start(1);
        for _ in 1..threads {
            // Its thread stays held; only the call's future goes.
            drop(hold(&pool, &mut begun, priority).await);
        }
        let _held = hold(&pool, &mut begun, priority).await;
        let first = waiting(&pool, owned(&["a", "bb"]), priority).await;
        let second = waiting(&pool, owned(&["ccc"]), priority).await;
        go.send(()).expect("a thread is held");
        assert_eq!(second.await, expected(&["ccc"]));
        assert_eq!(first.await, expected(&["a", "bb"]));
        assert_eq!(begun.recv().await, Some(owned(&["a", "bb", "ccc"])), "{priority:?}");
        drop(go);
    }
}

#[tokio::test]
async fn a_pass_takes_what_fits_and_at_least_one_text_and_a_call_comes_back_in_order() {
    for (priority, fits) in [(Priority::Bulk, BULK_TEXTS), (Priority::Query, QUERY_TEXTS)] {
        let Harness { pool, mut begun, go: _go } = Harness::start(2);
        let mut texts: Vec<String> = (0..100).map(|index| "x".repeat(index)).collect();
        texts.insert(1, "long".to_owned());
        let expected = texts.iter().map(|text| embedding(text)).collect();
        assert_eq!(pool.embed(texts.clone(), priority).await, Ok(expected));
        drop(pool);
        let mut passes = Vec::new();
        while let Some(pass) = begun.recv().await {
            passes.push(pass);
        }
        // Two threads tell them in any order.
        passes.sort_by_key(|pass| texts.iter().position(|text| *text == pass[0]));
        let lengths: Vec<_> = passes.iter().map(Vec::len).collect();
        let rest = std::iter::repeat_n(fits, 99 / fits).chain((99 % fits > 0).then_some(99 % fits));
        assert_eq!(lengths, [1, 1].into_iter().chain(rest).collect::<Vec<_>>(), "{priority:?}");
    }
}

#[tokio::test]
async fn one_call_occupies_as_many_threads_as_it_has_work_for() {
    let Harness { pool, mut begun, go } = Harness::start(3);
    let texts = (0..3 * BULK_TEXTS).map(|index| if index % BULK_TEXTS == 0 { "hold" } else { "x" }.to_owned());
    let call = waiting(&pool, texts.collect(), Priority::Bulk).await;
    for _ in 0..3 {
        begun.recv().await.expect("each pass begins while the others are held");
    }
    drop(go);
    assert_eq!(call.await.map(|embeddings| embeddings.len()), Ok(3 * BULK_TEXTS));
}

#[tokio::test]
async fn a_caller_with_many_texts_does_not_starve_another_one() {
    let Harness { pool, mut begun, go } = Harness::start(1);
    let _held = hold(&pool, &mut begun, Priority::Bulk).await;
    let mut many = waiting(&pool, vec!["many".to_owned(); 10_000], Priority::Bulk).await;
    let few = waiting(&pool, owned(&["few"]), Priority::Bulk).await;
    drop(go);
    assert_eq!(few.await, expected(&["few"]));
    assert_eq!(begun.recv().await, Some(vec!["many".to_owned(); BULK_TEXTS]));
    let second = begun.recv().await.expect("a second pass");
    assert_eq!((second.len(), &second[0][..], &second[1][..]), (BULK_TEXTS, "few", "many"));
    assert_eq!(many.as_mut().await.map(|embeddings| embeddings.len()), Ok(10_000));
}

#[tokio::test]
async fn of_a_pass_that_panics_only_the_call_at_fault_fails_and_the_thread_lives_on() {
    let Harness { pool, mut begun, go } = Harness::start(1);
    let _held = hold(&pool, &mut begun, Priority::Bulk).await;
    let before = waiting(&pool, owned(&["a", "b"]), Priority::Bulk).await;
    let faulty = waiting(&pool, owned(&["fine", "panic 7"]), Priority::Bulk).await;
    let after = waiting(&pool, owned(&["cc"]), Priority::Bulk).await;
    drop(go);
    assert_eq!(faulty.await, Err(EmbedError::Panicked("told to panic 7".to_owned())));
    assert_eq!(before.await, expected(&["a", "b"]));
    assert_eq!(after.await, expected(&["cc"]));
    let alone = pool.embed(owned(&["panic 8"]), Priority::Bulk).await;
    assert_eq!(alone, Err(EmbedError::Panicked("told to panic 8".to_owned())));
    assert_eq!(pool.embed(owned(&["d"]), Priority::Bulk).await, expected(&["d"]));
    for pass in [
        &["a", "b", "fine", "panic 7", "cc"][..],
        &["a", "b"],
        &["fine", "panic 7"],
        &["cc"],
        // A call that was alone is not tried again.
        &["panic 8"],
        &["d"],
    ] {
        assert_eq!(begun.recv().await, Some(owned(pass)));
    }
}

#[tokio::test]
async fn texts_of_a_caller_who_has_left_are_not_computed() {
    let Harness { pool, mut begun, go } = Harness::start(1);
    let _held = hold(&pool, &mut begun, Priority::Bulk).await;
    let left = waiting(&pool, owned(&["left"]), Priority::Bulk).await;
    let stays = waiting(&pool, owned(&["stays"]), Priority::Bulk).await;
    drop(left);
    drop(go);
    assert_eq!(stays.await, expected(&["stays"]));
    assert_eq!(begun.recv().await, Some(owned(&["stays"])));
}

#[tokio::test]
async fn a_caller_who_leaves_in_the_middle_costs_no_more_than_the_pass_that_runs() {
    let Harness { pool, mut begun, go } = Harness::start(1);
    let mut texts = vec!["x".to_owned(); 10_000];
    texts[0] = "hold".to_owned();
    let call = waiting(&pool, texts, Priority::Bulk).await;
    assert_eq!(begun.recv().await.map(|pass| pass.len()), Some(BULK_TEXTS));
    drop(call);
    drop(go);
    assert_eq!(pool.embed(owned(&["next"]), Priority::Bulk).await, expected(&["next"]));
    assert_eq!(begun.recv().await, Some(owned(&["next"])));
}

#[tokio::test]
async fn a_full_lane_makes_its_callers_wait_and_leaves_the_other_open() {
    let Harness { pool, mut begun, go } = Harness::start(1);
    let _held = hold(&pool, &mut begun, Priority::Bulk).await;
    let mut calls = Vec::new();
    for _ in 0..CALLS_LIMIT {
        calls.push(waiting(&pool, owned(&["a"]), Priority::Bulk).await);
    }
    let beyond = waiting(&pool, owned(&["beyond"]), Priority::Bulk).await;
    assert_eq!(pool.embed(owned(&["query"]), Priority::Query).await, expected(&["query"]));
    assert_eq!(begun.recv().await, Some(owned(&["query"])));
    drop(go);
    for call in calls {
        assert_eq!(call.await, expected(&["a"]));
    }
    assert_eq!(beyond.await, expected(&["beyond"]));
    // Two passes of those in the lane; the call beyond came too late for either.
    for pass in [vec!["a".to_owned(); BULK_TEXTS], vec!["a".to_owned(); BULK_TEXTS], owned(&["beyond"])] {
        assert_eq!(begun.recv().await, Some(pass));
    }
}

#[tokio::test]
async fn dropping_the_pool_ends_its_threads_without_computing_what_waits() {
    let Harness { pool, mut begun, go } = Harness::start(1);
    drop(hold(&pool, &mut begun, Priority::Bulk).await);
    drop(waiting(&pool, owned(&["waits"]), Priority::Bulk).await);
    let ending = std::thread::spawn(move || drop(pool));
    drop(go);
    assert_eq!(begun.recv().await, None, "the encoder, and with it the channel, goes with the last thread");
    ending.join().expect("nothing panics");
}

#[tokio::test]
async fn a_lane_tells_what_waits_how_long_and_what_its_passes_held() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let Harness { pool, mut begun, go } = metrics::with_local_recorder(&recorder, || Harness::start(1));
    let told = |series: &str| {
        let metrics = recorder.handle().render();
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("vectorforge_embedding_{series} ")));
        line.map(|value| value.parse::<f64>().expect("a number"))
    };
    assert_eq!(told("waiting_texts{model=\"test\",lane=\"query\"}"), Some(0.0), "it is told while it is empty");
    let _held = hold(&pool, &mut begun, Priority::Bulk).await;
    let call = waiting(&pool, owned(&["a", "b"]), Priority::Bulk).await;
    let since = std::time::Instant::now();
    assert_eq!(told("waiting_texts{model=\"test\",lane=\"bulk\"}"), Some(2.0));
    let waited = since.elapsed();
    drop(go);
    call.await.expect("it runs");
    assert_eq!(told("waiting_texts{model=\"test\",lane=\"bulk\"}"), Some(0.0));
    assert_eq!(told("wait_seconds_count{model=\"test\",lane=\"bulk\"}"), Some(2.0));
    assert!(told("wait_seconds_sum{model=\"test\",lane=\"bulk\"}") >= Some(waited.as_secs_f64()));
    assert_eq!(
        told("pass_tokens_sum{model=\"test\",lane=\"bulk\"}"),
        Some(48.0),
        "16 of the one held, twice 16 of the call"
    );
    assert!(told("pass_duration_seconds_sum{model=\"test\",lane=\"bulk\"}") >= Some(waited.as_secs_f64()));
    assert_eq!(told("pass_duration_seconds_count{model=\"test\",lane=\"query\"}"), Some(0.0));
}
