//! How large the answer to an introspection is, counted over what the schema says of itself: two words such as
//! `types { fields }` ask for thousands of values.

use std::collections::HashMap;

use async_graphql::parser::types::{ExecutableDocument, Field, Selection, SelectionSet};
use async_graphql::{ObjectType, Schema, SubscriptionType, Variables};
use async_graphql_value::Value;
use futures_util::FutureExt;
use serde_json::Value as Json;

/// Everything that a schema says of itself.
#[derive(Debug)]
pub struct Introspection {
    schema: Json,
    types: HashMap<String, Json>,
}

/// Each object once, with every field that it has; types within it by name.
const EVERYTHING: &str = "{ __schema { description queryType { ...R } mutationType { ...R } subscriptionType { ...R }
    types { kind name description specifiedByURL isOneOf fields(includeDeprecated: true) { name description
        args(includeDeprecated: true) { ...I } type { ...R } isDeprecated deprecationReason }
      inputFields(includeDeprecated: true) { ...I } interfaces { ...R } possibleTypes { ...R }
      enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason } }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...I } } } }
    fragment I on __InputValue { name description type { ...R } defaultValue isDeprecated deprecationReason }
    fragment R on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }";

impl Introspection {
    /// Of a schema.
    pub fn of<Q, M, S>(schema: &Schema<Q, M, S>) -> Self
    where
        Q: ObjectType + 'static,
        M: ObjectType + 'static,
        S: SubscriptionType + 'static,
    {
        // Not as a part of the task that asks, whose turn might end in between.
        let answer = tokio::task::coop::unconstrained(schema.execute(EVERYTHING)).now_or_never();
        let data = answer.and_then(|answer| answer.data.into_json().ok()).unwrap_or_default();
        let schema = data["__schema"].clone();
        let types = schema["types"].as_array().into_iter().flatten();
        let types = types.filter_map(|ty| Some((ty["name"].as_str()?.to_owned(), ty.clone()))).collect();
        Self { schema, types }
    }

    /// The number of values that the introspection in all operations of a document gives; where it is more than `limit`,
    /// some number beyond, as counting stops there. The document's nesting has been bounded.
    pub fn count(&self, document: &ExecutableDocument, variables: &Variables, limit: usize) -> usize {
        let mut count = Count { introspection: self, document, variables, limit, looked_at: 0, known: HashMap::new() };
        let operations = document.operations.iter();
        let counts = operations.map(|(_, operation)| count.root(&operation.node.selection_set.node));
        counts.fold(0, usize::saturating_add)
    }
}

struct Count<'a> {
    introspection: &'a Introspection,
    document: &'a ExecutableDocument,
    variables: &'a Variables,
    limit: usize,
    /// Fields that were looked at; each gives a value at least.
    looked_at: usize,
    /// Values that a selection set gives of an object, by their addresses.
    known: HashMap<(*const Json, *const SelectionSet), usize>,
}

impl<'a> Count<'a> {
    fn root(&mut self, set: &'a SelectionSet) -> usize {
        self.sum(set, |count, field| match field.name.node.as_str() {
            "__schema" => count.set(&count.introspection.schema, &field.selection_set.node),
            "__type" => count.named(field),
            _ => 0,
        })
    }

    /// What a set gives, its fragments written out, where `give` says it of a field.
    fn sum(&mut self, set: &'a SelectionSet, give: impl Fn(&mut Self, &'a Field) -> usize + Copy) -> usize {
        let mut sum = 0_usize;
        for selection in &set.items {
            let given = match &selection.node {
                Selection::Field(field) => give(self, &field.node),
                Selection::InlineFragment(fragment) => self.sum(&fragment.node.selection_set.node, give),
                Selection::FragmentSpread(spread) => {
                    let fragment = self.document.fragments.get(&spread.node.fragment_name.node);
                    fragment.map_or(0, |fragment| self.sum(&fragment.node.selection_set.node, give))
                }
            };
            sum = sum.saturating_add(given);
        }
        sum
    }

    /// Of one type by its name; where the name is not to be had, of the largest.
    fn named(&mut self, field: &'a Field) -> usize {
        let name = match field.get_argument("name").map(|value| &value.node) {
            Some(Value::String(name)) => Some(name.as_str()),
            Some(Value::Variable(variable)) => match self.variables.get(variable) {
                Some(async_graphql::Value::String(name)) => Some(name.as_str()),
                _ => None,
            },
            _ => None,
        };
        let (set, types) = (&field.selection_set.node, &self.introspection.types);
        match name {
            Some(name) => types.get(name).map_or(0, |ty| self.set(ty, set)),
            None => types.values().map(|ty| self.set(ty, set)).max().unwrap_or_default(),
        }
    }

    /// What a set gives of an object, looked at once.
    fn set(&mut self, object: &'a Json, set: &'a SelectionSet) -> usize {
        if self.looked_at > self.limit {
            return self.looked_at;
        }
        let key = (std::ptr::from_ref(object), std::ptr::from_ref(set));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let given = self.sum(set, |count, field| count.field(object, field).saturating_add(1));
        self.known.insert(key, given);
        given
    }

    fn field(&mut self, object: &'a Json, field: &'a Field) -> usize {
        self.looked_at += 1;
        let set = &field.selection_set.node;
        match object.get(field.name.node.as_str()) {
            _ if set.items.is_empty() => 0,
            Some(Json::Array(items)) => {
                items.iter().map(|item| self.set(self.resolve(item), set)).fold(0, usize::saturating_add)
            }
            Some(inner @ Json::Object(_)) => self.set(self.resolve(inner), set),
            _ => 0,
        }
    }

    /// A type where its name stands for it.
    fn resolve(&self, object: &'a Json) -> &'a Json {
        let name = if object.get("kind").is_some() { object["name"].as_str() } else { None };
        name.and_then(|name| self.introspection.types.get(name)).unwrap_or(object)
    }
}
