//! `__typename` is a field like others. <https://spec.graphql.org/September2025/#sec-Type-Name-Introspection>
//!
//! async-graphql 7.2.1 validates nothing of it: variables that stand only there count as unused, unknown directives and
//! arguments as known.

use async_graphql::parser::types::{
    DocumentOperations, ExecutableDocument, Field, InlineFragment, Selection, SelectionSet,
};
use async_graphql::{Positioned, ServerError};

use crate::graphql::fault::invalid;

/// The document with the directives of each `__typename` on a fragment around it, where the library looks at them.
#[expect(clippy::iter_over_hash_type, reason = "the faults are sorted in the end")]
pub fn visible(document: &ExecutableDocument) -> Result<ExecutableDocument, Vec<ServerError>> {
    let mut document = document.clone();
    let mut faults = Vec::new();
    for fragment in document.fragments.values_mut() {
        wrap_all(&mut fragment.node.selection_set.node, &mut faults);
    }
    match &mut document.operations {
        DocumentOperations::Single(operation) => wrap_all(&mut operation.node.selection_set.node, &mut faults),
        DocumentOperations::Multiple(operations) => {
            operations.values_mut().for_each(|it| wrap_all(&mut it.node.selection_set.node, &mut faults));
        }
    }
    faults.sort_by_key(|fault| fault.locations.first().map(|place| (place.line, place.column)));
    if faults.is_empty() { Ok(document) } else { Err(faults) }
}

fn wrap_all(set: &mut SelectionSet, faults: &mut Vec<ServerError>) {
    for selection in &mut set.items {
        match &mut selection.node {
            Selection::Field(field) if field.node.name.node == "__typename" => {
                faults.extend(fault(field));
                if !field.node.directives.is_empty() {
                    let wrapped = wrapped(field);
                    selection.node = wrapped;
                }
            }
            Selection::Field(field) => wrap_all(&mut field.node.selection_set.node, faults),
            Selection::InlineFragment(fragment) => wrap_all(&mut fragment.node.selection_set.node, faults),
            Selection::FragmentSpread(_) => {}
        }
    }
}

fn fault(field: &Positioned<Field>) -> Option<ServerError> {
    let has_more = !field.node.arguments.is_empty() || !field.node.selection_set.node.items.is_empty();
    has_more.then(|| invalid(Some(field.pos), "__typename", "arguments or a selection", "neither"))
}

fn wrapped(field: &mut Positioned<Field>) -> Selection {
    let directives = std::mem::take(&mut field.node.directives);
    let inner = field.position_node(Selection::Field(field.clone()));
    let selection_set = field.position_node(SelectionSet { items: vec![inner] });
    Selection::InlineFragment(field.position_node(InlineFragment { type_condition: None, directives, selection_set }))
}
