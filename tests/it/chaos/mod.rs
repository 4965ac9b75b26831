//! A thousand mixed jobs over four worker processes, while workers are killed, connections dropped, PostgreSQL stopped
//! and killed, and jobs cancelled and redriven. At the end everything is as if nothing had happened.
//!
//! What is done, and when, follows from a seed: always the same one, unless `VECTORFORGE_CHAOS_SEED` names another.
//! `make chaos` repeats it with seeds of chance.

mod truth;
mod world;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use serde_json::json;
use uuid::Uuid;
use vectorforge::queue::NewJob;
use vectorforge::queue::steer::Steering;

use crate::support::gql::id;
use crate::support::kinds::{CRASH, FLAKY, LEDGER_KIND, NOOP, POISON};
use world::World;

/// The variable that names another seed.
const SEED: &str = "VECTORFORGE_CHAOS_SEED";
/// Any would do: a run is then like the one before.
const USUAL_SEED: u32 = 10;

/// Jobs of each kind: a thousand with the documents.
const JOBS: [(&str, usize); 5] = [(NOOP, 250), (LEDGER_KIND, 380), (FLAKY, 100), (POISON, 60), (CRASH, 10)];
/// Documents of one chunk, and of as many as take several batches.
const DOCUMENTS: [(usize, usize); 2] = [(1, 150), (11, 50)];
/// Chunks per batch.
const BATCH_SIZE: usize = 4;
/// Documents of a call.
const DOCUMENTS_PER_RUN: usize = 40;
/// Longest work of a ledger's step.
const PAUSE_MS: u64 = 60;

/// Jobs that have ended, in per cent, when PostgreSQL is stopped, and when it is killed.
const RESTARTS_AT: [usize; 2] = [25, 60];
/// Workers that are killed from outside, spread over the work; more would only take longer.
const KILLS: usize = 30;

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_jobs_end_well_whatever_is_killed_meanwhile() {
    let seed: u32 = std::env::var(SEED).map_or(USUAL_SEED, |seed| seed.parse().expect("a number of 32 bits"));
    println!("{SEED}={seed}");
    let mut rng = StdRng::seed_from_u64(u64::from(seed));
    let mut world = World::begin(&[("embedding.batch_size", BATCH_SIZE)]).await;
    let total = fill(&world, &mut rng).await;
    assert_eq!(total, 1_000);

    world.start_workers();
    let (mut restarts, mut kills) = (RESTARTS_AT.into_iter().peekable(), 0);
    loop {
        let ended = world.ended().await;
        if ended == total {
            break;
        }
        world.look().await;
        if restarts.next_if(|percent| ended * 100 >= total * percent).is_some() {
            match restarts.peek() {
                Some(_) => world.stop_database().await,
                None => world.kill_database().await,
            }
        } else if kills * total < ended * KILLS || (kills < KILLS && rng.random_bool(0.2)) {
            kills += 1;
            world.kill_worker(rng.random_range(0..world::WORKERS));
        } else if rng.random_bool(0.3) {
            world.drop_connections(rng.random_range(1..=4)).await;
        }
        if rng.random_bool(0.4) {
            let (running, finished) = world.steerable().await;
            let some = |rng: &mut StdRng, of: &[Uuid]| of.sample(rng, 4).copied().collect::<Vec<_>>();
            world.steer(some(&mut rng, &running), Steering::Cancel).await;
            world.steer(some(&mut rng, &finished), Steering::Retry { attempts: world::ATTEMPTS }).await;
        }
        // Not a wait for anything: kills must come at any moment.
        tokio::time::sleep(std::time::Duration::from_millis(rng.random_range(20..300))).await;
    }
    assert_eq!(restarts.next(), None, "the work was done before both restarts");
    assert!(kills > KILLS / 2, "the work was done after {kills} kills");
    println!("{world}, {kills} workers killed");
    truth::check(&world).await;
}

/// Enqueues everything; gives how many jobs that makes.
async fn fill(world: &World, rng: &mut StdRng) -> usize {
    let chunking = json!({ "name": "docs", "chunking": { "size": 4, "overlap": 0 } });
    let collection = world.app.collection_with(chunking).await;
    let sizes = DOCUMENTS.iter().flat_map(|(chunks, count)| std::iter::repeat_n(*chunks, *count));
    let documents: Vec<_> = sizes.enumerate().map(|(n, chunks)| document(n, chunks)).collect();
    for run in documents.chunks(DOCUMENTS_PER_RUN) {
        assert!(!id(&world.app.ingest(&collection, run.to_vec().into()).await["run"]).is_empty());
    }
    let kinds = JOBS.iter().flat_map(|(kind, count)| std::iter::repeat_n(*kind, *count));
    let job = |kind| {
        let payload = json!({ "pause_ms": rng.random_range(0..PAUSE_MS) });
        NewJob::new("ingest", kind, (1, payload), world::ATTEMPTS, world.app.app.now())
    };
    let jobs: Vec<_> = kinds.map(job).collect();
    let total = documents.len() + jobs.len();
    world.enqueue(jobs).await;
    total
}

/// The words of a document tell how many chunks it has.
fn document(number: usize, chunks: usize) -> serde_json::Value {
    let words: Vec<_> = (0..chunks * 4).map(|word| format!("d{number}w{word}")).collect();
    json!({ "title": chunks.to_string(), "source": { "text": words.join(" ") } })
}
