//! Documents become text, and text becomes the pieces that are embedded and found.
//!
//! [`load`](load::load) reads the bytes of a format, [`chunk`](chunk::chunk) cuts what came of them, until [`Stop`] says
//! that nobody waits any more. Pure: what a chunker needs of a model its caller brings. Knows no database, no models and
//! no jobs.

pub mod chunk;
pub mod load;
mod stop;

pub use stop::{Stop, Stopped};
