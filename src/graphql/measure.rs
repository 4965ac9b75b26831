//! Times every root field, counts requests, and lets others run between the fields of an introspection. Labels come from
//! the schema, never from the caller.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextResolve, ResolveInfo};
use async_graphql::{Response, ServerResult, Value};
use metrics::{counter, histogram};
use tokio::time::Instant;

use super::fault::code_of;
use crate::error::Code;

/// The extension, for the schema's builder.
pub struct Measure;

impl ExtensionFactory for Measure {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Measure)
    }
}

#[async_trait::async_trait]
impl Extension for Measure {
    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
        // An introspection waits for nothing: without this it would hold its thread until the whole answer is there.
        if info.parent_type.starts_with("__") {
            tokio::task::coop::consume_budget().await;
        }
        let is_root = matches!(info.parent_type, "Query" | "Mutation") && info.path_node.parent.is_none();
        if !is_root || info.name.starts_with("__") {
            return next.run(ctx, info).await;
        }
        let (operation, field) = (info.parent_type.to_owned(), info.name.to_owned());
        let started = Instant::now();
        let outcome = next.run(ctx, info).await;
        histogram!("vectorforge_graphql_field_duration_seconds", "operation" => operation, "field" => field)
            .record(started.elapsed().as_secs_f64());
        outcome
    }
}

/// Counts an answered request by its first error.
pub fn count(response: &Response) {
    let outcome = response.errors.first().map_or("OK", |error| known(code_of(error)));
    counter!("vectorforge_graphql_requests_total", "outcome" => outcome).increment(1);
}

/// The code as a label: those we know, so that their number is bounded.
fn known(code: Option<&str>) -> &'static str {
    Code::ALL.into_iter().map(Code::as_str).find(|known| Some(*known) == code).unwrap_or("OTHER")
}
