//! Arguments with their variables. <https://spec.graphql.org/September2025/#CoerceArgumentValues()>
//!
//! async-graphql 7.2.1 takes an absent variable for null, so that no default counts for it.

use async_graphql::parser::types::Field;
use async_graphql::{Name, Positioned, ServerError, Variables};
use async_graphql_value::Value;

use super::types::{Field as FieldType, Types};
use super::values::{Checker, Source};
use crate::error::Code;
use crate::graphql::fault::refused;
use crate::graphql::number;

/// Arguments as the library takes them.
type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

/// A field's arguments without the variables that are absent; or the field's error, where a variable gives null to what
/// must not be null.
pub fn coerce(
    types: &Types,
    known: &FieldType,
    field: &Field,
    variables: &Variables,
) -> Result<Arguments, ServerError> {
    let checker = Checker { types, source: Source::Document, variables: Some(variables) };
    let mut arguments = Vec::with_capacity(field.arguments.len());
    for (name, value) in &field.arguments {
        let Some(given) = without_absent(&value.node, variables) else { continue };
        if let Some(input) = known.arguments.get(&name.node) {
            checker.check(&input.ty, &given).map_err(|no| {
                refused(Code::BadUserInput.as_str(), Some(value.pos), &no.field(&name.node), &no.got, &no.expected)
            })?;
        }
        arguments.push((name.clone(), value.position_node(given)));
    }
    Ok(arguments)
}

/// The value without what an absent variable would give: not there in an object, null in a list. Numbers are the nearest
/// that there are.
fn without_absent(value: &Value, variables: &Variables) -> Option<Value> {
    Some(match value {
        Value::Variable(name) if !variables.contains_key(name) => return None,
        Value::Enum(name) => number::nearest(name).map_or_else(|| value.clone(), Value::Number),
        Value::List(items) => {
            Value::List(items.iter().map(|item| without_absent(item, variables).unwrap_or_default()).collect())
        }
        Value::Object(fields) => {
            let given =
                fields.iter().filter_map(|(name, value)| Some((name.clone(), without_absent(value, variables)?)));
            Value::Object(given.collect())
        }
        other => other.clone(),
    })
}
