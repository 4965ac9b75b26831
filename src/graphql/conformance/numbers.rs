//! A `Float` takes any decimal number and becomes the nearest that it holds.
//! <https://spec.graphql.org/September2025/#sec-Float.Input-Coercion>
//!
//! async-graphql 7.2.1 holds numbers in 64 bits only, so that others come here as their [digits](number).

use async_graphql::Positioned;
use async_graphql::parser::types::{Directive, DocumentOperations, ExecutableDocument, Selection, SelectionSet};
use async_graphql_value::Value;

use crate::graphql::number;

/// The document with the nearest number for each that is kept as its digits.
#[expect(clippy::iter_over_hash_type, reason = "each fragment is changed by itself")]
pub fn rounded(mut document: ExecutableDocument) -> ExecutableDocument {
    for fragment in document.fragments.values_mut() {
        in_directives(&mut fragment.node.directives);
        in_set(&mut fragment.node.selection_set.node);
    }
    let operations = match &mut document.operations {
        DocumentOperations::Single(operation) => vec![operation],
        DocumentOperations::Multiple(operations) => operations.values_mut().collect(),
    };
    for operation in operations {
        in_directives(&mut operation.node.directives);
        let definitions = operation.node.variable_definitions.iter_mut();
        let defaults = definitions.filter_map(|definition| definition.node.default_value.as_mut());
        defaults.for_each(|default| number::rounded(&mut default.node));
        in_set(&mut operation.node.selection_set.node);
    }
    document
}

fn in_set(set: &mut SelectionSet) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) => {
                in_directives(&mut field.node.directives);
                field.node.arguments.iter_mut().for_each(|(_, value)| in_value(&mut value.node));
                in_set(&mut field.node.selection_set.node);
            }
            Selection::InlineFragment(fragment) => {
                in_directives(&mut fragment.node.directives);
                in_set(&mut fragment.node.selection_set.node);
            }
            Selection::FragmentSpread(spread) => in_directives(&mut spread.node.directives),
        }
    }
}

fn in_directives(directives: &mut [Positioned<Directive>]) {
    let arguments = directives.iter_mut().flat_map(|directive| &mut directive.node.arguments);
    arguments.for_each(|(_, value)| in_value(&mut value.node));
}

fn in_value(value: &mut Value) {
    match value {
        Value::Enum(name) => {
            if let Some(number) = number::nearest(name) {
                *value = Value::Number(number);
            }
        }
        Value::List(items) => items.iter_mut().for_each(in_value),
        Value::Object(fields) => fields.values_mut().for_each(in_value),
        _ => {}
    }
}
