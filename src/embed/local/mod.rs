//! The local sentence embedder: the workspace's `encoder` behind an async front.
//!
//! [`LocalEmbedder`] loads the model at the first call, splits the texts into shares and queues them in a `pool` of
//! threads, queries before bulk work. This room knows no database, no HTTP and no setting names; it never downloads
//! anything and never computes on an async runtime's threads.

mod error;
mod pool;
mod service;

pub use error::EmbedError;
pub use pool::Priority;
pub use service::{Embedding, LocalEmbedder, State};
