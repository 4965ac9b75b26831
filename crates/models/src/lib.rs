//! Models. Embedders: texts become vectors. One trait, one registry; a collection's embedding space names the model that
//! makes its vectors. Knows no documents, no jobs and no database.

mod fault;
pub mod local;
mod local_model;
mod model_dir;
#[cfg(feature = "onnx")]
mod onnx;

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use metrics::counter;

use self::local::Priority;

pub use fault::ModelFault;
pub use local::Embedding as Embedded;
pub use local_model::{LocalModel, LocalOptions};
pub use model_dir::open_model_dir;

/// Why a text is embedded: queries go before bulk work, and some models embed them differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Someone waits for the answer.
    Query,
    /// Part of a document.
    Document,
}

/// Whether an embedder can work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Readiness {
    /// Not needed yet; the first use makes it ready.
    Idle,
    /// Getting ready.
    Loading,
    /// Ready.
    Ready,
    /// The last attempt to get ready failed; the next use tries again.
    Failed(String),
}

/// Splits texts as the model does, for counting.
pub trait Tokenize: Send + Sync {
    /// Byte ranges of the tokens of a text, in order, without special tokens and truncation.
    fn offsets(&self, text: &str) -> Vec<(usize, usize)>;
}

/// A model that makes vectors.
#[async_trait]
pub trait Embedder: Send + Sync + 'static {
    /// Its name, as spaces remember it.
    fn model(&self) -> &str;

    /// Length of its vectors.
    fn dimensions(&self) -> u32;

    /// One embedding per text, in order. Texts longer than the model reads are cut off at its limit.
    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Embedded>, ModelFault>;

    /// Its tokenizer.
    async fn tokenizer(&self) -> Result<Arc<dyn Tokenize>, ModelFault>;

    /// Whether new collections may choose it. Those that have it are served in any case.
    fn is_offered(&self) -> bool {
        true
    }

    /// Most tokens of a chunk of which none is left out; `None` where that is not known here.
    fn longest_chunk(&self) -> Option<u32> {
        None
    }

    /// Whether it can work.
    fn readiness(&self) -> Readiness;
}

impl From<Purpose> for Priority {
    fn from(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Query => Self::Query,
            Purpose::Document => Self::Bulk,
        }
    }
}

/// Counts what a model has embedded.
fn count(model: &str, purpose: Purpose, embedded: &[Embedded]) {
    let purpose = match purpose {
        Purpose::Query => "query",
        Purpose::Document => "document",
    };
    let counter = |name| counter!(name, "model" => model.to_owned(), "purpose" => purpose);
    let truncated = embedded.iter().filter(|one| one.truncated).count();
    counter("vectorforge_embedding_tokens_total").increment(embedded.iter().map(|one| u64::from(one.tokens)).sum());
    counter("vectorforge_embedding_texts_total").increment(embedded.len() as u64);
    counter("vectorforge_embedding_truncated_texts_total").increment(truncated as u64);
}

/// The embedders of this process by model name.
#[derive(Clone, Default)]
pub struct Embedders {
    by_model: BTreeMap<String, Arc<dyn Embedder>>,
    default: Option<String>,
}

/// The provider in a model's name: what stands before its first slash.
pub fn provider_of(model: &str) -> &str {
    model.split_once('/').map_or(model, |(provider, _)| provider)
}

impl Embedders {
    /// With one more; the first is the default of new collections.
    #[must_use]
    pub fn with(mut self, embedder: Arc<dyn Embedder>) -> Self {
        let model = embedder.model().to_owned();
        self.default.get_or_insert_with(|| model.clone());
        self.by_model.insert(model, embedder);
        self
    }

    /// The default of new collections.
    pub fn default_embedder(&self) -> Option<&Arc<dyn Embedder>> {
        self.by_model.get(self.default.as_ref()?)
    }

    /// The names of all, in order.
    pub fn models(&self) -> Vec<&str> {
        self.by_model.keys().map(String::as_str).collect()
    }

    /// Those that new collections may choose, in the order of their names.
    pub fn offered(&self) -> impl Iterator<Item = &Arc<dyn Embedder>> {
        self.iter().filter(|embedder| embedder.is_offered())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Embedder>> {
        self.by_model.values()
    }

    /// The one of that name, if this process has it.
    pub fn find(&self, model: &str) -> Option<&Arc<dyn Embedder>> {
        self.by_model.get(model)
    }

    /// The one that made a space's vectors, or an error that says that this process does not have it.
    pub fn get(&self, model: &str) -> Result<&Arc<dyn Embedder>, ModelFault> {
        self.find(model).ok_or_else(|| {
            let known = self.models().join(", ");
            ModelFault::Unavailable(anyhow::anyhow!("model `{model}` is not configured; known: {known}"))
        })
    }
}
