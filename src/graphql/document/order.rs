//! Fragments in an order in which each comes after those that it spreads, so that each is looked at once.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, FragmentDefinition, FragmentSpread, Selection, SelectionSet};
use async_graphql::{Name, Positioned};

use super::error::{DocumentError, Result};

/// A fragment and its name.
type Named<'a> = (&'a Name, &'a Positioned<FragmentDefinition>);

/// All fragments, the spread ones before those that spread them.
///
/// # Errors
/// One spreads itself, be it by way of others.
#[expect(clippy::iter_over_hash_type, reason = "fragments that do not spread each other may come in any order")]
pub fn spread_first(document: &ExecutableDocument) -> Result<Vec<Named<'_>>> {
    let mut spread_by: HashMap<&Name, Vec<Named<'_>>> = HashMap::new();
    let mut open: HashMap<&Name, usize> = HashMap::new();
    for (name, fragment) in &document.fragments {
        let known =
            spreads(&fragment.node.selection_set.node).filter(|spread| document.fragments.contains_key(*spread));
        let mut count = 0;
        known.for_each(|spread| {
            spread_by.entry(spread).or_default().push((name, fragment));
            count += 1;
        });
        open.insert(name, count);
    }
    let mut ordered: Vec<Named<'_>> = document.fragments.iter().filter(|(name, _)| open[name] == 0).collect();
    let mut next = 0;
    while let Some((name, _)) = ordered.get(next).copied() {
        next += 1;
        for spreading in spread_by.remove(name).unwrap_or_default() {
            let left = open.entry(spreading.0).or_default();
            *left -= 1;
            if *left == 0 {
                ordered.push(spreading);
            }
        }
    }
    if ordered.len() < document.fragments.len() { Err(refuse(document, &open)) } else { Ok(ordered) }
}

/// Each fragment that is left spreads another one that is left: following them ends in a circle.
fn refuse(document: &ExecutableDocument, open: &HashMap<&Name, usize>) -> Box<DocumentError> {
    let is_left = |name: &Name| open.get(name).is_some_and(|count| *count > 0);
    let place = |name: &&Name| document.fragments[*name].pos;
    let left = document
        .fragments
        .keys()
        .filter(|name| is_left(name))
        .min_by_key(|name| (place(name).line, place(name).column));
    let after = |name: &Name| spreads(&document.fragments[name].node.selection_set.node).find(|name| is_left(name));
    let steps = std::iter::successors(left, |name| after(name)).take(document.fragments.len());
    let Some(name) = steps.last() else { unreachable!("a fragment is left") };
    let got = format!("fragment {name}, which spreads itself");
    DocumentError::syntax(document.fragments[name].pos, got, "fragments without circles")
}

/// The names of the fragments that a selection set spreads, in its text, at any depth.
fn spreads(set: &SelectionSet) -> impl Iterator<Item = &Name> {
    let mut open = vec![set.items.iter()];
    std::iter::from_fn(move || {
        loop {
            let Some(selection) = open.last_mut()?.next() else {
                open.pop();
                continue;
            };
            match &selection.node {
                Selection::Field(field) => open.push(field.node.selection_set.node.items.iter()),
                Selection::InlineFragment(fragment) => open.push(fragment.node.selection_set.node.items.iter()),
                Selection::FragmentSpread(Positioned { node: FragmentSpread { fragment_name, .. }, .. }) => {
                    return Some(&fragment_name.node);
                }
            }
        }
    })
}
