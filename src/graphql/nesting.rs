//! How deep the brackets of a document nest, told before it is parsed: the engine's parser recurses into values without
//! a limit, and a stack that overflows ends the process.

use std::sync::Arc;

use async_graphql::extensions::{Extension, ExtensionContext, ExtensionFactory, NextParseQuery};
use async_graphql::parser::types::ExecutableDocument;
use async_graphql::{ServerError, ServerResult, Variables};

/// Deepest nesting of brackets. Fields are bound by `graphql.depth_limit`; this leaves room for metadata inside them.
pub const LIMIT: usize = 200;

/// The extension, for the schema's builder.
pub struct LimitNesting;

impl ExtensionFactory for LimitNesting {
    fn create(&self) -> Arc<dyn Extension> {
        Arc::new(LimitNesting)
    }
}

#[async_trait::async_trait]
impl Extension for LimitNesting {
    async fn parse_query(
        &self,
        ctx: &ExtensionContext<'_>,
        query: &str,
        variables: &Variables,
        next: NextParseQuery<'_>,
    ) -> ServerResult<ExecutableDocument> {
        if is_too_deep(query) {
            let message = format!("query: got brackets that nest deeper than {LIMIT}, expected fewer levels");
            return Err(ServerError::new(message, None));
        }
        next.run(ctx, query, variables).await
    }
}

/// Whether brackets outside strings and comments nest deeper than [`LIMIT`]. Sees strings and comments where the
/// engine's grammar does, so that nothing hides from it in what is none.
pub fn is_too_deep(document: &str) -> bool {
    let mut depth = 0_usize;
    let mut rest = document.as_bytes();
    while let [byte, tail @ ..] = rest {
        match byte {
            b'{' | b'[' | b'(' => depth += 1,
            b'}' | b']' | b')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > LIMIT {
            return true;
        }
        rest = match byte {
            b'#' => after_comment(tail),
            b'"' => after_string(tail),
            _ => tail,
        };
    }
    false
}

fn after_comment(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
    end.map_or(&[], |end| &text[end..])
}

/// What follows a string whose first quote was read. Three quotes without their like begin an empty string and another.
fn after_string(text: &[u8]) -> &[u8] {
    let block = text.strip_prefix(b"\"\"").and_then(|block| after(block, b"\"\"\"", b"\\\"\"\""));
    block.or_else(|| after(text, b"\"", b"\\")).unwrap_or_default()
}

/// What follows the next `end`; an `escape`, which is two bytes at least, is passed over.
fn after<'a>(mut text: &'a [u8], end: &[u8], escape: &[u8]) -> Option<&'a [u8]> {
    while !text.is_empty() {
        if let Some(rest) = text.strip_prefix(end) {
            return Some(rest);
        }
        let passed = if text.starts_with(escape) { escape.len().max(2) } else { 1 };
        text = text.get(passed..).unwrap_or_default();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_brackets_that_the_parser_would_follow_count() {
        let open = "[".repeat(LIMIT + 1);
        for (document, expected) in [
            (open.clone(), true),
            (format!("{{ a(b: {}", "{ c: [".repeat(LIMIT)), true),
            ("[".repeat(LIMIT), false),
            ("[]{}()".repeat(LIMIT + 1), false),
            (format!("{{ a(b: \"{open}\") }}"), false),
            (format!("{{ a(b: \"\\\"{open}\") }}"), false),
            (format!("{{ a(b: \"\\\\\", c: {open}) }}"), true),
            (format!("{{ a(b: \"\"\"\" {open} \\\"\"\" {open}\"\"\") }}"), false),
            (format!("{{ a(b: \"\"\"\\\"\"\"\" \"\"\", c: {open}) }}"), true),
            (format!("{{ a(b: \"\"\"\\\\\"\"\" {open}\"\"\") }}"), false),
            (format!("{{ a(b: \"\") }} {open}"), true),
            (format!("# \\{open}\n{{ a }}"), false),
            (format!("# \\\n{open}"), true),
            (format!("# \r{open}"), true),
            (format!("[\"\"\"x\" {open}"), true),
            (format!("# \" {open}\n{{ a }}"), false),
        ] {
            assert_eq!(is_too_deep(&document), expected, "{document:.60}");
        }
    }
}
