//! A subscription has exactly one root field, the same for every caller.
//! <https://spec.graphql.org/September2025/#sec-Single-Root-Field>
//!
//! async-graphql 7.2.1 runs all root fields that stand there bare, and none that stands in a fragment.

use std::collections::HashSet;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{ExecutableDocument, OperationType, Selection, SelectionSet};
use async_graphql::{Name, Pos, ServerError};

use super::types::Types;
use crate::graphql::fault::invalid;

const FIELD: &str = "subscription";

/// What is wrong with the roots of a document's subscriptions.
pub fn faults(types: &Types, document: &ExecutableDocument) -> Vec<ServerError> {
    let Some(root) = types.root(OperationType::Subscription) else { return Vec::new() };
    let operations = document.operations.iter().map(|(_, operation)| operation);
    let subscriptions = operations.filter(|operation| operation.node.ty == OperationType::Subscription);
    subscriptions
        .filter_map(|subscription| {
            let mut fields = RootFields { types, document, root, reached: HashSet::new(), keys: IndexMap::new() };
            let collected = fields.collect(&subscription.node.selection_set.node);
            collected.and_then(|()| fields.check(subscription.pos)).err()
        })
        .collect()
}

/// The fields at the root by response key (`CollectSubscriptionFields`).
struct RootFields<'a> {
    types: &'a Types,
    document: &'a ExecutableDocument,
    root: &'a Name,
    reached: HashSet<&'a Name>,
    keys: IndexMap<&'a Name, (&'a Name, Pos)>,
}

impl<'a> RootFields<'a> {
    fn collect(&mut self, set: &'a SelectionSet) -> Result<(), ServerError> {
        for selection in &set.items {
            let mut directives = selection.node.directives().iter();
            let conditional = directives.find(|it| matches!(it.node.name.node.as_str(), "skip" | "include"));
            if let Some(conditional) = conditional {
                let got = format!("@{} at its root", conditional.node.name.node);
                return Err(invalid(Some(conditional.pos), FIELD, &got, "one root field that is always there"));
            }
            match &selection.node {
                Selection::Field(field) => {
                    let key = &field.node.response_key().node;
                    self.keys.entry(key).or_insert((&field.node.name.node, field.pos));
                }
                Selection::InlineFragment(fragment) => {
                    let condition = fragment.node.type_condition.as_ref().map(|condition| &condition.node.on.node);
                    if condition.is_none_or(|condition| self.types.applies(self.root, condition)) {
                        self.collect(&fragment.node.selection_set.node)?;
                    }
                }
                Selection::FragmentSpread(spread) => {
                    let name = &spread.node.fragment_name.node;
                    let fragment = self.document.fragments.get(name).map(|fragment| &fragment.node);
                    let Some(fragment) = fragment.filter(|_| self.reached.insert(name)) else { continue };
                    if self.types.applies(self.root, &fragment.type_condition.node.on.node) {
                        self.collect(&fragment.selection_set.node)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn check(&self, pos: Pos) -> Result<(), ServerError> {
        let mut fields = self.keys.values();
        match (fields.next(), fields.next()) {
            (Some((name, pos)), None) if name.starts_with("__") => {
                Err(invalid(Some(*pos), FIELD, format!("the field {name}"), "one root field that gives events"))
            }
            (Some(_), Some((_, pos))) => {
                let got = format!("{} root fields", self.keys.len());
                Err(invalid(Some(*pos), FIELD, &got, "exactly one"))
            }
            (None, _) => Err(invalid(Some(pos), FIELD, "no root field", "exactly one")),
            (Some(_), None) => Ok(()),
        }
    }
}
