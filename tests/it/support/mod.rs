//! What tests share: a PostgreSQL of their own, an application over it, GraphQL and WebSocket clients.

pub mod app;
pub mod database;
pub mod documents;
pub mod embedder;
pub mod gql;
pub mod holder;
pub mod kinds;
pub mod raw;
pub mod refusal;
pub mod snapshot;
pub mod vectors;
pub mod wait;
pub mod watch;
pub mod worker;

pub use app::TestApp;
pub use wait::{PATIENCE, until};
