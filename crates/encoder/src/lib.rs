//! Sentence encoders of the BERT family, such as all-MiniLM-L6-v2, run on the processor by code of our own.
//!
//! A model directory is one as sentence-transformers saves it, of the MiniLM, bge, e5 or gte families or any other whose
//! `model_type` is `bert`. Its files decide everything, and what they ask for beyond this is refused by its name:
//!
//! | file | | what it decides |
//! |---|---|---|
//! | `config.json` | | shape of a BERT encoder with exact GELU and absolute positions |
//! | `tokenizer.json` | | WordPiece as BERT uses it |
//! | `model.safetensors` | | weights as F32, F16 or BF16, in one file |
//! | `modules.json` | optional | transformer, pooling and perhaps normalising, and where the pooling's file is |
//! | `1_Pooling/config.json` | optional | the mean of all tokens (also without the file) or the first one's vector |
//! | `sentence_bert_config.json` | optional | longest text; whether texts are put into small letters |
//! | `tokenizer_config.json` | optional | longest text where the file before does not say |
//! | `config_sentence_transformers.json` | optional | [`Prompts`] before queries and documents |
//!
//! Vectors always have length one, also those of a model without a step that normalises. That changes no cosine, which
//! is what they are compared by; a model trained to be compared by the dot product loses what it put into the lengths.
//!
//! A text takes this way:
//!
//! 1. [`tokenizer`](Tokenizer) turns it, with its [`Purpose`]'s prompt before it, into at most `max_tokens` ids, special
//!    tokens included;
//! 2. [`model`](Model) lays the ids of many texts end to end, without padding, and sends them through `bert`: `linear`
//!    (the large products, with bias, GELU and residual done while the sums are in registers), `attention` and `norm`;
//! 3. [`pooling`](Pooling) makes one vector of its tokens', and scales it to length one.
//!
//! The loops over numbers are kernels, written once against the vectors of the crate [`simd`] and compiled for each instruction set;
//! the processor's best one is taken when a model is loaded, and the weights are packed for it then. Where the processor
//! has matrix tiles, those multiply (`linear/tiles.rs`, `attention/tiles.rs`), and numbers go to them as sums of two
//! `bf16`, or, in a model loaded with [`Precision::Bf16`], as one. The crate is one of
//! its own because it is worth optimizing in test builds too; all `unsafe` is in `simd`. It knows no threads, no database
//! and no settings.

mod attention;
mod bert;
mod bf16;
mod config;
mod error;
#[cfg(test)]
mod families;
mod linear;
mod math;
mod model;
mod norm;
mod rows;
mod safetensors;
#[cfg(target_arch = "x86_64")]
mod tiles;
mod tokenizer;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

pub use config::{ModelConfig, Pooling, Prompts, Purpose, Sentence};
pub use error::LoadError;
pub use linear::Precision;
pub use model::Model;
pub use simd::Isa;
pub use tokenizer::{Tokenizer, Tokens};
