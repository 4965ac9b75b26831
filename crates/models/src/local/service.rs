//! The embedder the rest of the program talks to: async at the front, its own threads at the back.

use std::panic::catch_unwind;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Builder;
use std::time::Instant;

use encoder::{Model, Precision, Prompts, Purpose};
use tokio::sync::watch;

use super::encode::{Embedding, Reading};
use super::error::{EmbedError, panic_message};
use super::pool::{Pool, Priority};

/// What a local embedder is doing about its model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nothing was embedded yet; the first call loads the model.
    Unloaded,
    /// The model is being read and checked.
    Loading,
    /// The model is in memory.
    Ready {
        /// Milliseconds that loading took.
        load_ms: u64,
    },
    /// The last attempt to load failed for this reason; the next call tries again.
    Failed(String),
}

#[derive(Clone)]
enum Slot {
    Unloaded,
    Loading,
    Ready { loaded: Arc<Loaded>, load_ms: u64 },
    Failed(String),
}

/// A model with the threads that run it.
struct Loaded {
    model: Arc<Model>,
    pool: Pool,
}

/// What a local embedder loads.
#[derive(Debug, Clone)]
pub struct ModelSource {
    /// Its name in metrics.
    pub name: String,
    /// The model's directory.
    pub dir: PathBuf,
    /// How exactly it computes.
    pub precision: Precision,
    /// What stands before texts of each purpose.
    pub prompts: Prompts,
}

/// Embeds texts with the model of a directory, on threads of its own.
///
/// The model is loaded once, at the first call, and its threads are started with it. Dropping the embedder ends them, after
/// the passes they are at.
pub struct LocalEmbedder {
    source: ModelSource,
    threads: usize,
    slot: Arc<watch::Sender<Slot>>,
}

impl LocalEmbedder {
    /// For that model, with so many threads for bulk work (zero is taken as one) and one more for queries.
    /// Reads and starts nothing yet.
    #[must_use]
    pub fn new(source: ModelSource, threads: usize) -> Self {
        Self { source, threads, slot: Arc::new(watch::Sender::new(Slot::Unloaded)) }
    }

    /// What this embeds with.
    #[must_use]
    pub fn source(&self) -> &ModelSource {
        &self.source
    }

    /// What the embedder is doing about its model, at this moment.
    #[must_use]
    pub fn state(&self) -> State {
        match &*self.slot.borrow() {
            Slot::Unloaded => State::Unloaded,
            Slot::Loading => State::Loading,
            Slot::Ready { load_ms, .. } => State::Ready { load_ms: *load_ms },
            Slot::Failed(reason) => State::Failed(reason.clone()),
        }
    }

    /// One embedding per text, in the order given. Waits while many other calls of this priority do; dropping the future
    /// cancels what has not begun.
    ///
    /// # Errors
    /// When the model cannot be loaded, or the computation panics.
    pub async fn embed(&self, texts: Vec<String>, priority: Priority) -> Result<Vec<Embedding>, EmbedError> {
        self.loaded().await?.pool.embed(texts, priority).await
    }

    /// The model, loaded if it is not. Callers that come while it is loading share the outcome.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn model(&self) -> Result<Arc<Model>, EmbedError> {
        Ok(Arc::clone(&self.loaded().await?.model))
    }

    async fn loaded(&self) -> Result<Arc<Loaded>, EmbedError> {
        let mut slot = self.slot.subscribe();
        self.load_unless_loaded();
        let settled = slot.wait_for(|slot| !matches!(slot, Slot::Unloaded | Slot::Loading)).await;
        match settled.map_err(|_| EmbedError::Stopped)?.clone() {
            Slot::Ready { loaded, .. } => Ok(loaded),
            Slot::Failed(reason) => Err(EmbedError::Load(reason)),
            Slot::Unloaded | Slot::Loading => Err(EmbedError::Stopped),
        }
    }

    fn load_unless_loaded(&self) {
        let begin = |slot: &mut Slot| {
            let idle = matches!(slot, Slot::Unloaded | Slot::Failed(_));
            if idle {
                *slot = Slot::Loading;
            }
            idle
        };
        if !self.slot.send_if_modified(begin) {
            return;
        }
        let (source, threads, slot) = (self.source.clone(), self.threads, Arc::clone(&self.slot));
        let load = move || slot.send_replace(load(source, threads));
        let thread = Builder::new().name("embed-load".to_owned()).spawn(load);
        if let Err(cause) = thread {
            self.slot.send_replace(Slot::Failed(format!("no thread to load with: {cause}")));
        }
    }
}

