//! VectorForge: a semantic search and RAG backend, one binary over one PostgreSQL.
//!
//! In reading order: [`error`]; [`app`], what everything shares; the use cases [`collection`], [`ingest`] and [`search`];
//! what they stand on: [`store`] (PostgreSQL), [`queue`] (durable jobs), [`schedule`] (what recurs); what stands before
//! them: [`graphql`] (the schema) and [`http`] (the server). [`kinds`] lists the kinds of jobs, and [`process`] puts a
//! process together.
//!
//! What knows nothing of the product is a crate of its own: [`settings`], [`text`] (loaders and chunkers), [`models`],
//! [`fetch`] (files and web pages), [`cron`], [`embedded_postgres`], and `client`, the command line's other half, which
//! talks to a running server.

pub mod backoff;
pub mod causes;
pub mod error;
pub mod id;
pub mod lock;

pub mod app;
pub mod kinds;
pub mod process;
pub mod tasks;

pub mod collection;
pub mod ingest;
pub mod search;

pub mod queue;
pub mod schedule;
pub mod store;

pub mod graphql;
pub mod http;
pub mod telemetry;
