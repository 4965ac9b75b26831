//! The GraphQL schema, and nothing else: checks the shape of input, calls a use case, shows rows. Knows no SQL and no
//! apalis. Doc comments here are for API users: they become `schema.graphql`.

mod check;
mod context;
mod fault;
mod limits;
mod loader;
mod measure;
mod mutation;
mod nesting;
mod page;
mod query;
mod schedules;
mod subscription;
mod types;

use std::sync::Arc;

use async_graphql::{Schema, SchemaBuilder};

use crate::app::App;
use crate::store::TenantId;

pub use fault::{code_of, complete_codes};
pub use mutation::Mutation;
pub use nesting::is_too_deep;
pub use query::Query;
pub use subscription::Subscription;

/// Our schema.
pub type AppSchema = Schema<Query, Mutation, Subscription>;

/// The schema without an application behind it: for printing.
pub fn builder() -> SchemaBuilder<Query, Mutation, Subscription> {
    Schema::build(Query, Mutation, Subscription).register_output_type::<types::node::Node>()
}

/// The schema over an application, with its limits.
pub fn schema(app: Arc<App>) -> AppSchema {
    let limits = &app.config.graphql;
    builder()
        .limit_depth(limits.depth_limit)
        .limit_complexity(limits.complexity_limit)
        .limit_directives(DIRECTIVES_LIMIT)
        .extension(measure::Measure)
        .extension(nesting::LimitNesting)
        .data(app)
        .finish()
}

/// Most directives on one field: more than two has no use, thousands are an attack.
const DIRECTIVES_LIMIT: usize = 8;

/// What each request brings besides the schema's data: the tenant, and loaders that live as long as the request.
pub fn request_data(app: &Arc<App>, tenant: TenantId) -> async_graphql::Data {
    let mut data = async_graphql::Data::default();
    data.insert(context::Tenant(tenant));
    data.insert(loader::for_request(app.clone(), tenant));
    data
}

/// The text of `schema.graphql`.
pub fn sdl() -> String {
    let options = async_graphql::SDLExportOptions::new().sorted_fields().sorted_arguments().sorted_enum_items();
    builder().finish().sdl_with_options(options)
}
