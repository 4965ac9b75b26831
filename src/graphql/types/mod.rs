//! One file per type of the schema.

pub mod chunk;
pub mod collection;
pub mod document;
pub mod ingest;
pub mod job;
pub mod node;
pub mod progress;
pub mod run;
pub mod search;
pub mod vector;
