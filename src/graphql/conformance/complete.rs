//! Answers as the specification has them: every selected field, in order; null where a field failed, or where one in it
//! failed that must not be null. <https://spec.graphql.org/September2025/#sec-Handling-Execution-Errors>
//!
//! async-graphql 7.2.1 leaves failed fields out, and makes an object null only if all of its fields failed.

use std::collections::HashMap;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{BaseType, Type};
use async_graphql::{Name, PathSegment, Response, ServerError};
use async_graphql_value::ConstValue;

use super::shape::{Below, Entry, HIDDEN_KEY, Shape};
use crate::error::Code;
use crate::graphql::fault::with_code;

/// The response in its shape.
pub fn complete(shape: &Shape, mut response: Response) -> Response {
    if response.is_err() && response.errors.iter().all(|error| error.path.is_empty()) {
        return response;
    }
    let failed = Failed::of(&response.errors);
    let mut completion = Completion { path: Vec::new(), found: Vec::new() };
    let data = completion.object(shape, response.data, Some(&failed));
    response.data = data.unwrap_or_default();
    response.errors.append(&mut completion.found);
    response
}

/// Where errors are, below one place of an answer.
#[derive(Default)]
struct Failed {
    is_here: bool,
    below: HashMap<Step, Failed>,
}

#[derive(PartialEq, Eq, Hash)]
enum Step {
    Key(String),
    Index(usize),
}

impl Failed {
    fn of(errors: &[ServerError]) -> Self {
        let mut root = Self::default();
        for error in errors.iter().filter(|error| !error.path.is_empty()) {
            let mut place = &mut root;
            for segment in &error.path {
                let step = match segment {
                    PathSegment::Field(key) => Step::Key(key.clone()),
                    PathSegment::Index(index) => Step::Index(*index),
                };
                place = place.below.entry(step).or_default();
            }
            place.is_here = true;
        }
        root
    }

    fn at(here: Option<&Self>, step: Step) -> Option<&Self> {
        here?.below.get(&step)
    }
}

/// A value of which something failed that must not be null.
struct Lost;

struct Completion {
    path: Vec<PathSegment>,
    /// Errors that the library did not tell.
    found: Vec<ServerError>,
}

impl Completion {
    /// An object's fields. `value` is null where the library dropped an object of which all fields failed.
    fn object(&mut self, shape: &Shape, value: ConstValue, failed: Option<&Failed>) -> Result<ConstValue, Lost> {
        let mut given = match value {
            ConstValue::Object(fields) => fields,
            _ => IndexMap::new(),
        };
        let mut fields = IndexMap::with_capacity(shape.entries.len());
        let mut lost = Ok(());
        for entry in &shape.entries {
            let value = given.swap_remove(&entry.key).unwrap_or_default();
            self.path.push(PathSegment::Field(entry.key.to_string()));
            match self.field(entry, value, Failed::at(failed, Step::Key(entry.key.to_string()))) {
                Ok(value) => drop(fields.insert(entry.key.clone(), value)),
                Err(Lost) => lost = Err(Lost),
            }
            self.path.pop();
        }
        lost.map(|()| ConstValue::Object(fields))
    }

    fn field(&mut self, entry: &Entry, value: ConstValue, failed: Option<&Failed>) -> Result<ConstValue, Lost> {
        let Some(fault) = &entry.fault else { return self.value(&entry.ty, &entry.below, value, failed) };
        self.found.push(fault.clone().with_path(self.path.clone()));
        if entry.ty.nullable { Ok(ConstValue::Null) } else { Err(Lost) }
    }

    fn value(
        &mut self,
        ty: &Type,
        below: &Below,
        value: ConstValue,
        failed: Option<&Failed>,
    ) -> Result<ConstValue, Lost> {
        let completed = match (&ty.base, below) {
            (BaseType::List(item), _) => self.list(item, below, value, failed),
            (BaseType::Named(_), Below::Leaf) => Ok(value),
            (BaseType::Named(_), Below::Object(shape)) => {
                self.dropped_or(value, failed, |it, value| it.object(shape, value, failed))
            }
            (BaseType::Named(_), Below::Abstract(shapes)) => match concrete(shapes, &value) {
                Some(shape) => self.object(shape, value, failed),
                None => Ok(ConstValue::Null),
            },
        };
        match completed {
            Ok(ConstValue::Null) if !ty.nullable => {
                if failed.is_none() {
                    self.found.push(self.unexpected_null());
                }
                Err(Lost)
            }
            Err(Lost) if ty.nullable => Ok(ConstValue::Null),
            completed => completed,
        }
    }

    /// An object that is there, or that is not told because all of its fields failed.
    fn dropped_or(
        &mut self,
        value: ConstValue,
        failed: Option<&Failed>,
        object: impl FnOnce(&mut Self, ConstValue) -> Result<ConstValue, Lost>,
    ) -> Result<ConstValue, Lost> {
        let is_there = value != ConstValue::Null || failed.is_some_and(|failed| !failed.is_here);
        if is_there { object(self, value) } else { Ok(ConstValue::Null) }
    }

    fn list(
        &mut self,
        item: &Type,
        below: &Below,
        value: ConstValue,
        failed: Option<&Failed>,
    ) -> Result<ConstValue, Lost> {
        let ConstValue::List(items) = value else { return Ok(value) };
        let mut completed = Vec::with_capacity(items.len());
        let mut lost = Ok(());
        for (index, value) in items.into_iter().enumerate() {
            self.path.push(PathSegment::Index(index));
            match self.value(item, below, value, Failed::at(failed, Step::Index(index))) {
                Ok(value) => completed.push(value),
                Err(Lost) => lost = Err(Lost),
            }
            self.path.pop();
        }
        lost.map(|()| ConstValue::List(completed))
    }

    /// A number that is none, for instance: nobody told of an error.
    fn unexpected_null(&self) -> ServerError {
        tracing::error!(path = ?self.path, "a field that must not be null gave null");
        let error = ServerError::new("could not give the field: internal error", None).with_path(self.path.clone());
        with_code(error, Code::Internal.as_str())
    }
}

/// The shape of an object of an abstract type.
fn concrete<'a>(shapes: &'a [(Name, Shape)], value: &ConstValue) -> Option<&'a Shape> {
    let ConstValue::Object(fields) = value else { return None };
    let ConstValue::String(name) = fields.get(HIDDEN_KEY)? else { return None };
    shapes.iter().find(|(member, _)| member == name).map(|(_, shape)| shape)
}
