//! Times every root field and counts requests. Labels come from the schema, never from the caller.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextRequest, NextResolve, ResolveInfo};
use async_graphql::{Response, ServerResult, Value};
use metrics::{counter, histogram};
use tokio::time::Instant;

use super::fault::{code_of, complete_codes};

/// The extension, for the schema's builder.
pub struct Measure;

impl ExtensionFactory for Measure {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(Measure)
    }
}

#[async_trait::async_trait]
impl Extension for Measure {
    async fn request(&self, ctx: &ExtensionContext<'_>, next: NextRequest<'_>) -> Response {
        let mut response = next.run(ctx).await;
        complete_codes(&mut response.errors);
        let outcome = response.errors.first().map_or("OK", |error| known(code_of(error)));
        counter!("vectorforge_graphql_requests_total", "outcome" => outcome).increment(1);
        response
    }

    async fn resolve(
        &self,
        ctx: &ExtensionContext<'_>,
        info: ResolveInfo<'_>,
        next: NextResolve<'_>,
    ) -> ServerResult<Option<Value>> {
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

/// The code as a label: those we know, so that their number is bounded.
fn known(code: Option<&str>) -> &'static str {
    const CODES: [&str; 12] = [
        "BAD_USER_INPUT",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "DIMENSION_MISMATCH",
        "PAYLOAD_TOO_LARGE",
        "UNSUPPORTED_CONTENT_TYPE",
        "UNAVAILABLE",
        "TIMEOUT",
        "LEASE_LOST",
        "INTERRUPTED",
        "INTERNAL",
        "GRAPHQL_VALIDATION_FAILED",
    ];
    CODES.into_iter().find(|known| Some(*known) == code).unwrap_or("OTHER")
}
