//! Use case: documents become chunks with vectors.
//!
//! [`submit`] takes them in, in one transaction with the jobs that work on them; [`work`] is such a job. `load` and
//! `chunk` are pure: bytes to text, text to chunks. `vectors` stores the vectors that callers bring.

pub mod chunk;
pub mod delete;
pub mod load;
pub mod pull;
pub mod submit;
mod vectors;
pub mod work;

/// Queue of ingest jobs.
pub const QUEUE: &str = "ingest";
