//! One test binary over a real PostgreSQL: a file per subject, `support` for what they share.

#![expect(clippy::print_stdout, reason = "the seed of a run, and what another process of ours reads")]

mod chaos;
mod collections;
mod command_line;
mod connections;
mod crash;
mod cursors;
mod dates;
mod document_sources;
mod embedded_server;
mod execution;
mod fairness;
mod first_light;
mod foreign_pages;
mod full_disk;
mod graphql_document;
mod graphql_http;
mod ingest;
mod jobs;
mod limits;
mod lists;
mod local_model;
mod logging;
mod malformed_forms;
mod migrations;
mod names;
mod operations;
mod output;
mod process;
mod progress;
mod queue;
mod refusals;
mod refusals_ingest;
mod request_reading;
mod schedules;
mod schema;
mod search;
mod search_index;
mod starting;
mod stopping;
mod subscriptions;
mod support;
mod uploads;
mod versions;
mod websocket;
