//! What is asked for: fields, fragments, arguments, directives.

use std::collections::HashSet;

use async_graphql::parser::types::{Directive, Field, FragmentSpread, InlineFragment, Selection, SelectionSet};
use async_graphql::{Name, Positioned};
use async_graphql_value::Value;

use super::super::lexer::Kind;
use super::{DocumentError, Parser, Result};

type Arguments = Vec<(Positioned<Name>, Positioned<Value>)>;

impl Parser<'_> {
    pub(super) fn selection_set(&mut self) -> Result<Positioned<SelectionSet>> {
        let at = self.expect("{")?.at;
        let mut items = vec![self.selection()?];
        while !self.takes("}") {
            items.push(self.selection()?);
        }
        Ok(Positioned::new(SelectionSet { items }, at))
    }

    fn selection(&mut self) -> Result<Positioned<Selection>> {
        let at = self.peek().at;
        let selection = if self.takes("...") {
            let next = self.peek();
            if next.kind == Kind::Name && next.text != "on" {
                Selection::FragmentSpread(Positioned::new(self.fragment_spread()?, at))
            } else {
                Selection::InlineFragment(Positioned::new(self.inline_fragment()?, at))
            }
        } else {
            Selection::Field(Positioned::new(self.field()?, at))
        };
        Ok(Positioned::new(selection, at))
    }

    fn fragment_spread(&mut self) -> Result<FragmentSpread> {
        let fragment_name = self.name("a fragment's name")?;
        Ok(FragmentSpread { fragment_name, directives: self.directives(false)? })
    }

    fn inline_fragment(&mut self) -> Result<InlineFragment> {
        let type_condition = self.type_condition()?;
        let directives = self.directives(false)?;
        Ok(InlineFragment { type_condition, directives, selection_set: self.selection_set()? })
    }

    fn field(&mut self) -> Result<Field> {
        let first = self.name("a field")?;
        let (alias, name) =
            if self.takes(":") { (Some(first), self.name("the field of the alias")?) } else { (None, first) };
        let arguments = self.arguments(false)?;
        let directives = self.directives(false)?;
        let selection_set = if self.is_next("{") { self.selection_set()? } else { Positioned::default() };
        Ok(Field { alias, name, arguments, directives, selection_set })
    }

    /// None of our directives is repeatable; the engine does not look at those of `__typename`. `is_constant` where no
    /// variables may be used.
    pub(super) fn directives(&mut self, is_constant: bool) -> Result<Vec<Positioned<Directive>>> {
        let (mut directives, mut names) = (Vec::new(), HashSet::new());
        while self.is_next("@") {
            let at = self.take().at;
            let name = self.name("a directive's name")?;
            if !names.insert(name.node.clone()) {
                let got = format!("a second directive @{}", name.node);
                return Err(DocumentError::syntax(at, got, "each directive once in a place"));
            }
            directives.push(Positioned::new(Directive { name, arguments: self.arguments(is_constant)? }, at));
        }
        Ok(directives)
    }

    fn arguments(&mut self, is_constant: bool) -> Result<Arguments> {
        if !self.takes("(") {
            return Ok(Vec::new());
        }
        let mut arguments = vec![self.argument(is_constant)?];
        while !self.takes(")") {
            arguments.push(self.argument(is_constant)?);
        }
        Ok(arguments)
    }

    fn argument(&mut self, is_constant: bool) -> Result<(Positioned<Name>, Positioned<Value>)> {
        let name = self.name("an argument")?;
        self.expect(":")?;
        Ok((name, self.value(is_constant)?))
    }
}
