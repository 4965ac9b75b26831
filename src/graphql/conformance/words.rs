//! The library's errors, readable: async-graphql 7.2.1 wraps what a scalar says into the names of all types around it, and
//! draws the parser's errors over several lines.

use async_graphql::ServerError;

/// Puts an error's message into one sentence.
pub fn in_our_words(error: &mut ServerError) {
    if let Some(plain) = plain(&error.message) {
        error.message = plain;
    }
}

fn plain(message: &str) -> Option<String> {
    if message.starts_with(" --> ") {
        return message.rsplit_once("  = ").map(|(_, expected)| format!("query: {}", syntax(expected.trim())));
    }
    let inner = without_places(message);
    if let Some((_, said)) = inner.strip_prefix("Failed to parse \"").and_then(|rest| rest.split_once("\": ")) {
        return Some(said.to_owned());
    }
    let rest = inner.strip_prefix("Expected input type \"")?;
    let (expected, got) = rest.split_once("\", found ")?;
    Some(format!("got {}, expected a value of type {expected}", got.trim_end_matches('.')))
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

    #[test]
    fn what_a_scalar_says_stands_for_itself() {
        for (message, expected) in [
            (
                "Failed to parse \"Vector\": got x, expected y (occurred while parsing \"SearchInput\")",
                "got x, expected y",
            ),
            (
                "Expected input type \"Int\", found null. (occurred while parsing \"A\") (occurred while parsing \"B\")",
                "got null, expected a value of type Int",
            ),
            (
                " --> 1:2\n  |\n1 | {\n  |  ^---\n  |\n  = expected selection",
                "query: does not parse: expected selection",
            ),
        ] {
            assert_eq!(plain(message).as_deref(), Some(expected));
        }
        assert_eq!(plain("input.name: got 1, expected 2"), None);
    }
}
