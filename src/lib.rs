//! VectorForge: a semantic search and RAG backend, one binary over one PostgreSQL.
//!
//! In reading order: [`config`] and [`error`]; [`app`], what everything shares; the use cases [`collection`],
//! [`ingest`] and [`search`]; what they stand on: [`store`] (PostgreSQL), [`queue`] (durable jobs), [`schedule`] (what
//! recurs), [`source`] (files and web pages), [`embed`] (models); what stands before them: [`graphql`] (the schema) and
//! [`http`] (the server). [`kinds`] lists the kinds of jobs, [`process`] puts a process together, and [`client`] is the
//! command line's other half: it talks to a running server.

pub mod backoff;
pub mod causes;
pub mod config;
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

pub mod embed;
pub mod queue;
pub mod schedule;
pub mod source;
pub mod store;

pub mod graphql;
pub mod http;
pub mod telemetry;

pub mod client;
pub mod output;
