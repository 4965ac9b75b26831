//! Turns tokens into the engine's document. The engine's own parser (async-graphql-parser 7.2.1) is not used: it takes no
//! braced or paired Unicode escapes, keeps the escape of quotes in block strings, takes the last of two fields of one name
//! in an input object, wants directives of variables before their default, no blanks within types, reads `trueish` as two
//! values, knows no descriptions, and grows a list of attempts with each failure. An upgrade that mends all of it can
//! replace this room. <https://spec.graphql.org/September2025/#sec-Document-Syntax>
//!
//! It recurses as deep as brackets nest, which the lexer has bounded.

mod selection;
mod value;

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use async_graphql::parser::types::{
    BaseType, DocumentOperations, ExecutableDocument, FragmentDefinition, OperationDefinition, OperationType, Type,
    TypeCondition, VariableDefinition,
};
use async_graphql::{Name, Positioned};

use super::error::{DocumentError, Result};
use super::lexer::{Kind, Token};

/// The document that the tokens make; `tokens` ends with an end.
pub fn document(tokens: &[Token<'_>]) -> Result<ExecutableDocument> {
    let mut parser = Parser { tokens, next: 0 };
    let mut definitions = Definitions::default();
    while parser.peek().kind != Kind::End {
        parser.definition(&mut definitions)?;
    }
    definitions.into_document(parser.peek())
}

/// The definitions read so far, by name.
#[derive(Default)]
struct Definitions {
    anonymous: Option<Positioned<OperationDefinition>>,
    operations: HashMap<Name, Positioned<OperationDefinition>>,
    fragments: HashMap<Name, Positioned<FragmentDefinition>>,
}

impl Definitions {
    fn into_document(self, end: Token<'_>) -> Result<ExecutableDocument> {
        let operations = match self.anonymous {
            Some(anonymous) if self.operations.is_empty() => DocumentOperations::Single(anonymous),
            Some(anonymous) => {
                let expected = "a name for each operation where there are several";
                return Err(DocumentError::syntax(anonymous.pos, "an operation without a name", expected));
            }
            None if self.operations.is_empty() => {
                return Err(DocumentError::syntax(end.at, "no operation", "an operation"));
            }
            None => DocumentOperations::Multiple(self.operations),
        };
        Ok(ExecutableDocument { operations, fragments: self.fragments })
    }
}

struct Parser<'a> {
    tokens: &'a [Token<'a>],
    next: usize,
}

impl<'a> Parser<'a> {
    fn definition(&mut self, definitions: &mut Definitions) -> Result<()> {
        // Of an operation or a fragment; the shorthand of a query has none.
        let is_described = matches!(self.peek().kind, Kind::String | Kind::BlockString);
        if is_described {
            self.text()?;
        }
        let first = self.peek();
        match (first.kind, first.text) {
            (Kind::Name, "fragment") => self.fragment(definitions),
            (Kind::Name, "query" | "mutation" | "subscription") => self.operation(definitions),
            (Kind::Punctuator, "{") if !is_described => {
                let definition = OperationDefinition {
                    ty: OperationType::Query,
                    variable_definitions: Vec::new(),
                    directives: Vec::new(),
                    selection_set: self.selection_set()?,
                };
                Self::add_anonymous(definitions, Positioned::new(definition, first.at))
            }
            _ => Err(self.refuse("query, mutation, subscription, fragment or {")),
        }
    }

    fn operation(&mut self, definitions: &mut Definitions) -> Result<()> {
        let first = self.take();
        let ty = match first.text {
            "query" => OperationType::Query,
            "mutation" => OperationType::Mutation,
            _ => OperationType::Subscription,
        };
        let name = if self.peek().kind == Kind::Name { Some(self.name("a name")?) } else { None };
        let definition = OperationDefinition {
            ty,
            variable_definitions: self.variable_definitions()?,
            directives: self.directives(false)?,
            selection_set: self.selection_set()?,
        };
        let operation = Positioned::new(definition, first.at);
        match name {
            Some(name) => add(&mut definitions.operations, name, operation, "operation"),
            None => Self::add_anonymous(definitions, operation),
        }
    }

