//! The commands against a server that speaks the contract and nothing more.

mod fake;
mod ingest;
mod search;
