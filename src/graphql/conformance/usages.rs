//! Whether variables may stand where they do. <https://spec.graphql.org/September2025/#sec-All-Variable-Usages-Are-Allowed>
//!
//! async-graphql 7.2.1 has the rule and never runs it (`VisitorCons` does not hand `enter_input_value` on), and the rule
//! knows no default of an argument: `@include(if: $absent)` gave `data: null` without an error.

use std::collections::{HashMap, HashSet};

use async_graphql::parser::types::{BaseType, ExecutableDocument, OperationDefinition, Type};
use async_graphql::{Name, Pos, ServerError, Variables};
use async_graphql_value::{ConstValue, Value};

use super::types::{Named, Types};
use super::walk::{Found, walk, walk_directives};
use crate::graphql::fault::invalid;

/// A variable where it stands.
#[derive(Clone, Copy)]
pub struct Usage<'a> {
    /// Which.
    variable: &'a Name,
    /// The argument or input field.
    place: &'a Name,
    /// What is expected there.
    ty: &'a Type,
    /// What stands for it there where it is left out.
    default: Option<&'a ConstValue>,
    /// Whether it is the one field of an input object.
    is_only_field: bool,
    pos: Pos,
}

/// The usages of a document: by fragment, and of each operation.
pub struct Usages<'a> {
    document: &'a ExecutableDocument,
    types: &'a Types,
    fragments: HashMap<&'a Name, Part<'a>>,
}

/// What one operation or fragment holds itself.
#[derive(Default)]
struct Part<'a> {
    usages: Vec<Usage<'a>>,
    spreads: Vec<&'a Name>,
}

impl<'a> Usages<'a> {
    /// Of a document.
    pub fn of(types: &'a Types, document: &'a ExecutableDocument) -> Self {
        let fragments = document.fragments.iter().map(|(name, fragment)| {
            let fragment = &fragment.node;
            let mut part = Part::default();
            let parent = Some(&fragment.type_condition.node.on.node);
            walk_directives(types, &fragment.directives, &mut |found| part.note(types, found));
            walk(types, parent, &fragment.selection_set.node, &mut |found| part.note(types, found));
            (name, part)
        });
        Self { document, types, fragments: fragments.collect() }
    }

    /// What an operation and the fragments that it reaches hold, each fragment once.
    pub fn in_operation(&self, operation: &'a OperationDefinition, mut found: impl FnMut(&Usage<'a>)) {
        let mut own = Part::default();
        walk_directives(self.types, &operation.directives, &mut |found| own.note(self.types, found));
        let root = self.types.root(operation.ty);
        walk(self.types, root, &operation.selection_set.node, &mut |found| own.note(self.types, found));
        own.usages.iter().for_each(&mut found);
        let (mut reached, mut next) = (HashSet::new(), own.spreads);
        while let Some(name) = next.pop() {
            let Some(part) = self.fragments.get(name).filter(|_| reached.insert(name)) else { continue };
            part.usages.iter().for_each(&mut found);
            next.extend(&part.spreads);
        }
    }

    /// The variables, with the default of a place for each that is not given there: all that the library counts costs
    /// by. Fields that run get the default of their own places.
    pub fn filled(&self, operation: &'a OperationDefinition, variables: &Variables) -> Variables {
        let mut filled = variables.clone();
        self.in_operation(operation, |usage| {
            let Some(default) = usage.default else { return };
            let given = variables.get(usage.variable).is_some_and(|value| *value != ConstValue::Null);
            if !given {
                filled.insert(usage.variable.clone(), default.clone());
            }
        });
        filled
    }

    /// Those that are not allowed.
    pub fn faults(&self) -> Vec<ServerError> {
        let mut faults = Vec::new();
        for (_, operation) in self.document.operations.iter() {
            let definitions: HashMap<_, _> = operation
                .node
                .variable_definitions
                .iter()
                .map(|definition| (&definition.node.name.node, &definition.node))
                .collect();
            self.in_operation(&operation.node, |usage| {
                let Some(definition) = definitions.get(usage.variable) else { return };
                let has_default = definition.default_value.as_ref().is_some_and(|value| value.node != ConstValue::Null);
                if !usage.allows(&definition.var_type.node, has_default) {
                    faults.push(usage.fault(&definition.var_type.node));
                }
            });
        }
        faults
    }
}

impl<'a> Part<'a> {
    fn note(&mut self, types: &'a Types, found: Found<'a>) {
        match found {
            Found::Spread(name) => self.spreads.push(name),
            Found::Argument { name, input, value } => {
                let place = Usage {
                    variable: name,
                    place: name,
                    ty: &input.ty,
                    default: input.default.as_ref(),
                    is_only_field: false,
                    pos: value.pos,
                };
                self.note_value(types, place, &value.node);
            }
        }
    }

    /// Notes the variables of a value; `place` is where it stands.
    fn note_value(&mut self, types: &'a Types, place: Usage<'a>, value: &'a Value) {
        match (value, &place.ty.base) {
            (Value::Variable(variable), _) => self.usages.push(Usage { variable, ..place }),
            (Value::List(items), BaseType::List(ty)) => {
                items.iter().for_each(|item| {
                    self.note_value(types, Usage { ty, default: None, is_only_field: false, ..place }, item);
                });
            }
            (Value::Object(_), BaseType::List(ty)) => {
                self.note_value(types, Usage { ty, default: None, is_only_field: false, ..place }, value);
            }
            (Value::Object(fields), BaseType::Named(name)) => {
                let Some(Named::Input(inputs, is_only_field)) = types.named(name) else { return };
                for (place_name, value) in fields {
                    let Some((name, input)) = inputs.get_key_value(place_name) else { continue };
                    let inner = Usage {
                        place: name,
                        ty: &input.ty,
                        default: input.default.as_ref(),
                        is_only_field: *is_only_field,
                        ..place
                    };
                    self.note_value(types, inner, value);
                }
            }
            _ => {}
        }
    }
}

impl<'a> Usage<'a> {
    /// `IsVariableUsageAllowed`
    fn allows(&self, variable: &Type, has_default: bool) -> bool {
        if self.is_only_field && variable.nullable {
            return false;
        }
        if self.ty.nullable || !variable.nullable {
            return is_compatible(variable, self.ty);
        }
        let has_location_default = self.default.is_some();
        (has_default || has_location_default) && is_compatible_base(&variable.base, &self.ty.base)
    }

    fn fault(&self, variable: &Type) -> ServerError {
        let expected = match self.is_only_field {
            true => format!("one of type {}! for `{}`, which must not be null", self.ty, self.place),
            false => format!("one of type {} for `{}`", self.ty, self.place),
        };
        let got = format!("a variable of type {variable}");
        invalid(Some(self.pos), &format!("${}", self.variable), &got, &expected)
    }
}

/// `AreTypesCompatible`
fn is_compatible(variable: &Type, place: &Type) -> bool {
    (place.nullable || !variable.nullable) && is_compatible_base(&variable.base, &place.base)
}

fn is_compatible_base(variable: &BaseType, place: &BaseType) -> bool {
    match (variable, place) {
        (BaseType::Named(variable), BaseType::Named(place)) => variable == place,
        (BaseType::List(variable), BaseType::List(place)) => is_compatible(variable, place),
        _ => false,
    }
}
