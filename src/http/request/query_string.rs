//! An operation in the query of a URL: `?query=…&operationName=…&variables={…}&extensions={…}`.

use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Request, Value};

use super::json::{self, Root};
use super::operation;
use crate::error::{Error, Result};

/// As a whole it has no name of its own; its fields do.
const ROOT: Root = Root { name: "query string", prefix: "" };

/// The request; of at most `values_limit` values in each JSON text.
///
/// # Errors
/// As [`operation::read`] and [`json::value`].
pub fn read(query: &str, values_limit: usize) -> Result<Request> {
    let mut fields = IndexMap::new();
    for (name, text) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = match &*name {
            "query" | "operationName" => Value::String(unbroken(&name, &text)?.to_owned()),
            "variables" => parameter(Root { name: "variables", prefix: "variables." }, &text, values_limit)?,
            "extensions" => parameter(Root { name: "extensions", prefix: "extensions." }, &text, values_limit)?,
            _ => Value::Null,
        };
        let is_ours = matches!(&*name, "query" | "operationName" | "variables" | "extensions");
        let name = Name::new(name);
        if is_ours && fields.contains_key(&name) {
            return Err(Error::input(name.as_str(), "two of this name", "one"));
        }
        fields.insert(name, value);
    }
    operation::read(ROOT, Value::Object(fields))
}

/// An empty one is as absent: forms send all their fields.
fn parameter(root: Root, text: &str, limit: usize) -> Result<Value> {
    let text = unbroken(root.name, text)?;
    if text.is_empty() { Ok(Value::Null) } else { json::value(root, text.as_bytes(), limit) }
}

/// The decoder puts a replacement where bytes are no UTF-8.
fn unbroken<'a>(name: &str, text: &'a str) -> Result<&'a str> {
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Error::input(name, "bytes that are no UTF-8", "UTF-8, percent-encoded"));
    }
    Ok(text)
}
