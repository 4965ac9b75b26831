//! The shape of input: lengths, NUL bytes, JSON objects, page sizes.

use std::ops::RangeInclusive;

use percent_encoding::percent_decode_str;
use serde_json::Value as Json;

use crate::error::{Code, Error, Result};

/// Longest name, title, author and tag, in characters.
pub const NAME_LIMIT: usize = 255;
/// Longest description, in characters.
pub const DESCRIPTION_LIMIT: usize = 10_000;
/// Longest source URI, in characters: what browsers and proxies take at least.
pub const URI_LIMIT: usize = 2_048;
/// Most tags of a document.
pub const TAGS_LIMIT: usize = 100;

/// A text of `least` to `most` characters without NUL bytes, which PostgreSQL cannot store.
pub fn text(field: &str, value: String, least: usize, most: usize) -> Result<String> {
    let length = value.chars().count();
    if length > most {
        return Err(Error::input(field, format!("{length} characters"), format!("{least} to {most} characters")));
    }
    if least > 0 && value.trim().is_empty() {
        let got = if value.is_empty() { "an empty text" } else { "a text of white space" };
        return Err(Error::input(field, got, format!("{least} to {most} characters that say something")));
    }
    if length < least {
        return Err(Error::input(field, format!("\"{value}\""), format!("{least} to {most} characters")));
    }
    if value.contains('\0') {
        return Err(Error::input(field, "a text with a NUL byte", "a text without NUL"));
    }
    Ok(value)
}

/// As [`text()`], where something was given.
pub fn optional_text(field: &str, value: Option<String>, least: usize, most: usize) -> Result<Option<String>> {
    value.map(|value| text(field, value, least, most)).transpose()
}

/// A source URI of at least `least` and at most [`URI_LIMIT`] characters, where something was given. What counts is what
/// its writer wrote: a character that is percent-encoded is one, though it takes up to twelve.
pub fn optional_uri(field: &str, value: Option<String>, least: usize) -> Result<Option<String>> {
    let Some(value) = value else { return Ok(None) };
    let written = percent_decode_str(&value).decode_utf8_lossy().chars().count();
    if written > URI_LIMIT {
        let expected = format!("{least} to {URI_LIMIT} characters");
        return Err(Error::input(field, format!("{written} characters"), expected));
    }
    let most = value.chars().count().max(URI_LIMIT);
    text(field, value, least, most).map(Some)
}

/// A JSON object of at most `limit` bytes without NUL in any string.
pub fn object(field: &str, value: Json, limit: usize) -> Result<Json> {
    if !value.is_object() {
        return Err(Error::input(field, value, "a JSON object"));
    }
    let text = value.to_string();
    if text.len() > limit {
        let got = format!("{} bytes", text.len());
        return Err(Error::refused(Code::PayloadTooLarge, field, got, format!("at most {limit} bytes of JSON")));
    }
    if has_nul(&value) {
        return Err(Error::input(field, "a text with a NUL byte", "JSON without NUL"));
    }
    Ok(value)
}

/// As [`object`], where something was given.
pub fn optional_object(field: &str, value: Option<Json>, limit: usize) -> Result<Option<Json>> {
    value.map(|value| object(field, value, limit)).transpose()
}

fn has_nul(value: &Json) -> bool {
    match value {
        Json::String(text) => text.contains('\0'),
        Json::Array(items) => items.iter().any(has_nul),
        Json::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

/// A SHA-256 in hexadecimal.
pub fn sha256(field: &str, value: &str) -> Result<Vec<u8>> {
    let bytes = hex::decode(value).ok().filter(|bytes| bytes.len() == 32);
    bytes.ok_or_else(|| Error::input(field, value, "a SHA-256, 64 hexadecimal digits"))
}

/// A whole number of a range.
pub fn whole(field: &str, value: i32, range: RangeInclusive<u32>) -> Result<u32> {
    let number = u32::try_from(value).ok().filter(|number| range.contains(number));
    number.ok_or_else(|| Error::input(field, value, format!("{} to {}", range.start(), range.end())))
}

/// A page size of 1 to `most`.
pub fn page_size(field: &str, first: i32, most: usize) -> Result<u32> {
    whole(field, first, 1..=u32::try_from(most).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn text_is_refused_when_too_short_too_long_blank_or_with_nul() {
        for value in ["", "   ", "a\0b", &"é".repeat(256)] {
            let error = text("input.name", value.to_owned(), 1, NAME_LIMIT).expect_err(value);
            assert_eq!(error.field.as_deref(), Some("input.name"));
        }
        assert!(text("input.name", "é".repeat(255), 1, NAME_LIMIT).is_ok());
    }

    #[test]
    fn a_source_uri_is_as_long_as_its_writer_wrote_it() {
        let uri = |path: &str| optional_uri("input.sourceUri", Some(format!("file:///{path}")), 1);
        let encoded = |n| "%E6%97%A5".repeat(n);
        for path in [&*"日".repeat(2_040), &encoded(2_040), &"a".repeat(2_040)] {
            assert!(uri(path).is_ok(), "{} bytes", path.len());
        }
        for path in [&*"日".repeat(2_041), &encoded(2_041), &"a".repeat(2_041), &"%80".repeat(2_041), "a\0b"] {
            assert_eq!(uri(path).expect_err(path).field.as_deref(), Some("input.sourceUri"));
        }
        assert!(optional_uri("sourceUri", Some(" ".to_owned()), 1).is_err());
    }

    #[test]
    fn only_a_json_object_of_bounded_size_without_nul_is_metadata() {
        for value in
            [json!([]), json!("x"), json!(null), json!({"a": ["\0"]}), json!({"\0": 1}), json!({"a": "x".repeat(99)})]
        {
            assert!(object("input.metadata", value.clone(), 64).is_err(), "{value}");
        }
        assert!(object("input.metadata", json!({"a": {"b": [1, "x"]}}), 64).is_ok());
    }

    #[test]
    fn a_page_has_between_one_row_and_the_limit() {
        for first in [0, -1, 101, i32::MAX, i32::MIN] {
            assert!(page_size("first", first, 100).is_err(), "{first}");
        }
        assert_eq!(page_size("first", 100, 100).expect("the limit itself"), 100);
    }
}
