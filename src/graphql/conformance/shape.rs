//! What an answer must look like.

use async_graphql::parser::types::{BaseType, Type};
use async_graphql::{Name, ServerError};

/// The fields of an object, in order.
#[derive(Debug, Default)]
pub struct Shape {
    /// Each with its response key.
    pub entries: Vec<Entry>,
}

/// One field.
#[derive(Debug)]
pub struct Entry {
    /// Its response key.
    pub key: Name,
    /// Its type.
    pub ty: Type,
    /// What is in it.
    pub below: Below,
    /// Why it does not run.
    pub fault: Option<ServerError>,
}

impl Entry {
    /// `__typename`, which never fails.
    pub fn typename(key: Name) -> Self {
        let ty = Type { base: BaseType::Named(Name::new("String")), nullable: false };
        Self { key, ty, below: Below::Leaf, fault: None }
    }
}

/// What is in a value, inside all lists.
#[derive(Debug)]
pub enum Below {
    /// Nothing that was selected.
    Leaf,
    /// An object.
    Object(Shape),
    /// An object of one of these types; it tells which under [`hidden_key`].
    Abstract(Vec<(Name, Shape)>),
}

/// The response key under which objects tell their types to us: no name that a caller could write.
pub fn hidden_key() -> Name {
    Name::new(HIDDEN_KEY)
}

/// As [`hidden_key`].
pub const HIDDEN_KEY: &str = " typename";
