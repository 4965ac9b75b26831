//! Whether the values that a document holds are of their types.
//! <https://spec.graphql.org/September2025/#sec-Values-of-Correct-Type>

use async_graphql::ServerError;
use async_graphql::parser::types::ExecutableDocument;

use super::types::Types;
use super::values::{Checker, Source};
use super::walk::{Found, walk, walk_directives};
use crate::graphql::fault::refused;

/// What is wrong with arguments and with the defaults of variables.
pub fn faults(types: &Types, document: &ExecutableDocument) -> Vec<ServerError> {
    let checker = Checker { types, source: Source::Document, variables: None };
    let mut faults = Vec::new();
    let mut check = |found: Found<'_>| {
        let Found::Argument { name, input, value } = found else { return };
        if let Err(no) = checker.check(&input.ty, &value.node) {
            faults.push(refused(no.code.as_str(), Some(value.pos), &no.field(name), &no.got, &no.expected));
        }
    };
    for fragment in document.fragments.values().map(|fragment| &fragment.node) {
        walk_directives(types, &fragment.directives, &mut check);
        walk(types, Some(&fragment.type_condition.node.on.node), &fragment.selection_set.node, &mut check);
    }
    for (_, operation) in document.operations.iter() {
        let operation = &operation.node;
        walk_directives(types, &operation.directives, &mut check);
        walk(types, types.root(operation.ty), &operation.selection_set.node, &mut check);
    }
    for definition in document.operations.iter().flat_map(|(_, operation)| &operation.node.variable_definitions) {
        let (pos, definition) = (definition.pos, &definition.node);
        let Some(default) = &definition.default_value else { continue };
        if let Err(no) = checker.check(&definition.var_type.node, &default.node) {
            let field = no.field(&format!("${}", definition.name.node));
            faults.push(refused(no.code.as_str(), Some(pos), &field, &no.got, &no.expected));
        }
    }
    faults
}