    fn add_anonymous(definitions: &mut Definitions, operation: Positioned<OperationDefinition>) -> Result<()> {
        match definitions.anonymous {
            Some(_) => Err(DocumentError::syntax(operation.pos, "a second operation without a name", "one at most")),
            None => {
                definitions.anonymous = Some(operation);
                Ok(())
            }
        }
    }

    fn fragment(&mut self, definitions: &mut Definitions) -> Result<()> {
        let first = self.take();
        if self.peek().text == "on" {
            return Err(self.refuse("the fragment's name"));
        }
        let name = self.name("the fragment's name")?;
        let Some(type_condition) = self.type_condition()? else { return Err(self.refuse("on and a type")) };
        let definition = FragmentDefinition {
            type_condition,
            directives: self.directives(false)?,
            selection_set: self.selection_set()?,
        };
        add(&mut definitions.fragments, name, Positioned::new(definition, first.at), "fragment")
    }

    fn type_condition(&mut self) -> Result<Option<Positioned<TypeCondition>>> {
        let first = self.peek();
        if (first.kind, first.text) != (Kind::Name, "on") {
            return Ok(None);
        }
        self.take();
        let on = self.name("the name of a type")?;
        Ok(Some(Positioned::new(TypeCondition { on }, first.at)))
    }

    fn variable_definitions(&mut self) -> Result<Vec<Positioned<VariableDefinition>>> {
        if !self.takes("(") {
            return Ok(Vec::new());
        }
        let mut definitions = vec![self.variable_definition()?];
        while !self.takes(")") {
            definitions.push(self.variable_definition()?);
        }
        Ok(definitions)
    }

    fn variable_definition(&mut self) -> Result<Positioned<VariableDefinition>> {
        if matches!(self.peek().kind, Kind::String | Kind::BlockString) {
            self.text()?;
        }
        let at = self.expect("$")?.at;
        let name = self.name("the variable's name")?;
        self.expect(":")?;
        let first = self.peek();
        let var_type = Positioned::new(self.type_reference()?, first.at);
        let default_value = if self.takes("=") { Some(self.constant()?) } else { None };
        let directives = self.directives(true)?;
        Ok(Positioned::new(VariableDefinition { name, var_type, directives, default_value }, at))
    }

    fn type_reference(&mut self) -> Result<Type> {
        let base = if self.takes("[") {
            let item = self.type_reference()?;
            self.expect("]")?;
            BaseType::List(Box::new(item))
        } else {
            BaseType::Named(self.name("a type")?.node)
        };
        Ok(Type { base, nullable: !self.takes("!") })
    }

    /// The next token, which is looked at only.
    fn peek(&self) -> Token<'a> {
        self.tokens[self.next]
    }

    /// The next token. The end is never passed.
    fn take(&mut self) -> Token<'a> {
        let token = self.peek();
        self.next += usize::from(token.kind != Kind::End);
        token
    }

    fn is_next(&self, punctuator: &str) -> bool {
        let token = self.peek();
        token.kind == Kind::Punctuator && token.text == punctuator
    }

    fn takes(&mut self, punctuator: &str) -> bool {
        let is_next = self.is_next(punctuator);
        self.next += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, punctuator: &str) -> Result<Token<'a>> {
        if self.is_next(punctuator) { Ok(self.take()) } else { Err(self.refuse(punctuator)) }
    }

    fn name(&mut self, expected: &str) -> Result<Positioned<Name>> {
        let token = self.peek();
        if token.kind != Kind::Name {
            return Err(self.refuse(expected));
        }
        self.take();
        Ok(Positioned::new(Name::new(token.text), token.at))
    }

    fn refuse(&self, expected: &str) -> Box<DocumentError> {
        let token = self.peek();
        let got = if token.kind == Kind::End { "the end of the text" } else { token.text };
        DocumentError::syntax(token.at, got, expected)
    }
}

fn add<T>(
    known: &mut HashMap<Name, Positioned<T>>,
    name: Positioned<Name>,
    definition: Positioned<T>,
    what: &str,
) -> Result<()> {
    match known.entry(name.node) {
        Entry::Vacant(place) => {
            place.insert(definition);
            Ok(())
        }
        Entry::Occupied(place) => {
            let got = format!("a second {what} {}", place.key());
            Err(DocumentError::syntax(name.pos, got, "each name once"))
        }
    }
}
