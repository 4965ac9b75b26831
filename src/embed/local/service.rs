//! The embedder the rest of the program talks to: async at the front, its own threads at the back.

use std::io;
use std::num::NonZero;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, Builder};
use std::time::Instant;

use encoder::{Model, Precision};
use tokio::sync::watch;

use super::error::EmbedError;
use super::pool::{Pool, Priority, panic_message};

/// Estimated tokens per piece of work handed to a thread, about a tenth of a second of computing: long enough to use the
/// weights often per pass, and short enough that a query behind it need not wait long and that threads finish together.
const SHARE_TOKENS: usize = 512;

/// Bytes of text per token, for the estimate only. English has four to five; other scripts and code have fewer.
const BYTES_PER_TOKEN: usize = 4;

/// One text's vector and what became of the text.
#[derive(Debug, Clone, PartialEq)]
pub struct Embedding {
    /// The direction of the text: `hidden_size` numbers, of length one.
    pub vector: Vec<f32>,
    /// Tokens the model saw, special tokens included.
    pub tokens: u32,
    /// Whether the end of the text was left out because the model sees no more.
    pub truncated: bool,
}

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
    Ready { model: Arc<Model>, load_ms: u64 },
    Failed(String),
}

/// Embeds texts with the model of a directory, on threads of its own.
///
/// The model is loaded once, at the first call. Dropping the embedder ends its threads, after the pieces of work they
/// are at.
pub struct LocalEmbedder {
    dir: PathBuf,
    pool: Pool,
    slot: Arc<watch::Sender<Slot>>,
}

impl LocalEmbedder {
    /// Starts so many threads for bulk work (one per processor core where not given) and one for queries, and reads
    /// nothing yet.
    ///
    /// # Errors
    /// When the system gives no more threads.
    pub fn start(dir: impl Into<PathBuf>, threads: Option<NonZero<usize>>) -> io::Result<Self> {
        let cores = || thread::available_parallelism().map_or(1, NonZero::get);
        let threads = threads.map_or_else(cores, NonZero::get);
        Ok(Self { dir: dir.into(), pool: Pool::start(threads)?, slot: Arc::new(watch::Sender::new(Slot::Unloaded)) })
    }

    /// The directory whose model this embeds with.
    #[must_use]
    pub fn model_dir(&self) -> &Path {
        &self.dir
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

    /// One embedding per text, in the order given. Waits while much other work of this priority is queued; dropping the
    /// future cancels what has not begun.
    ///
    /// # Errors
    /// When the model cannot be loaded, or the computation panics.
    pub async fn embed(&self, texts: Vec<String>, priority: Priority) -> Result<Vec<Embedding>, EmbedError> {
        let model = self.model().await?;
        let mut embeddings = Vec::with_capacity(texts.len());
        let mut tickets = Vec::new();
        for share in shares(texts, model.config().max_tokens) {
            let model = Arc::clone(&model);
            tickets.push(self.pool.submit(priority, move || embed_share(&model, &share)).await?);
        }
        for ticket in tickets {
            embeddings.extend(ticket.outcome().await?);
        }
        Ok(embeddings)
    }

    /// The model, loaded if it is not. Callers that come while it is loading share the outcome.
    ///
    /// # Errors
    /// When it cannot be loaded.
    pub async fn model(&self) -> Result<Arc<Model>, EmbedError> {
        let mut slot = self.slot.subscribe();
        self.load_unless_loaded();
        let settled = slot.wait_for(|slot| !matches!(slot, Slot::Unloaded | Slot::Loading)).await;
        match settled.map_err(|_| EmbedError::Stopped)?.clone() {
            Slot::Ready { model, .. } => Ok(model),
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
        let (dir, slot) = (self.dir.clone(), Arc::clone(&self.slot));
        let thread = Builder::new().name("embed-load".to_owned()).spawn(move || slot.send_replace(load(&dir)));
        if let Err(cause) = thread {
            self.slot.send_replace(Slot::Failed(format!("no thread to load with: {cause}")));
        }
    }
}

/// Whatever happens while loading ends in a slot, so that nobody waits for ever.
fn load(dir: &Path) -> Slot {
    let begun = Instant::now();
    match catch_unwind(|| Model::load(dir, Precision::F32)) {
        Ok(Ok(model)) => {
            let load_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            Slot::Ready { model: Arc::new(model), load_ms }
        }
        Ok(Err(error)) => Slot::Failed(error.to_string()),
        Err(panic) => Slot::Failed(format!("loading panicked: {}", panic_message(panic.as_ref()))),
    }
}

fn embed_share(model: &Model, texts: &[String]) -> Vec<Embedding> {
    let tokens: Vec<_> = texts.iter().map(|text| model.tokenizer().encode(text)).collect();
    let vectors = model.embed(&tokens);
    let pairs = vectors.into_iter().zip(tokens);
    pairs
        .map(|(vector, tokens)| Embedding {
            vector,
            // At most `max_tokens`, which is far below.
            tokens: u32::try_from(tokens.ids().len()).unwrap_or(u32::MAX),
            truncated: tokens.truncated(),
        })
        .collect()
}

/// Splits texts into pieces of work of about `SHARE_TOKENS`, in order. Their lengths may be mixed: nothing is padded, so
/// sorting would gain nothing.
fn shares(texts: Vec<String>, max_tokens: usize) -> Vec<Vec<String>> {
    let mut shares: Vec<Vec<String>> = Vec::new();
    let mut room = 0;
    for text in texts {
        let tokens = (text.len() / BYTES_PER_TOKEN).min(max_tokens) + 1;
        match shares.last_mut() {
            Some(share) if tokens <= room => {
                room -= tokens;
                share.push(text);
            }
            _ => {
                room = SHARE_TOKENS.saturating_sub(tokens);
                shares.push(vec![text]);
            }
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use encoder::testing::{TinyModel, cosine, model_dir};

    use super::*;

    fn start(dir: &Path) -> LocalEmbedder {
        LocalEmbedder::start(dir, NonZero::new(2)).expect("the system gives threads")
    }

    #[tokio::test]
    async fn texts_come_back_in_order_with_their_tokens() {
        let embedder = start(&model_dir());
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
        let embedder = start(files.dir());
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
        let embedder = start(files.dir());
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
        let embedder = start(files.dir());
        let texts = vec!["a".to_owned()];
        let failed = embedder.embed(texts.clone(), Priority::Query).await;
        let Err(EmbedError::Load(reason)) = failed else { panic!("{failed:?}") };
        assert!(reason.starts_with("cannot read ") && reason.contains("config.json"), "{reason}");
        assert_eq!(embedder.state(), State::Failed(reason));

        files.write("config.json", config);
        assert_eq!(embedder.embed(texts, Priority::Query).await.map(|embeddings| embeddings.len()), Ok(1));
    }

    #[test]
    fn shares_keep_the_order_and_stay_near_their_size() {
        let texts: Vec<String> = (0..100).map(|i| "x".repeat(i * 97 % 5000)).collect();
        let shares = shares(texts.clone(), 256);
        assert_eq!(shares.concat(), texts);
        for share in &shares {
            let tokens: usize = share.iter().map(|text| (text.len() / BYTES_PER_TOKEN).min(256)).sum();
            assert!(!share.is_empty() && tokens <= SHARE_TOKENS, "{tokens} tokens in one share");
        }
    }
}
