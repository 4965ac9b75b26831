//! The fields of a selection set, by response key, in the order in which they first stand there.
//! <https://spec.graphql.org/September2025/#CollectFields()>
//!
//! async-graphql 7.2.1 runs a field as often as it is selected, and gives keys in the order in which they are done.

use std::collections::{HashMap, HashSet};

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{Directive, Field, FragmentDefinition, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::{ConstValue, Value};

use super::types::Types;

/// Fields by response key.
pub type Groups<'a> = IndexMap<&'a Name, Vec<&'a Positioned<Field>>>;

/// What fields are collected from.
pub struct Collector<'a> {
    /// The schema's types.
    pub types: &'a Types,
    /// The document's fragments.
    pub fragments: &'a HashMap<Name, Positioned<FragmentDefinition>>,
    /// Their values, coerced.
    pub variables: &'a Variables,
}

impl<'a> Collector<'a> {
    /// The fields of an object.
    pub fn collect(&self, object: &Name, sets: &[&'a SelectionSet]) -> Groups<'a> {
        let (mut groups, mut reached) = (Groups::new(), HashSet::new());
        for set in sets {
            self.add(object, set, &mut groups, &mut reached);
        }
        groups
    }

    fn add(&self, object: &Name, set: &'a SelectionSet, groups: &mut Groups<'a>, reached: &mut HashSet<&'a Name>) {
        for selection in set.items.iter().filter(|selection| self.is_included(selection.node.directives())) {
            match &selection.node {
                Selection::Field(field) => groups.entry(&field.node.response_key().node).or_default().push(field),
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = self.fragments.get(name).filter(|_| reached.insert(name));
                    let Some(fragment) = fragment.map(|fragment| &fragment.node) else { continue };
                    if self.types.applies(object, &fragment.type_condition.node.on.node) {
                        self.add(object, &fragment.selection_set.node, groups, reached);
                    }
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                    if condition.is_none_or(|condition| self.types.applies(object, condition)) {
                        self.add(object, &fragment.node.selection_set.node, groups, reached);
                    }
                }
            }
        }
    }

    fn is_included(&self, directives: &[Positioned<Directive>]) -> bool {
        directives.iter().all(|directive| match directive.node.name.node.as_str() {
            "skip" => !self.is_true(&directive.node),
            "include" => self.is_true(&directive.node),
            _ => true,
        })
    }

    fn is_true(&self, directive: &Directive) -> bool {
        match directive.get_argument("if").map(|value| &value.node) {
            Some(Value::Boolean(value)) => *value,
            Some(Value::Variable(name)) => self.variables.get(name) == Some(&ConstValue::Boolean(true)),
            _ => false,
        }
    }
}
