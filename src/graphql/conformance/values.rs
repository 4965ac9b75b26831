//! Whether a value is one of its type. <https://spec.graphql.org/September2025/#sec-Input-Objects.Input-Coercion> and its
//! likes for the other types.
//!
//! async-graphql 7.2.1 looks at no argument that holds an absent variable, takes strings for enum values in documents,
//! and says "expected type" without what came. What a scalar of the schema's own takes is left to it, but for JSON: its
//! numbers are such that 64 bits hold them exactly.

use std::borrow::Cow;

use async_graphql::indexmap::IndexMap;
use async_graphql::parser::types::{BaseType, Type};
use async_graphql::{Name, Variables};
use async_graphql_value::{ConstValue, Number, Value};

use super::types::{Inputs, Named, Types};
use crate::error::Code;
use crate::graphql::number;

/// Where values come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// A document: enum values are names.
    Document,
    /// JSON: enum values are strings.
    Json,
}

/// A value that is not of its type.
#[derive(Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// Where in the value, from the inside outwards.
    path: Vec<String>,
    /// What came.
    pub got: String,
    /// What was expected.
    pub expected: String,
    /// The document's fault, or the input's: a number of the right kind beyond its range.
    pub code: Code,
}

impl Mismatch {
    fn new(got: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { path: Vec::new(), got: got.into(), expected: expected.into(), code: Code::InvalidDocument }
    }

    fn of_number(got: impl Into<String>, expected: impl Into<String>) -> Self {
        Self { code: Code::BadUserInput, ..Self::new(got, expected) }
    }

    fn at(mut self, step: impl ToString) -> Self {
        self.path.push(step.to_string());
        self
    }

    /// Where, as a dotted path that begins with the value's own name.
    pub fn field(&self, name: &str) -> String {
        self.path.iter().rev().fold(name.to_owned(), |path, step| format!("{path}.{step}"))
    }
}

/// Compares values with types.
#[derive(Clone, Copy)]
pub struct Checker<'a> {
    /// The schema's types.
    pub types: &'a Types,
    /// Where the values come from.
    pub source: Source,
    /// What variables stand for, where that counts: null is no value of a type that is not nullable.
    pub variables: Option<&'a Variables>,
}

impl Checker<'_> {
    /// The first place where a value is not of its type.
    pub fn check<V: Input>(&self, ty: &Type, value: &V) -> Result<(), Mismatch> {
        match (value.view(), &ty.base) {
            (View::Variable(name), _) if ty.nullable || !self.is_null(name) => Ok(()),
            (View::Null, _) if ty.nullable => Ok(()),
            (View::Variable(_) | View::Null, _) => Err(Mismatch::new("null", self.describe(ty))),
            (View::List(items), BaseType::List(item)) => {
                items.iter().enumerate().try_for_each(|(index, it)| self.check(item, it).map_err(|no| no.at(index)))
            }
            // A single value stands for a list of one.
            (_, BaseType::List(item)) => self.check(item, value),
            (view, BaseType::Named(name)) => self.check_named(name, view, ty),
        }
    }

    fn is_null(&self, variable: &Name) -> bool {
        self.variables.is_some_and(|variables| variables.get(variable) == Some(&ConstValue::Null))
    }

    fn check_named<V: Input>(&self, name: &Name, view: View<'_, V>, ty: &Type) -> Result<(), Mismatch> {
        match (self.types.named(name), view) {
            (Some(Named::Input(inputs, is_one_of)), View::Object(fields)) => {
                self.check_object(inputs, *is_one_of, fields)
            }
            (Some(Named::Enum(values)), View::Enum(value)) if self.source == Source::Document => one_of(values, value),
            (Some(Named::Enum(values)), View::String(value)) if self.source == Source::Json => one_of(values, value),
            (Some(Named::Scalar), view) if name == JSON => check_numbers(view),
            (Some(Named::Scalar), view) if takes(name, &view) => Ok(()),
            (Some(Named::Scalar), view) if name == "Int" && view.is_whole() => {
                Err(Mismatch::of_number(view.describe(), self.describe(ty)))
            }
            (Some(Named::Input(..) | Named::Enum(_) | Named::Scalar), view) => {
                Err(Mismatch::new(view.describe(), self.describe(ty)))
            }
            // The library refuses what is unknown or no input type.
            _ => Ok(()),
        }
    }

    fn check_object<V: Input>(
        &self,
        inputs: &Inputs,
        is_one_of: bool,
        fields: &IndexMap<Name, V>,
    ) -> Result<(), Mismatch> {
        if let Some(unknown) = fields.keys().find(|name| !inputs.contains_key(*name)) {
            return Err(Mismatch::new("an unknown field", format!("one of {}", names(inputs.keys()))).at(unknown));
        }
        if is_one_of && fields.len() != 1 {
            let got = if fields.is_empty() { "none".to_owned() } else { names(fields.keys()) };
            return Err(Mismatch::new(got, format!("exactly one of {}", names(inputs.keys()))));
        }
        for (name, input) in inputs {
            match fields.get(name) {
                Some(value) if is_one_of => {
                    let ty = Type { nullable: false, ..input.ty.clone() };
                    self.check(&ty, value).map_err(|no| no.at(name))?;
                }
                Some(value) => self.check(&input.ty, value).map_err(|no| no.at(name))?,
                None if input.is_required() => {
                    return Err(Mismatch::new("nothing", self.describe(&input.ty)).at(name));
                }
                None => {}
            }
        }
        Ok(())
    }

    /// What a type takes, in words.
    pub fn describe(&self, ty: &Type) -> String {
        let name = match &ty.base {
            BaseType::List(item) => return format!("a list, each item {}", self.describe(item)),
            BaseType::Named(name) => name,
        };
        match (name.as_str(), self.types.named(name)) {
            ("Int", _) => format!("a whole number from {} to {} (Int)", i32::MIN, i32::MAX),
            ("Float", _) => "a number (Float)".to_owned(),
            ("String", _) => "a text (String)".to_owned(),
            ("Boolean", _) => "true or false (Boolean)".to_owned(),
            ("ID", _) => "a text or a whole number (ID)".to_owned(),
            (_, Some(Named::Enum(values))) => format!("one of {}", names(values.iter())),
            (name, Some(Named::Input(..))) => format!("an object ({name})"),
            (name, _) => format!("a value of type {name}"),
        }
    }
}

