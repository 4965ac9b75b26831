//! Which GraphQL documents are admitted: their limits, how they are counted, and what their text means.

mod answers;
mod attacks;
mod counts;
mod limits;
mod syntax;

use std::fmt::Write;

use vectorforge::graphql::document::Gate;

use crate::support::app::settings;

/// A gate with settings; the others are the defaults.
fn gate(overrides: &[(&str, &str)]) -> Gate {
    let overrides = overrides.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    Gate::new(settings(overrides).graphql, &vectorforge::graphql::builder().finish())
}

/// `count` numbered copies of a text with `#` for the number.
fn repeat(text: &str, count: usize) -> String {
    (0..count).fold(String::new(), |mut all, turn| {
        write!(all, "{} ", text.replace('#', &turn.to_string())).expect("a string takes it");
        all
    })
}

/// An operation over fragments of which each holds `step`, with `#` for the next one's name, down to the `depth`th.
fn chain(operation: &str, on: &str, step: &str, depth: usize) -> String {
    let links = (0..depth).map(|turn| {
        let step = step.replace('#', &format!("F{}", turn + 1));
        format!("fragment F{turn} on {on} {{ {step} }} ")
    });
    format!("{operation} {}fragment F{depth} on {on} {{ __typename }}", links.collect::<String>())
}

/// The standard introspection query of graphql-js 16 with every option, which GraphiQL and Apollo's tools send too.
const INTROSPECTION: &str = "query IntrospectionQuery { __schema { description
    queryType { name kind } mutationType { name kind } subscriptionType { name kind } types { ...FullType }
    directives { name description isRepeatable locations args(includeDeprecated: true) { ...InputValue } } } }
  fragment FullType on __Type { kind name description specifiedByURL isOneOf
    fields(includeDeprecated: true) { name description args(includeDeprecated: true) { ...InputValue } type { ...TypeRef }
      isDeprecated deprecationReason }
    inputFields(includeDeprecated: true) { ...InputValue } interfaces { ...TypeRef }
    enumValues(includeDeprecated: true) { name description isDeprecated deprecationReason }
    possibleTypes { ...TypeRef } }
  fragment InputValue on __InputValue { name description type { ...TypeRef } defaultValue isDeprecated deprecationReason }
  fragment TypeRef on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name
    ofType { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } } } } } } }";
