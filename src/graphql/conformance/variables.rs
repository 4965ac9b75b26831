//! Variables as the operation declares them. <https://spec.graphql.org/September2025/#CoerceVariableValues()>
//!
//! async-graphql 7.2.1 never coerces variables: it puts them into the arguments and finds fault with those, and one that
//! is absent becomes null there.

use async_graphql::parser::types::OperationDefinition;
use async_graphql::{ServerError, Variables};

use super::types::Types;
use super::values::{Checker, Source};
use crate::error::Code;
use crate::graphql::fault::refused;
use crate::graphql::number;

/// Fills in the operation's own defaults, and finds fault with what is not of its type: the input's fault, and not the
/// document's. What stays absent has neither.
pub fn coerce(types: &Types, operation: &OperationDefinition, variables: &mut Variables) -> Vec<ServerError> {
    let checker = Checker { types, source: Source::Json, variables: None };
    let mut faults = Vec::new();
    for definition in &operation.variable_definitions {
        let (pos, definition) = (definition.pos, &definition.node);
        let (name, ty) = (&definition.name.node, &definition.var_type.node);
        let field = format!("${name}");
        let fault = |field: &str, got: &str, expected: &str| {
            refused(Code::BadUserInput.as_str(), Some(pos), field, got, expected)
        };
        match (variables.get_mut(name), &definition.default_value) {
            (Some(value), _) => match checker.check(ty, value) {
                Ok(()) => number::rounded(value),
                Err(no) => faults.push(fault(&no.field(&field), &no.got, &no.expected)),
            },
            (None, Some(default)) => {
                let mut default = default.node.clone();
                number::rounded(&mut default);
                variables.insert(name.clone(), default);
            }
            (None, None) if ty.nullable => {}
            (None, None) => faults.push(fault(&field, "nothing", &checker.describe(ty))),
        }
    }
    faults
}
