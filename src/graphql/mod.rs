//! The GraphQL schema, and nothing else: checks the shape of input, calls a use case, shows rows. Knows no SQL and no
//! apalis. Doc comments here are for API users: they become `schema.graphql`.

mod answer;
mod aside;
mod check;
mod complexity;
mod conformance;
mod context;
pub mod document;
mod engine;
mod fault;
mod gather;
mod limits;
mod loader;
mod measure;
mod mutation;
mod name;
pub mod number;
mod page;
mod query;
mod schedules;
mod subscription;
mod types;

use std::sync::{Arc, LazyLock};

use async_graphql::{Schema, SchemaBuilder, ValidationMode};

use crate::app::App;
use crate::queue::Kinds;
use crate::store::TenantId;

pub use conformance::{Types, ValidateOnly};
pub use engine::Engine;
pub use fault::{code_of, server_error};
pub use mutation::Mutation;
pub use query::Query;
pub use subscription::{Feeds, Subscription};
pub use types::ingest::upload_placeholder;

/// Our schema.
pub type AppSchema = Schema<Query, Mutation, Subscription>;

/// The schema without an application behind it: for printing.
pub fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription).register_output_type::<types::node::Node>()
}

/// The engine over an application, with its limits.
pub fn engine(app: Arc<App>, kinds: Kinds, feeds: Arc<Feeds>) -> Engine {
    static TYPES: LazyLock<Arc<Types>> = LazyLock::new(|| Arc::new(Types::of(&sdl())));
    let limits = &app.config.graphql;
    // Everything else was bounded before: this one would only say so in other words.
    let validator = builder()
        .limit_recursive_depth(limits.nesting_limit)
        .extension(complexity::LimitComplexity(limits.complexity_limit))
        .extension(ValidateOnly)
        .finish();
    // It runs what the other one has found valid, written out.
    let schema = builder()
        .validation_mode(ValidationMode::Fast)
        .limit_recursive_depth(usize::MAX)
        .extension(measure::Measure)
        .data(app.clone())
        .data(kinds)
        .data(feeds)
        .finish();
    let gate = document::Gate::new(limits.clone(), &schema);
    Engine::new(schema, validator, TYPES.clone(), gate)
}

/// What each request brings besides the schema's data: the tenant, and a loader that lives as long as the request.
pub fn request_data(app: &Arc<App>, tenant: TenantId) -> async_graphql::Data {
    data(tenant, loader::for_request(app.clone(), tenant))
}

/// What each WebSocket brings: the tenant, and the loader that it shares with all others of that tenant.
pub fn session_data(app: &Arc<App>, feeds: &Feeds, tenant: TenantId) -> async_graphql::Data {
    data(tenant, feeds.rows(app, tenant))
}

fn data(tenant: TenantId, rows: loader::Rows) -> async_graphql::Data {
    let mut data = async_graphql::Data::default();
    data.insert(context::Tenant(tenant));
    data.insert(rows);
    data
}

/// The text of `schema.graphql`.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    builder().finish().sdl_with_options(options)
}
