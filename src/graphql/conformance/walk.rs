//! Goes through what a document holds, with the type that each place expects.

use async_graphql::parser::types::{Directive, Selection, SelectionSet};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

use super::types::{Input, Inputs, Types};

/// What a walk comes upon.
pub enum Found<'a> {
    /// An argument of a field or a directive.
    Argument {
        /// Its name.
        name: &'a Name,
        /// What is expected.
        input: &'a Input,
        /// What stands there.
        value: &'a Positioned<Value>,
    },
    /// A fragment's name; what is in it is not walked.
    Spread(&'a Name),
}

/// Walks a selection set of a type. What the schema does not know is passed over: the library refuses it.
pub fn walk<'a>(types: &'a Types, parent: Option<&'a Name>, set: &'a SelectionSet, found: &mut impl FnMut(Found<'a>)) {
    for selection in &set.items {
        walk_directives(types, selection.node.directives(), found);
        match &selection.node {
            Selection::Field(field) => {
                let name = &field.node.name.node;
                let known = parent.and_then(|parent| types.field(parent, name));
                if let Some(known) = known {
                    walk_arguments(&known.arguments, &field.node.arguments, found);
                }
                let below = known.map(|known| super::types::innermost(&known.ty));
                walk(types, below, &field.node.selection_set.node, found);
            }
            Selection::FragmentSpread(spread) => found(Found::Spread(&spread.node.fragment_name.node)),
            Selection::InlineFragment(fragment) => {
                let condition = fragment.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                walk(types, condition.or(parent), &fragment.node.selection_set.node, found);
            }
        }
    }
}

/// Walks the directives of anything.
pub fn walk_directives<'a>(
    types: &'a Types,
    directives: &'a [Positioned<Directive>],
    found: &mut impl FnMut(Found<'a>),
) {
    for directive in directives {
        if let Some(inputs) = types.directive(&directive.node.name.node) {
            walk_arguments(inputs, &directive.node.arguments, found);
        }
    }
}

fn walk_arguments<'a>(
    inputs: &'a Inputs,
    arguments: &'a [(Positioned<Name>, Positioned<Value>)],
    found: &mut impl FnMut(Found<'a>),
) {
    for (name, value) in arguments {
        if let Some(input) = inputs.get(&name.node) {
            found(Found::Argument { name: &name.node, input, value });
        }
    }
}
