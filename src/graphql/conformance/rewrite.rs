//! An operation as the library runs it rightly: no fragments but one per concrete type, no conditions, each response key
//! once, no absent variables. With it goes the shape that the answer must have.

use async_graphql::parser::types::{
    Field, InlineFragment, OperationType, Selection, SelectionSet, Type, TypeCondition,
};
use async_graphql::{Name, Pos, Positioned, ServerError};

use super::arguments;
use super::collect::Collector;
use super::shape::{Below, Entry, Shape, hidden_key};
use super::types::innermost;
use crate::graphql::fault::invalid;

/// Most fields of an operation so written out. Only abstract types within abstract types multiply what a document holds,
/// which is bounded itself.
const FIELDS_LIMIT: usize = 50_000;

/// Writes an operation out.
pub struct Rewriter<'a> {
    collector: Collector<'a>,
    fields: usize,
}

/// Fields as they run, and the shape of their values.
type Written = (Vec<Positioned<Selection>>, Shape);

impl<'a> Rewriter<'a> {
    /// Over a document that is valid.
    pub fn new(collector: Collector<'a>) -> Self {
        Self { collector, fields: 0 }
    }

    /// The operation's selection set.
    pub fn root(
        &mut self,
        operation: OperationType,
        set: &'a Positioned<SelectionSet>,
    ) -> Result<(Positioned<SelectionSet>, Shape), ServerError> {
        let root = self.collector.types.root(operation);
        let root =
            root.ok_or_else(|| invalid(Some(set.pos), "query", operation, "an operation that the schema has"))?;
        let (items, shape) = self.object(root, &[&set.node], set.pos)?;
        Ok((set.position_node(SelectionSet { items }), shape))
    }

    fn object(&mut self, object: &Name, sets: &[&'a SelectionSet], pos: Pos) -> Result<Written, ServerError> {
        let (mut items, mut shape) = (Vec::new(), Shape::default());
        for (key, fields) in self.collector.collect(object, sets) {
            self.fields += 1;
            if self.fields > FIELDS_LIMIT {
                return Err(invalid(Some(pos), "query", "too many fields", &format!("at most {FIELDS_LIMIT}")));
            }
            let (selection, entry) = self.field(object, key, &fields)?;
            items.extend(selection.map(|field| fields[0].position_node(Selection::Field(field))));
            shape.entries.push(entry);
        }
        // The library gives null for an object without fields.
        if items.is_empty() {
            items.push(hidden_typename(pos));
        }
        Ok((items, shape))
    }

    /// The field that runs for all of one response key, unless its arguments keep it from running.
    fn field(
        &mut self,
        object: &Name,
        key: &Name,
        fields: &[&'a Positioned<Field>],
    ) -> Result<(Option<Positioned<Field>>, Entry), ServerError> {
        let first = fields[0];
        check_alike(key, fields)?;
        let mut field = Field { directives: Vec::new(), ..without_selection(&first.node) };
        if field.name.node == "__typename" {
            return Ok((Some(first.position_node(field)), Entry::typename(key.clone())));
        }
        let known = self.collector.types.field(object, &field.name.node);
        let Some(known) = known else { return Err(unknown(object, first)) };
        let sets: Vec<&SelectionSet> = fields.iter().map(|field| &field.node.selection_set.node).collect();
        let pos = first.node.selection_set.pos;
        let (items, below) = self.below(&known.ty, &sets, pos)?;
        field.selection_set = Positioned::new(SelectionSet { items }, pos);
        let mut entry = Entry { key: key.clone(), ty: known.ty.clone(), below, fault: None };
        match arguments::coerce(self.collector.types, known, &first.node, self.collector.variables) {
            Ok(arguments) => field.arguments = arguments,
            Err(fault) => {
                entry.fault = Some(fault);
                return Ok((None, entry));
            }
        }
        Ok((Some(first.position_node(field)), entry))
    }

    fn below(
        &mut self,
        ty: &Type,
        sets: &[&'a SelectionSet],
        pos: Pos,
    ) -> Result<(Vec<Positioned<Selection>>, Below), ServerError> {
        let name = innermost(ty);
        if sets.iter().all(|set| set.items.is_empty()) {
            return Ok((Vec::new(), Below::Leaf));
        }
        let Some(members) = self.collector.types.members(name) else {
            let (items, shape) = self.object(name, sets, pos)?;
            return Ok((items, Below::Object(shape)));
        };
        let mut items = vec![hidden_typename(pos)];
        let mut shapes = Vec::with_capacity(members.len());
        for member in members {
            let (inner, shape) = self.object(member, sets, pos)?;
            items.push(Positioned::new(fragment_on(member, inner, pos), pos));
            shapes.push((member.clone(), shape));
        }
        Ok((items, Below::Abstract(shapes)))
    }
}

/// Fields of one response key must be the same. <https://spec.graphql.org/September2025/#FieldsInSetCanMerge()>
/// async-graphql 7.2.1 compares only those that stand under the same type condition.
fn check_alike(key: &Name, fields: &[&Positioned<Field>]) -> Result<(), ServerError> {
    let (first, rest) = (&fields[0].node, &fields[1..]);
    let differs = |field: &&&Positioned<Field>| {
        let (one, other) = (&first.arguments, &field.node.arguments);
        let has = |name: &Name, value| field.node.get_argument(name) == Some(value);
        field.node.name != first.name
            || one.len() != other.len()
            || !one.iter().all(|(name, value)| has(&name.node, value))
    };
    match rest.iter().find(differs) {
        None => Ok(()),
        Some(other) => {
            let mut fault =
                invalid(Some(fields[0].pos), key, "two different fields", "one, or an alias for each of them");
            fault.locations.push(other.pos);
            Err(fault)
        }
    }
}

fn unknown(object: &Name, field: &Positioned<Field>) -> ServerError {
    let expected = format!("a field of {object}");
    invalid(Some(field.pos), &field.node.name.node, "an unknown field", &expected)
}

fn without_selection(field: &Field) -> Field {
    Field {
        alias: field.alias.clone(),
        name: field.name.clone(),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    }
}

fn hidden_typename(pos: Pos) -> Positioned<Selection> {
    let field = Field {
        alias: Some(Positioned::new(hidden_key(), pos)),
        name: Positioned::new(Name::new("__typename"), pos),
        arguments: Vec::new(),
        directives: Vec::new(),
        selection_set: Positioned::default(),
    };
    Positioned::new(Selection::Field(Positioned::new(field, pos)), pos)
}

fn fragment_on(object: &Name, items: Vec<Positioned<Selection>>, pos: Pos) -> Selection {
    let fragment = InlineFragment {
        type_condition: Some(Positioned::new(TypeCondition { on: Positioned::new(object.clone(), pos) }, pos)),
        directives: Vec::new(),
        selection_set: Positioned::new(SelectionSet { items }, pos),
    };
    Selection::InlineFragment(Positioned::new(fragment, pos))
}
