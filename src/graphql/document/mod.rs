//! What of a GraphQL document is admitted: a pass over its text, one over what was parsed, each bounded in time, memory
//! and stack. What comes behind (validation, execution) sees only documents that cost it bounded work. Knows no types of
//! ours but what the schema says of itself, and runs nothing.

mod census;
mod error;
mod introspection;
mod lexer;
mod literal;
mod order;
mod parser;

use async_graphql::parser::types::{DocumentOperations, ExecutableDocument, OperationType};
use async_graphql::{ObjectType, Request, Schema, SubscriptionType, Variables};
use settings::GraphqlSettings;

pub use self::census::Census;
pub use self::error::{DocumentError, Result};
use self::introspection::Introspection;
use crate::error::Code;

/// What documents are held against.
#[derive(Debug)]
pub struct Gate {
    limits: GraphqlSettings,
    introspection: Introspection,
}

/// A request whose document was parsed and found within every limit.
pub struct Admitted {
    /// The request.
    pub request: Request,
    /// Its document.
    pub document: ExecutableDocument,
    /// Kind of the operation to be run; `None` where the request does not say which one, which the engine refuses.
    pub operation: Option<OperationType>,
    /// What it may cost: its bytes and the steps and introspected values that were counted, together.
    pub cost: usize,
}

impl Gate {
    /// A gate before a schema.
    pub fn new<Q, M, S>(limits: GraphqlSettings, schema: &Schema<Q, M, S>) -> Self
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        Self { limits, introspection: Introspection::of(schema) }
    }

    /// Lets a request pass, or says why not.
    pub fn admit(&self, mut request: Request) -> Result<Admitted> {
        let (document, cost) = self.count(&request.query, &request.variables)?;
        // Several clients leave the name empty in place of leaving it out.
        request.operation_name = request.operation_name.take().filter(|name| !name.is_empty());
        let operation = operation(&document, request.operation_name.as_deref());
        Ok(Admitted { request, document, operation, cost })
    }

    /// The limits that documents and answers are held against.
    pub fn limits(&self) -> &GraphqlSettings {
        &self.limits
    }

    /// The document that a text is, within every limit.
    pub fn read(&self, text: &str, variables: &Variables) -> Result<ExecutableDocument> {
        self.count(text, variables).map(|(document, _)| document)
    }

    /// The document, and what it may cost.
    fn count(&self, text: &str, variables: &Variables) -> Result<(ExecutableDocument, usize)> {
        let document = self.parse(text)?;
        self.check_definitions(&document)?;
        let census = Census::of(&document, variables)?;
        self.check_counts(&census)?;
        let steps = self.check_steps(&census, variables)?;
        let limit = self.limits.introspection_limit;
        let introspection = self.introspection.count(&document, variables, limit);
        check(Code::IntrospectionTooLarge, introspection, limit, "introspected values", "introspection_limit")?;
        Ok((document, text.len() + steps + introspection))
    }

    /// The document that a text is, within the limits of texts.
    pub fn parse(&self, text: &str) -> Result<ExecutableDocument> {
        let limit = self.limits.query_limit_bytes;
        check(Code::QueryTooLong, text.len(), limit, "bytes", "query_limit_bytes")?;
        parser::document(&lexer::tokens(text, &self.limits)?)
    }

    /// What validation walks even where it is not run.
    fn check_definitions(&self, document: &ExecutableDocument) -> Result<()> {
        let operations = document.operations.iter();
        let limit = self.limits.operations_limit;
        check(Code::TooManyOperations, operations.len(), limit, "operations", "operations_limit")?;
        let variables = operations.map(|(_, operation)| operation.node.variable_definitions.len()).sum();
        let limit = self.limits.variables_limit;
        check(Code::TooManyVariables, variables, limit, "variables", "variables_limit")?;
        let limit = self.limits.fragments_limit;
        check(Code::TooManyFragments, document.fragments.len(), limit, "fragments", "fragments_limit")
    }

    fn check_counts(&self, census: &Census) -> Result<()> {
        let limits = &self.limits;
        for (code, count, limit, unit, setting) in [
            (Code::QueryTooDeep, census.nesting, limits.nesting_limit, "levels of braces", "nesting_limit"),
            (Code::QueryTooDeep, census.depth, limits.depth_limit, "levels of fields", "depth_limit"),
            (Code::TooManyAliases, census.aliases, limits.aliases_limit, "aliases", "aliases_limit"),
            (Code::TooManyDirectives, census.directives, limits.directives_limit, "directives", "directives_limit"),
            (Code::TooManySpreads, census.spreads, limits.spreads_limit, "spread fragments", "spreads_limit"),
            (Code::TooManyFields, census.fields, limits.fields_limit, "fields", "fields_limit"),
            (Code::TooManyRootFields, census.roots, limits.root_fields_limit, "root fields", "root_fields_limit"),
        ] {
            check(code, count, limit, unit, setting)?;
        }
        Ok(())
    }

    /// A bulk of documents comes in one variable, and is as large as the body may be: what was sent counts only where the
    /// document multiplies it.
    fn check_steps(&self, census: &Census, variables: &Variables) -> Result<usize> {
        let sent: usize = variables.values().map(census::size).sum();
        let steps = census.steps().saturating_sub(sent.saturating_mul(FREE_USES));
        check(Code::ValidationTooCostly, steps, self.limits.steps_limit, "steps", "steps_limit")?;
        Ok(steps)
    }
}

/// Steps for each part of what was sent that are free: using it once takes two, in a fragment two more, and two more where
/// that is spread by another.
const FREE_USES: usize = 8;

fn check(code: Code, count: usize, limit: usize, unit: &str, setting: &str) -> Result<()> {
    if count <= limit {
        return Ok(());
    }
    Err(DocumentError::limit(code, format!("{count} {unit}"), limit, unit, setting))
}

/// Kind of the operation of that name, or of the only one.
fn operation(document: &ExecutableDocument, name: Option<&str>) -> Option<OperationType> {
    let operation = match (&document.operations, name) {
        (DocumentOperations::Single(operation), None) => Some(operation),
        (DocumentOperations::Multiple(operations), None) if operations.len() == 1 => operations.values().next(),
        (DocumentOperations::Multiple(operations), Some(name)) => operations.get(name),
        _ => None,
    };
    operation.map(|operation| operation.node.ty)
}
