//! Use case: documents become chunks with vectors.
//!
//! [`submit`] takes them in, in one transaction with a [`job`] for each; [`work`] is what such a job does, and [`pull`] the
//! job that takes in what a source holds. How bytes become text and text becomes chunks is the matter of
//! the crate `text`. `room` is what the model reads of a chunk. [`ready_made`] keeps the chunks that callers cut,
//! `vectors` the vectors that they bring.

mod blocking;
pub mod change;
pub mod delete;
pub mod job;
pub mod pull;
pub mod ready_made;
mod room;
pub mod submit;
mod vectors;
pub mod work;
