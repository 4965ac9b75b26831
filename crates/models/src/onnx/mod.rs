//! A user's ONNX sentence encoder as an [`Embedder`]: what stands in for our own encoder where that cannot run a model.
//! Only with the cargo feature `onnx`.
//!
//! The directory is one as sentence-transformers or optimum exports it. Its files decide everything, and what they ask for
//! beyond this is refused by its name:
//!
//! | file | | what it decides |
//! |---|---|---|
//! | `model.onnx`, else `onnx/model.onnx` | | the graph, with its weights in it or in files beside it |
//! | `tokenizer.json` | | any tokenizer of the `tokenizers` library |
//! | `modules.json`, `1_Pooling/config.json` | optional | the mean of all tokens or the first one's vector, where the graph does not pool |
//! | `sentence_bert_config.json` | optional | longest text; whether texts are put into small letters |
//! | `tokenizer_config.json` | optional | longest text where the file before does not say |
//! | `config.json` | optional | `max_position_embeddings`: longest text where neither says, and never more than that |
//! | `config_sentence_transformers.json` | optional | prompts before queries and documents |
//!
//! The graph takes `input_ids`, and `attention_mask` and `token_type_ids` if it wants them, each of any number of texts and
//! any length. It gives `sentence_embedding`, one vector per text, or else one per token: `last_hidden_state`,
//! `token_embeddings`, or its first output with three axes. Vectors always have length one, as those of our own encoder.
//!
//! All is read when the model is opened, and a text is run: the length of the vectors is known only then, and what is
//! wrong ends the process at its start. rten computes, in the lanes that our own encoder has too.

mod batch;
mod encode;
mod graph;
#[cfg(test)]
mod tests;
mod tokens;

use std::path::Path;
use std::sync::Arc;
use std::thread;

use anyhow::{Context, anyhow};
use async_trait::async_trait;
use encoder::Purpose as Prompted;

use self::encode::{ForPurpose, OnnxEncoder};
use crate::local::{Pool, panic_message};
use crate::{Embedded, Embedder, LocalOptions, ModelFault, Purpose, Readiness, Tokenize, count};

/// A sentence encoder from an ONNX file.
pub struct OnnxModel {
    name: String,
    dimensions: u32,
    longest_chunk: u32,
    encoder: Arc<OnnxEncoder>,
    pool: Pool,
}

impl OnnxModel {
    /// Reads and checks the graph and what belongs to it, runs it once, and starts the threads. The model's name is the
    /// directory's. This takes seconds for a large model. rten promises no end for every graph: the trial of one that is
    /// damaged, where its axes are told, can go on for ever.
    ///
    /// # Errors
    /// Where a file is missing, malformed, or not of a sentence encoder that can be run.
    pub fn open(dir: &Path, graph: &Path, name: &str, options: &LocalOptions) -> anyhow::Result<Self> {
        let mut encoder = load(dir, graph)?;
        encoder.prompts = options.prompts(encoder.prompts);
        let encoder = Arc::new(encoder);
        let dimensions = u32::try_from(encoder.dimensions())?;
        let longest_chunk = u32::try_from(encoder.room_for_document())?;
        let lane = |purpose| Arc::new(ForPurpose { encoder: Arc::clone(&encoder), purpose });
        let name = format!("local/{name}");
        let pool = Pool::start(&name, lane(Prompted::Query), lane(Prompted::Document), options.threads);
        let pool = pool.context("no threads to embed with")?;
        Ok(Self { name, dimensions, longest_chunk, encoder, pool })
    }
}

/// On a thread of its own, so that a panic of rten over a damaged file is an error like any other.
fn load(dir: &Path, graph: &Path) -> anyhow::Result<OnnxEncoder> {
    let file = graph.display();
    let thread = thread::Builder::new().name("embed-load".to_owned());
    let loaded = thread::scope(|scope| {
        let thread = thread.spawn_scoped(scope, || OnnxEncoder::load(dir, graph))?;
        thread.join().map_err(|panic| {
            let found = panic_message(panic.as_ref());
            anyhow!("{file}: found what rten panics at ({found}), expected the graph of a sentence encoder")
        })
    });
    Ok(loaded??)
}

#[async_trait]
impl Embedder for OnnxModel {
    fn model(&self) -> &str {
        &self.name
    }

    fn dimensions(&self) -> u32 {
        self.dimensions
    }

    fn longest_chunk(&self) -> Option<u32> {
        Some(self.longest_chunk)
    }

    async fn embed(&self, texts: Vec<String>, purpose: Purpose) -> Result<Vec<Embedded>, ModelFault> {
        let embedded = self.pool.embed(texts, purpose.into()).await?;
        count(&self.name, purpose, &embedded);
        Ok(embedded)
    }

    async fn tokenizer(&self) -> Result<Arc<dyn Tokenize>, ModelFault> {
        Ok(Arc::clone(&self.encoder) as Arc<dyn Tokenize>)
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }
}
