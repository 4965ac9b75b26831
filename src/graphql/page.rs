//! Paging, once for all lists: Relay connections over a key in ascending or descending order. A cursor names its list
//! beside its place there, so that no list goes on from another one's.
//! <https://relay.dev/graphql/connections.htm>

use std::fmt::Debug;

use async_graphql::OutputType;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::check;
use super::types::connection::Connection;
use crate::error::{Error, Result};

/// Rows on a page where the caller does not say.
pub const DEFAULT_FIRST: i32 = 20;

/// A place in a list. It need not be that of a row that is still there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Place {
    /// After the row of this id.
    Id(Uuid),
    /// After this number.
    Number(i64),
}

/// First byte of every cursor: other forms, such as signed ones, get another.
const FORM: u8 = 1;
/// Bytes that tell lists apart: a cursor meets another list by mistake, not by search.
const LIST_BYTES: usize = 8;

/// A list, as far as its cursors tell it from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct List([u8; LIST_BYTES]);

impl List {
    /// The list of this name under what it is bound to: whose it is, its filter. The same in every process.
    pub fn new(name: &str, bound_to: &impl Debug) -> Self {
        let digest = Sha256::digest(format!("{name} {bound_to:?}"));
        let mut list = [0; LIST_BYTES];
        list.copy_from_slice(&digest[..LIST_BYTES]);
        Self(list)
    }

    /// A place as callers see it: opaque.
    pub fn cursor(self, place: Place) -> String {
        let mut bytes = vec![FORM];
        bytes.extend(self.0);
        match place {
            Place::Id(id) => bytes.extend(id.as_bytes()),
            Place::Number(number) => bytes.extend(number.to_be_bytes()),
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The id after which a caller wants to go on.
    pub fn id_after(self, field: &str, after: Option<&str>) -> Result<Option<Uuid>> {
        self.after(field, after, |place| match place {
            Place::Id(id) => Some(id),
            Place::Number(_) => None,
        })
    }

    /// The number after which a caller wants to go on, in a list whose last row has the number `last`.
    pub fn number_after(self, field: &str, after: Option<&str>, last: i64) -> Result<Option<i64>> {
        self.after(field, after, |place| match place {
            Place::Number(number) => Some(number).filter(|number| (0..=last).contains(number)),
            Place::Id(_) => None,
        })
    }

    fn after<T>(self, field: &str, after: Option<&str>, fits: impl Fn(Place) -> Option<T>) -> Result<Option<T>> {
        let Some(cursor) = after else { return Ok(None) };
        let foreign = || Error::input(field, cursor, "a cursor that this list gave, under the same filter");
        self.place(cursor).and_then(fits).map(Some).ok_or_else(foreign)
    }

    fn place(self, cursor: &str) -> Option<Place> {
        let bytes = URL_SAFE_NO_PAD.decode(cursor).ok()?;
        let place = bytes.strip_prefix(&[FORM])?.strip_prefix(&self.0)?;
        match place.len() {
            16 => Some(Place::Id(Uuid::from_slice(place).ok()?)),
            8 => Some(Place::Number(i64::from_be_bytes(place.try_into().ok()?))),
            _ => None,
        }
    }

    /// The page made of what [`rows_to_read`] asked for.
    pub fn page<Row, Node, Total>(
        self,
        rows: Vec<Row>,
        first: u32,
        had_after: bool,
        total: Total,
        place: impl Fn(&Row) -> Place,
    ) -> Connection<Node, Total>
    where
        Node: OutputType + From<Row>,
    {
        let has_next = rows.len() > first as usize;
        let shown = rows.into_iter().take(first as usize);
        let items = shown.map(|row| (self.cursor(place(&row)), Node::from(row)));
        Connection::new(items, total, had_after, has_next)
    }
}

/// How many rows to read for a page of `first`: one more tells whether there is a next page.
pub fn rows_to_read(field: &str, first: i32, limit: usize) -> Result<(u32, u64)> {
    let first = check::page_size(field, first, limit)?;
    Ok((first, u64::from(first) + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(run: u128) -> List {
        List::new("run events", &Uuid::from_u128(run))
    }

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let id = Uuid::now_v7();
        let cursor = events(1).cursor(Place::Id(id));
        assert_eq!(events(1).id_after("after", Some(&cursor)).expect("our own"), Some(id));
        for number in [0, 1, i64::MAX] {
            let cursor = events(1).cursor(Place::Number(number));
            assert_eq!(events(1).number_after("after", Some(&cursor), number).expect("our own"), Some(number));
        }
        assert_eq!(events(1).number_after("after", None, 0).expect("no cursor"), None);
    }

    #[test]
    fn a_cursor_that_the_list_did_not_give_is_refused_by_field() {
        let (id, number) = (Place::Id(Uuid::nil()), Place::Number(7));
        let others = [
            events(2).cursor(number),
            List::new("job events", &Uuid::from_u128(1)).cursor(number),
            events(1).cursor(id),
            events(1).cursor(Place::Number(8)),
            events(1).cursor(Place::Number(-1)),
            URL_SAFE_NO_PAD.encode(7_i64.to_be_bytes()),
        ];
        let broken = ["", "x", "💥", "AAAA"].map(str::to_owned);
        for cursor in others.into_iter().chain(broken) {
            let error = events(1).number_after("after", Some(&cursor), 7).expect_err(&cursor);
            assert_eq!(error.field.as_deref(), Some("after"));
        }
        assert!(events(1).id_after("after", Some(&events(1).cursor(number))).is_err());
        assert!(events(1).id_after("after", Some(&events(2).cursor(id))).is_err());
    }

    #[test]
    fn lists_differ_by_name_by_owner_and_by_filter() {
        let lists = [
            List::new("documents", &(1, "a")),
            List::new("chunks", &(1, "a")),
            List::new("documents", &(2, "a")),
            List::new("documents", &(1, "b")),
        ];
        for (index, list) in lists.iter().enumerate() {
            assert!(!lists[index + 1..].contains(list), "{index}");
        }
    }
}
