//! Values: scalars, lists, input objects, variables.

use async_graphql::{Name, Positioned};
use async_graphql_value::indexmap::IndexMap;
use async_graphql_value::{ConstValue, Value};

use super::super::lexer::{Kind, Token};
use super::super::literal;
use super::{DocumentError, Parser, Result};
use crate::graphql::number;

impl Parser<'_> {
    /// A value without variables.
    pub(super) fn constant(&mut self) -> Result<Positioned<ConstValue>> {
        let Positioned { pos, node } = self.value(true)?;
        let constant = node.into_const().ok_or_else(|| DocumentError::syntax(pos, "a variable", "a constant"))?;
        Ok(Positioned::new(constant, pos))
    }

    pub(super) fn value(&mut self, is_constant: bool) -> Result<Positioned<Value>> {
        let first = self.peek();
        let value = match (first.kind, first.text) {
            (Kind::Punctuator, "$") if !is_constant => {
                self.take();
                Value::Variable(self.name("the variable's name")?.node)
            }
            (Kind::Punctuator, "[") => self.list(is_constant)?,
            (Kind::Punctuator, "{") => self.object(is_constant)?,
            (Kind::Number, _) => self.number()?,
            (Kind::String | Kind::BlockString, _) => Value::String(self.text()?),
            (Kind::Name, _) => named(self.take()),
            _ => return Err(self.refuse(if is_constant { "a constant" } else { "a value" })),
        };
        Ok(Positioned::new(value, first.at))
    }

    fn list(&mut self, is_constant: bool) -> Result<Value> {
        self.expect("[")?;
        let mut items = Vec::new();
        while !self.takes("]") {
            items.push(self.value(is_constant)?.node);
        }
        Ok(Value::List(items))
    }

    fn object(&mut self, is_constant: bool) -> Result<Value> {
        self.expect("{")?;
        let mut fields = IndexMap::new();
        while !self.takes("}") {
            let name = self.name("the name of an input field")?;
            self.expect(":")?;
            let value = self.value(is_constant)?.node;
            if fields.contains_key(&name.node) {
                let got = format!("a second field {}", name.node);
                return Err(DocumentError::syntax(name.pos, got, "each input field once"));
            }
            fields.insert(name.node, value);
        }
        Ok(Value::Object(fields))
    }

    fn number(&mut self) -> Result<Value> {
        let token = self.take();
        let read = number::read(token.text).map(ConstValue::into_value);
        read.ok_or_else(|| DocumentError::syntax(token.at, token.text, "a number within 64-bit floating point"))
    }

    /// The value of a string, which comes next.
    pub(super) fn text(&mut self) -> Result<String> {
        let Token { kind, text, at } = self.take();
        if kind == Kind::BlockString {
            return Ok(literal::block_string(text));
        }
        literal::string(text).map_err(|escape| DocumentError::syntax(at, escape, "an escape of a Unicode character"))
    }
}

fn named(token: Token<'_>) -> Value {
    match token.text {
        "true" => Value::Boolean(true),
        "false" => Value::Boolean(false),
        "null" => Value::Null,
        other => Value::Enum(Name::new(other)),
    }
}