/// Whatever happens while loading ends in a slot, so that nobody waits for ever.
fn load(source: ModelSource, threads: usize) -> Slot {
    let began = Instant::now();
    let model = match catch_unwind(|| Model::load(&source.dir, source.precision)) {
        Ok(Ok(model)) => Arc::new(model.with_prompts(source.prompts.clone())),
        Ok(Err(error)) => return Slot::Failed(error.to_string()),
        Err(panic) => return Slot::Failed(format!("loading panicked: {}", panic_message(panic.as_ref()))),
    };
    let reading = |purpose| Arc::new(Reading { model: Arc::clone(&model), purpose });
    match Pool::start(&source.name, reading(Purpose::Query), reading(Purpose::Document), threads) {
        Ok(pool) => {
            let load_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
            Slot::Ready { loaded: Arc::new(Loaded { model, pool }), load_ms }
        }
        Err(cause) => Slot::Failed(format!("no threads to embed with: {cause}")),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use encoder::testing::{TinyModel, cosine, model_dir};

    use super::*;

    fn embedder(dir: &Path) -> LocalEmbedder {
        let (precision, prompts) = (Precision::F32, Prompts::default());
        LocalEmbedder::new(ModelSource { name: "test".to_owned(), dir: dir.into(), precision, prompts }, 2)
    }

    #[tokio::test]
    async fn the_prompt_of_a_purpose_stands_before_its_texts_and_their_precision_is_the_one_asked_for() {
        let prompts = Prompts { query: "query: ".to_owned(), document: "passage: ".to_owned() };
        let source = ModelSource { name: "test".to_owned(), dir: model_dir(), precision: Precision::Bf16, prompts };
        let (prompted, plain) = (LocalEmbedder::new(source, 1), embedder(&model_dir()));
        assert_eq!(prompted.model().await.expect("the model is whole").precision(), Precision::Bf16);
        for (priority, whole) in [(Priority::Query, "query: a ferry"), (Priority::Bulk, "passage: a ferry")] {
            let found = prompted.embed(vec!["a ferry".to_owned()], priority).await.expect("the model is whole");
            let texts = vec![whole.to_owned(), "a ferry".to_owned()];
            let expected = plain.embed(texts, priority).await.expect("the model is whole");
            assert_eq!(found[0].tokens, expected[0].tokens);
            assert!(cosine(&found[0].vector, &expected[0].vector) > 0.9999, "{whole}");
            assert!(cosine(&found[0].vector, &expected[1].vector) < 0.99, "{whole}");
            assert_ne!(found[0].vector, expected[0].vector, "rounded vectors are not the exact ones");
        }
    }

    #[tokio::test]
    async fn texts_come_back_in_order_with_their_tokens() {
        let embedder = embedder(&model_dir());
        let texts: Vec<String> = (0..40).map(|i| "word ".repeat(i * 31 % 300)).collect();
        let embeddings = embedder.embed(texts.clone(), Priority::Bulk).await.expect("the model is whole");
        assert_eq!(embeddings.len(), texts.len());
        for (text, embedding) in texts.iter().zip(&embeddings) {
            let words = text.len() / "word ".len();
            assert_eq!((embedding.tokens as usize, embedding.truncated), (words.min(254) + 2, words > 254));
        }
        let alone = embedder.embed(vec![texts[7].clone()], Priority::Query).await.expect("the model is whole");
        assert!(cosine(&alone[0].vector, &embeddings[7].vector) > 0.99999);
    }

    #[tokio::test]
    async fn the_model_is_loaded_once_at_the_first_call() {
        let files = TinyModel::new();
        let embedder = embedder(files.dir());
        assert_eq!(embedder.state(), State::Unloaded);
        let (first, second) = tokio::join!(embedder.model(), embedder.model());
        let (first, second) = (first.expect("the model is whole"), second.expect("the model is whole"));
        assert!(Arc::ptr_eq(&first, &second));
        assert!(matches!(embedder.state(), State::Ready { .. }));

        files.remove("config.json");
        let embeddings = embedder.embed(vec!["a".to_owned()], Priority::Query).await.expect("nothing is read again");
        assert_eq!(embeddings[0].vector.len(), 8);
        assert_eq!(embedder.embed(Vec::new(), Priority::Bulk).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn loading_is_a_state_that_can_be_seen() {
        let files = TinyModel::new();
        let embedder = embedder(files.dir());
        let mut states = embedder.slot.subscribe();
        embedder.load_unless_loaded();
        assert_ne!(embedder.state(), State::Unloaded);
        states.wait_for(|slot| matches!(slot, Slot::Ready { .. })).await.expect("the embedder lives");
    }

    #[tokio::test]
    async fn after_a_failed_load_the_next_call_tries_again() {
        let files = TinyModel::new();
        let config = std::fs::read(files.path("config.json")).expect("the file is there");
        files.remove("config.json");
        let embedder = embedder(files.dir());
        let texts = vec!["a".to_owned()];
        let failed = embedder.embed(texts.clone(), Priority::Query).await;
        let Err(EmbedError::Load(reason)) = failed else { panic!("{failed:?}") };
        assert!(reason.starts_with("cannot read ") && reason.contains("config.json"), "{reason}");
        assert_eq!(embedder.state(), State::Failed(reason));

        files.write("config.json", config);
        assert_eq!(embedder.embed(texts, Priority::Query).await.map(|embeddings| embeddings.len()), Ok(1));
    }
}
