//! Paging, once for all lists: Relay connections over a key in ascending order.
//! <https://relay.dev/graphql/connections.htm>

use async_graphql::connection::{Connection, Edge, EmptyFields};
use async_graphql::{ObjectType, OutputType};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::check;
use crate::error::{Error, Result};

/// Rows on a page where the caller does not say.
pub const DEFAULT_FIRST: i32 = 20;

/// A position in a list, opaque to callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cursor {
    /// After the row of this id.
    Id(Uuid),
    /// After this number.
    Number(i64),
}

impl Cursor {
    /// As callers see it.
    pub fn encode(self) -> String {
        match self {
            Self::Id(id) => URL_SAFE_NO_PAD.encode(id.as_bytes()),
            Self::Number(number) => URL_SAFE_NO_PAD.encode(number.to_be_bytes()),
        }
    }

    fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        match bytes.len() {
            16 => Some(Self::Id(Uuid::from_slice(&bytes).ok()?)),
            // No list counts below zero.
            8 => Some(i64::from_be_bytes(bytes.try_into().ok()?)).filter(|number| *number >= 0).map(Self::Number),
            _ => None,
        }
    }
}

/// What a caller asks of a list of rows with ids.
pub fn id_after(field: &str, after: Option<&str>) -> Result<Option<Uuid>> {
    match decode(field, after)? {
        None => Ok(None),
        Some(Cursor::Id(id)) => Ok(Some(id)),
        Some(Cursor::Number(_)) => Err(not_ours(field, after)),
    }
}

/// What a caller asks of a numbered list.
pub fn number_after(field: &str, after: Option<&str>) -> Result<Option<i64>> {
    match decode(field, after)? {
        None => Ok(None),
        Some(Cursor::Number(number)) => Ok(Some(number)),
        Some(Cursor::Id(_)) => Err(not_ours(field, after)),
    }
}

fn decode(field: &str, after: Option<&str>) -> Result<Option<Cursor>> {
    let decoded = after.map(|text| Cursor::decode(text).ok_or_else(|| not_ours(field, after)));
    decoded.transpose()
}

fn not_ours(field: &str, after: Option<&str>) -> Error {
    Error::input(field, after.unwrap_or_default(), "a cursor that this list gave")
}

/// How many rows to read for a page of `first`: one more tells whether there is a next page.
pub fn rows_to_read(field: &str, first: i32, limit: usize) -> Result<(u32, u64)> {
    let first = check::page_size(field, first, limit)?;
    Ok((first, u64::from(first) + 1))
}

/// The page made of what [`rows_to_read`] asked for.
pub fn connection<Row, Node, Total>(
    rows: Vec<Row>,
    first: u32,
    had_after: bool,
    total: Total,
    cursor: impl Fn(&Row) -> Cursor,
) -> Connection<String, Node, Total, EmptyFields>
where
    Node: OutputType + From<Row>,
    Total: ObjectType,
{
    let has_next = rows.len() > first as usize;
    let mut page = Connection::with_additional_fields(had_after, has_next, total);
    let edges = rows.into_iter().take(first as usize).map(|row| Edge::new(cursor(&row).encode(), Node::from(row)));
    page.edges.extend(edges);
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_round_trip() {
        for cursor in [Cursor::Id(Uuid::now_v7()), Cursor::Number(0), Cursor::Number(i64::MAX)] {
            assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
        }
    }

    #[test]
    fn a_cursor_that_the_list_did_not_give_is_refused_by_field() {
        let number = Cursor::Number(7).encode();
        for text in ["", "x", "💥", "AAAA", &number, &URL_SAFE_NO_PAD.encode([0xff; 8])] {
            let error = id_after("after", Some(text)).expect_err(text);
            assert_eq!(error.field.as_deref(), Some("after"));
        }
        assert!(number_after("after", Some(&Cursor::Id(Uuid::nil()).encode())).is_err());
    }
}
