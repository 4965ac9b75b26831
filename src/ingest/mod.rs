//! Use case: documents become chunks with vectors.
//!
//! [`submit`] takes them in, in one transaction with the jobs that work on them; [`work`] is such a job. How bytes become
//! text and text becomes chunks is the matter of the crate `text`. `room` is what the model reads of a chunk. `vectors`
//! stores the vectors that callers bring.

mod blocking;
pub mod delete;
pub mod pull;
mod room;
pub mod submit;
mod vectors;
pub mod work;

/// Queue of ingest jobs.
pub const QUEUE: &str = "ingest";
