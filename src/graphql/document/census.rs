//! Counts what a document comes to once its fragments are written out, without writing them out: each fragment is counted
//! once, and its counts are added wherever it is spread. Every definition counts by itself, whether or not it is run or
//! used, because validation walks all of them.

use std::collections::HashMap;

use async_graphql::parser::types::{Directive, ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{Name, Positioned, Variables};
use async_graphql_value::{ConstValue, Value};

use super::error::Result;
use super::order::spread_first;

/// Counts with fragments written out; those beyond `usize` stay at its greatest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Census {
    /// Fields at any depth.
    pub fields: usize,
    /// Fields that are renamed.
    pub aliases: usize,
    /// Fragments, named or not, at their places.
    pub spreads: usize,
    /// Directives.
    pub directives: usize,
    /// Arguments, and the parts of their values; a variable counts as what was sent for it.
    pub values: usize,
    /// Uses of variables.
    pub uses: usize,
    /// Fields on the way down, without `__typename`.
    pub depth: usize,
    /// Braces on the way down.
    pub nesting: usize,
    /// Fields of the outermost object.
    pub roots: usize,
    /// What validation compares where fields may have to be merged: each selection set looks at all its fields, also
    /// those in fragments.
    pub comparisons: usize,
    /// What of that is repeated by the set around a fragment.
    level: usize,
}

impl Census {
    /// The census of a document.
    ///
    /// # Errors
    /// A fragment spreads itself.
    pub fn of(document: &ExecutableDocument, variables: &Variables) -> Result<Self> {
        let sizes = variables.iter().map(|(name, value)| (name, size(value))).collect();
        let mut count = Count { fragments: HashMap::new(), variables: sizes };
        let mut total = Self::default();
        for (name, fragment) in spread_first(document)? {
            let mut census = count.set(&fragment.node.selection_set.node);
            count.directives(&fragment.node.directives, &mut census);
            total.add(&census);
            count.fragments.insert(name, census);
        }
        total.roots = 0;
        for (_, operation) in document.operations.iter() {
            let mut census = count.set(&operation.node.selection_set.node);
            count.directives(&operation.node.directives, &mut census);
            let declared = &operation.node.variable_definitions;
            declared.iter().for_each(|variable| count.directives(&variable.node.directives, &mut census));
            // The engine looks for each use among all that are declared.
            census.comparisons = census.comparisons.saturating_add(census.uses.saturating_mul(declared.len()));
            total.add(&census);
        }
        Ok(total)
    }

    /// Steps that validation takes, about: what it walks and what it compares.
    pub fn steps(&self) -> usize {
        let counts = [self.fields, self.spreads, self.directives, self.values, self.comparisons];
        counts.into_iter().fold(0, usize::saturating_add)
    }

    /// Adds what stands beside.
    fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.fields, other.fields),
            (&mut self.aliases, other.aliases),
            (&mut self.spreads, other.spreads),
            (&mut self.directives, other.directives),
            (&mut self.values, other.values),
            (&mut self.uses, other.uses),
            (&mut self.comparisons, other.comparisons),
        ];
        sums.into_iter().for_each(|(sum, count)| *sum = sum.saturating_add(count));
        self.depth = self.depth.max(other.depth);
        self.nesting = self.nesting.max(other.nesting);
        self.roots = self.roots.max(other.roots);
    }
}

struct Count<'a> {
    fragments: HashMap<&'a Name, Census>,
    variables: HashMap<&'a Name, usize>,
}

impl Count<'_> {
    /// The census of a selection set. Recurses as deep as its braces nest.
    fn set(&self, set: &SelectionSet) -> Census {
        let mut census = Census::default();
        let mut roots = 0_usize;
        for selection in &set.items {
            let (inner, inner_roots) = self.selection(&selection.node);
            census.add(&inner);
            census.level = census.level.saturating_add(inner.level);
            roots = roots.saturating_add(inner_roots);
        }
        census.nesting += 1;
        census.roots = roots;
        census.comparisons = census.comparisons.saturating_add(census.level);
        census
    }

    /// The census of a selection, and how many fields it brings to its set.
    fn selection(&self, selection: &Selection) -> (Census, usize) {
        let mut census = match selection {
            Selection::Field(field) => return (self.field(&field.node), 1),
            Selection::InlineFragment(fragment) => self.set(&fragment.node.selection_set.node),
            // Its own sets compare where they are written, not where it is spread.
            Selection::FragmentSpread(spread) => {
                let known = self.fragments.get(&spread.node.fragment_name.node);
                Census { comparisons: 0, ..known.copied().unwrap_or_default() }
            }
        };
        census.spreads = census.spreads.saturating_add(1);
        census.level = census.level.saturating_add(1);
        self.directives(selection.directives(), &mut census);
        let roots = census.roots;
        (census, roots)
    }

    fn field(&self, field: &Field) -> Census {
        let set = &field.selection_set.node;
        let mut census = if set.items.is_empty() { Census::default() } else { self.set(set) };
        census.fields = census.fields.saturating_add(1);
        census.aliases = census.aliases.saturating_add(usize::from(field.alias.is_some()));
        census.depth = census.depth.saturating_add(usize::from(field.name.node != "__typename"));
        let before = census.values;
        self.arguments(&field.arguments, &mut census);
        // Each argument is looked for among those of the field that it would merge with.
        let arguments = field.arguments.len();
        let values = census.values.saturating_sub(before);
        census.level = arguments.saturating_mul(arguments).saturating_add(values).saturating_add(1);
        self.directives(&field.directives, &mut census);
        census
    }

    fn directives(&self, directives: &[Positioned<Directive>], census: &mut Census) {
        census.directives = census.directives.saturating_add(directives.len());
        directives.iter().for_each(|directive| self.arguments(&directive.node.arguments, census));
    }

    fn arguments(&self, arguments: &[(Positioned<Name>, Positioned<Value>)], census: &mut Census) {
        for (_, value) in arguments {
            census.values = census.values.saturating_add(1);
            self.value(&value.node, census);
        }
    }

    fn value(&self, value: &Value, census: &mut Census) {
        let size = match value {
            Value::Variable(name) => {
                census.uses = census.uses.saturating_add(1);
                self.variables.get(name).copied().unwrap_or(1)
            }
            Value::String(text) => text_size(text),
            Value::List(items) => {
                items.iter().for_each(|item| self.value(item, census));
                1
            }
            Value::Object(fields) => {
                fields.values().for_each(|field| self.value(field, census));
                1
            }
            _ => 1,
        };
        census.values = census.values.saturating_add(size);
    }
}

/// Bytes of a text that are copied in the time of one part of a value.
const BYTES_PER_PART: usize = 256;

fn text_size(text: &str) -> usize {
    1 + text.len() / BYTES_PER_PART
}

/// The parts of what was sent for a variable.
pub fn size(value: &ConstValue) -> usize {
    match value {
        ConstValue::String(text) => text_size(text),
        ConstValue::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        ConstValue::Object(fields) => 1 + fields.values().map(size).sum::<usize>(),
        _ => 1,
    }
}
