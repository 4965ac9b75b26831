//! The local sentence embedder: a BERT encoder such as all-MiniLM-L6-v2, run on the processor by code of our own.
//!
//! A model directory holds `config.json`, `tokenizer.json` and `model.safetensors` (and, where the model has them,
//! `sentence_bert_config.json` and `1_Pooling/config.json`). A text takes this way through the room:
//!
//! 1. [`service`](LocalEmbedder) loads the model at the first call, splits the texts into shares and queues them in a
//!    `pool` of threads, queries before bulk work;
//! 2. [`tokenizer`](Tokenizer) turns a text into at most `max_tokens` ids, special tokens included;
//! 3. [`model`](Model) lays the ids of many texts end to end, without padding, and sends them through the `encoder`;
//! 4. the mean over a text's tokens, scaled to length one, is its vector.
//!
//! The numbers live in three files: `gemm` (matrix products), `ops` (everything else on rows) and `weights`
//! (reading and checking the file). This room knows no database, no HTTP and no setting names; it never downloads
//! anything and never computes on an async runtime's threads.

mod config;
mod encoder;
mod error;
mod gemm;
mod model;
mod ops;
mod pool;
mod service;
mod tokenizer;
mod weights;

#[cfg(test)]
mod testing;

pub use config::ModelConfig;
pub use error::{EmbedError, LoadError};
pub use model::Model;
pub use pool::Priority;
pub use service::{Embedding, LocalEmbedder, State};
pub use tokenizer::{Tokenizer, Tokens};
