//! `Node`

use async_graphql::{ID, Interface};

use super::chunk::Chunk;
use super::collection::Collection;
use super::document::Document;
use super::job::Job;
use super::run::Run;
use super::schedule::Schedule;

/// Anything with a global id. <https://relay.dev/graphql/objectidentification.htm>
#[derive(Interface)]
#[graphql(field(name = "id", ty = "ID", desc = "Global id: opaque, unique among all types, never reused."))]
pub enum Node {
    /// A collection.
    Collection(Collection),
    /// A document.
    Document(Document),
    /// A chunk.
    Chunk(Chunk),
    /// A job.
    Job(Job),
    /// A run.
    Run(Run),
    /// A schedule.
    Schedule(Schedule),
}
