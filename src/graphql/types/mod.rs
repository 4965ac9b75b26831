//! One file per type of the schema.

pub mod chunk;
pub mod collection;
pub mod connection;
pub mod date_time;
pub mod document;
pub mod embedding_model;
pub mod ingest;
pub mod job;
pub mod limit;
pub mod node;
pub mod progress;
pub mod queue;
pub mod run;
pub mod schedule;
pub mod search;
pub mod vector;
pub mod worker;
