//! The local sentence embedder: the workspace's `encoder` behind an async front.
//!
//! [`LocalEmbedder`] loads the model at the first call. The calls' texts wait in two lanes, for queries and for bulk work,
//! each with threads of its own in a `pool`; a thread that becomes free takes what waits in its lane, of several callers,
//! as one `pass`. This room knows no database, no HTTP and no setting names; it never downloads anything and never
//! computes on an async runtime's threads.

mod encode;
mod error;
mod lane;
mod meter;
mod pass;
mod pool;
mod service;
#[cfg(test)]
mod tests;

pub use encode::Embedding;
pub use error::EmbedError;
pub use pool::Priority;
pub use service::{LocalEmbedder, ModelSource, State};

// For the other encoder that runs in these lanes.
#[cfg(feature = "onnx")]
pub(super) use self::{
    encode::{BYTES_PER_TOKEN, Encode},
    error::panic_message,
    pool::Pool,
};
