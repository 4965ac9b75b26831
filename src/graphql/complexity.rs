//! Holds the complexity that the engine calculates against its limit, in our words.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextValidation};
use async_graphql::{ServerError, ValidationResult};

use super::document::DocumentError;
use crate::error::Code;

/// The extension, for the schema's builder.
#[derive(Clone, Copy)]
pub struct LimitComplexity(pub usize);

impl ExtensionFactory for LimitComplexity {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(*self)
    }
}

#[async_trait::async_trait]
impl Extension for LimitComplexity {
    async fn validation(
        &self,
        ctx: &ExtensionContext<'_>,
        next: NextValidation<'_>,
    ) -> Result<ValidationResult, Vec<ServerError>> {
        let valid = next.run(ctx).await?;
        if valid.complexity > self.0 {
            let got = format!("{} points", valid.complexity);
            let error = DocumentError::limit(Code::QueryTooComplex, got, self.0, "points", "complexity_limit");
            return Err(vec![error.into()]);
        }
        Ok(valid)
    }
}
