//! One test binary over a real PostgreSQL: a file per subject, `support` for what they share.

mod collections;
mod crash;
mod embedded_server;
mod first_light;
mod graphql_http;
mod ingest;
mod lists;
mod local_model;
mod migrations;
mod operations;
mod process;
mod progress;
mod queue;
mod refusals;
mod refusals_ingest;
mod schema;
mod search;
mod search_index;
mod support;
mod uploads;
mod versions;
mod websocket;
