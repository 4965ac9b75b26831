//! One operation as clients write it: `query`, `operationName`, `variables`, `extensions`. Null is as absent, and other
//! names are passed over, as the draft wants it. <https://graphql.github.io/graphql-over-http/draft/#sec-Request>

use async_graphql::indexmap::IndexMap;
use async_graphql::{Extensions, Name, Request, Value, Variables};

use super::json::{self, Root};
use crate::error::{Error, Result};

/// The request that a JSON object describes.
///
/// # Errors
/// `BAD_USER_INPUT` that names the field; `PERSISTED_QUERY_NOT_SUPPORTED` where only the hash of a query came.
pub fn read(root: Root, body: Value) -> Result<Request> {
    let mut fields = Fields { root, fields: object(root, body)? };
    let query = fields.text("query")?;
    let name = fields.text("operationName")?;
    let variables = fields.object("variables")?;
    let extensions = fields.object("extensions")?;
    fields.request(query, name, variables, extensions)
}

fn object(root: Root, body: Value) -> Result<IndexMap<Name, Value>> {
    match body {
        Value::Object(fields) => Ok(fields),
        Value::List(_) => {
            Err(Error::input(root.name, "a list", "one operation as a JSON object: batches are not supported"))
        }
        other => Err(Error::input(root.name, json::kind(&other), "an operation as a JSON object")),
    }
}

/// The fields of an operation that were not taken yet.
struct Fields {
    root: Root,
    fields: IndexMap<Name, Value>,
}

/// Names under which others take the id of a query that the server is to know.
const IDS: [&str; 4] = ["documentId", "id", "doc_id", "queryId"];

impl Fields {
    fn take(&mut self, name: &str) -> Option<Value> {
        self.fields.swap_remove(name).filter(|value| *value != Value::Null)
    }

    fn wrong(&self, name: &str, got: &Value, expected: &str) -> Error {
        Error::input(self.root.field(name), json::kind(got), expected)
    }

    fn text(&mut self, name: &str) -> Result<Option<String>> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(name, &other, "a text")),
        }
    }

    fn object(&mut self, name: &str) -> Result<IndexMap<Name, Value>> {
        match self.take(name) {
            None => Ok(IndexMap::new()),
            Some(Value::Object(fields)) => Ok(fields),
            Some(other) => Err(self.wrong(name, &other, "an object")),
        }
    }

    fn request(
        &self,
        query: Option<String>,
        name: Option<String>,
        variables: IndexMap<Name, Value>,
        extensions: IndexMap<Name, Value>,
    ) -> Result<Request> {
        let has_hash = extensions.get("persistedQuery").is_some_and(|value| *value != Value::Null);
        if has_hash && query.as_deref().unwrap_or_default().is_empty() {
            return Err(Error::persisted_query_not_supported());
        }
        let mut request = Request::new(query.ok_or_else(|| self.no_query())?);
        // GraphiQL and others send an empty name for none.
        request.operation_name = name.filter(|name| !name.is_empty());
        request.variables = Variables::from_value(Value::Object(variables));
        request.extensions =
            Extensions(extensions.into_iter().map(|(name, value)| (name.to_string(), value)).collect());
        Ok(request)
    }

    fn no_query(&self) -> Error {
        let id = IDS.iter().find(|id| self.fields.contains_key(**id));
        let got = id.map_or("none".to_owned(), |id| format!("none beside {id}"));
        let expected = match id {
            Some(_) => "the text of an operation: the server keeps no queries",
            None => "the text of an operation",
        };
        Error::input(self.root.field("query"), got, expected)
    }
}
