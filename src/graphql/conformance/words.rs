//! The library's errors, readable: async-graphql 7.2.1 wraps what a scalar says into the names of all types around it, and
//! draws the parser's errors over several lines.

use async_graphql::ServerError;

use crate::error::Code;
use crate::graphql::fault::{code_of, refused};

/// Puts an error's message into one sentence. Of a value that a scalar does not take, it also tells what came and what was
/// expected; the library knows no more of its place than the scalar.
pub fn in_our_words(error: &mut ServerError) {
    if code_of(error).is_some() {
        return;
    }
    if let Some((scalar, got, expected)) = untaken(without_places(&error.message)) {
        let told = refused(Code::BadUserInput.as_str(), None, scalar, got, &expected);
        (error.message, error.extensions) = (told.message, told.extensions);
    } else if let Some(plain) = plain(&error.message) {
        error.message = plain;
    }
}

/// The scalar that does not take a value, what came, and what was expected.
fn untaken(message: &str) -> Option<(&str, &str, String)> {
    if let Some((scalar, said)) = message.strip_prefix("Failed to parse \"").and_then(|rest| rest.split_once("\": ")) {
        let (got, expected) = said.split_once(", expected ").unwrap_or((said, "another value"));
        return Some((scalar, got.strip_prefix("got ").unwrap_or(got), expected.to_owned()));
    }
    let (scalar, got) = message.strip_prefix("Expected input type \"")?.split_once("\", found ")?;
    Some((scalar, got.trim_end_matches('.'), format!("a value of type {scalar}")))
}

fn plain(message: &str) -> Option<String> {
    let (_, expected) = message.strip_prefix(" --> ")?.rsplit_once("  = ")?;
    Some(format!("query: {}", syntax(expected.trim())))
}

/// The message without each ` (occurred while parsing "…")` at its end.
fn without_places(mut message: &str) -> &str {
    while let Some((inner, _)) =
        message.rsplit_once(" (occurred while parsing \"").filter(|(_, place)| place.ends_with("\")"))
    {
        message = inner;
    }
    message
}

/// The parser's own names for what it looks for, as a reader knows them.
fn syntax(expected: &str) -> String {
    let words = expected
        .replace("executable_definition", "an operation or a fragment")
        .replace("selection_set", "a selection in braces")
        .replace("EOI", "the end")
        .replace('_', " ");
    format!("does not parse: {words}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(message: &str) -> String {
        let mut error = ServerError::new(message, None);
        in_our_words(&mut error);
        error.message
    }

    #[test]
    fn what_a_scalar_says_stands_for_itself() {
        for (message, expected) in [
            (
                "Failed to parse \"Vector\": got x, expected y (occurred while parsing \"SearchInput\")",
                "Vector: got x, expected y",
            ),
            (
                "Expected input type \"Int\", found null. (occurred while parsing \"A\") (occurred while parsing \"B\")",
                "Int: got null, expected a value of type Int",
            ),
            (
                " --> 1:2\n  |\n1 | {\n  |  ^---\n  |\n  = expected selection",
                "query: does not parse: expected selection",
            ),
        ] {
            assert_eq!(told(message), expected);
        }
        assert_eq!(told("input.name: got 1, expected 2"), "input.name: got 1, expected 2");
    }
}