fn one_of(values: &[Name], value: &str) -> Result<(), Mismatch> {
    if values.iter().any(|known| known == value) {
        return Ok(());
    }
    Err(Mismatch::new(value, format!("one of {}", names(values.iter()))))
}

/// The scalar that takes any value of JSON.
const JSON: &str = "JSON";

/// Finds a number in a JSON value that would come back as another one.
fn check_numbers<V: Input>(view: View<'_, V>) -> Result<(), Mismatch> {
    match view {
        View::Digits(digits) => {
            Err(Mismatch::of_number(digits, "a number that 64 bits hold exactly; others as a text"))
        }
        View::List(items) => {
            items.iter().enumerate().try_for_each(|(index, it)| check_numbers(it.view()).map_err(|no| no.at(index)))
        }
        View::Object(fields) => {
            fields.iter().try_for_each(|(name, it)| check_numbers(it.view()).map_err(|no| no.at(name)))
        }
        _ => Ok(()),
    }
}

/// Names after one another, for a message.
fn names<'a>(names: impl Iterator<Item = &'a Name>) -> String {
    names.map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// Whether a scalar takes a value. <https://spec.graphql.org/September2025/#sec-Scalars.Built-in-Scalars>
fn takes<V>(scalar: &str, value: &View<'_, V>) -> bool {
    match (scalar, value) {
        ("Int", View::Number(number)) => number.as_i64().is_some_and(|number| i32::try_from(number).is_ok()),
        ("ID", View::Number(number)) => number.is_i64() || number.is_u64(),
        ("Float", View::Number(_) | View::Digits(_))
        | ("String" | "ID", View::String(_))
        | ("Boolean", View::Boolean(_)) => true,
        (name, _) => !super::types::is_built_in(name),
    }
}

/// A value of either kind: as a document has it, or as JSON has it.
pub trait Input: Sized {
    /// What it is.
    fn view(&self) -> View<'_, Self>;
}

/// What a value is.
pub enum View<'a, V> {
    /// `$name`.
    Variable(&'a Name),
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean(bool),
    /// A number.
    Number(&'a Number),
    /// The digits of a number that 64 bits do not hold exactly.
    Digits(&'a str),
    /// A text.
    String(&'a str),
    /// A bare name.
    Enum(&'a str),
    /// A list.
    List(&'a [V]),
    /// An object.
    Object(&'a IndexMap<Name, V>),
    /// An upload.
    Binary,
}

impl<V> View<'_, V> {
    fn describe(&self) -> Cow<'static, str> {
        match self {
            Self::Variable(name) => format!("${name}").into(),
            Self::Null => "null".into(),
            Self::Boolean(value) => value.to_string().into(),
            Self::Number(number) => number.to_string().into(),
            Self::String(text) => format!("\"{text:.100}\"").into(),
            Self::Digits(name) | Self::Enum(name) => name.to_string().into(),
            Self::List(_) => "a list".into(),
            Self::Object(_) => "an object".into(),
            Self::Binary => "a file".into(),
        }
    }

    /// Whether it is a whole number, of whatever size.
    fn is_whole(&self) -> bool {
        match self {
            // Beyond 64 bits a whole number comes as a decimal one.
            Self::Number(number) => {
                !number.is_f64() || number.as_f64().is_some_and(|n| n.fract() == 0.0 && n.abs() >= f64::from(i32::MAX))
            }
            Self::Digits(digits) => !digits.contains(['.', 'e', 'E']),
            _ => false,
        }
    }
}

macro_rules! views {
    ($value:ident $(, $variable:ident)?) => {
        impl Input for $value {
            fn view(&self) -> View<'_, Self> {
                match self {
                    $($value::$variable(name) => View::Variable(name),)?
                    $value::Null => View::Null,
                    $value::Boolean(value) => View::Boolean(*value),
                    $value::Number(number) => View::Number(number),
                    $value::String(text) => View::String(text),
                    $value::Enum(name) if number::is_digits(name) => View::Digits(name),
                    $value::Enum(name) => View::Enum(name),
                    $value::List(items) => View::List(items),
                    $value::Object(fields) => View::Object(fields),
                    $value::Binary(_) => View::Binary,
                }
            }
        }
    };
}

views!(Value, Variable);
views!(ConstValue);
