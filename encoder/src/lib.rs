//! Sentence encoders of the BERT family, such as all-MiniLM-L6-v2, run on the processor by code of our own.
//!
//! A model directory holds `config.json`, `tokenizer.json` and `model.safetensors` (and, where the model has them,
//! `sentence_bert_config.json` and `1_Pooling/config.json`). A text takes this way:
//!
//! 1. [`tokenizer`](Tokenizer) turns it into at most `max_tokens` ids, special tokens included;
//! 2. [`model`](Model) lays the ids of many texts end to end, without padding, and sends them through `bert`: `linear`
//!    (the large products, with bias, GELU and residual done while the sums are in registers), `attention` and `norm`;
//! 3. the mean over a text's tokens, scaled to length one, is its vector.
//!
//! The loops over numbers are kernels, written once against the vectors of `simd` and compiled for each instruction set;
//! the processor's best one is taken when a model is loaded, and the weights are packed for it then. Where the processor
//! has matrix tiles, those multiply (`linear/tiles.rs`, `attention/tiles.rs`), and numbers go to them as sums of two
//! `bf16`, or, in a model loaded with [`Precision::Bf16`], as one. The crate is one of
//! its own because it is worth optimizing in test builds too, and to keep its `unsafe`, all of it in `simd`, apart. It knows
//! no threads, no database and no settings.

mod attention;
mod bert;
mod bf16;
mod config;
mod error;
mod linear;
mod math;
mod model;
mod norm;
mod rows;
mod safetensors;
mod simd;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod tokenizer;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use config::ModelConfig;
pub use error::LoadError;
pub use linear::Precision;
pub use model::Model;
pub use simd::Isa;
pub use tokenizer::{Tokenizer, Tokens};
