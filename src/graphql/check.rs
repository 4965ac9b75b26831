//! The shape of input: lengths, NUL bytes, JSON objects, page sizes.

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
    let expected = || format!("{least} to {most} characters, without NUL");
    let length = value.chars().count();
    if length > most {
        return Err(Error::input(field, format!("{length} characters"), expected()));
    }
    if length < least || (least > 0 && value.trim().is_empty()) {
        return Err(Error::input(field, format!("\"{value}\""), expected()));
    }
    if value.contains('\0') {
        return Err(Error::input(field, "a text with a NUL byte", expected()));
    }
    Ok(value)
}

/// As [`text`], where something was given.
pub fn optional_text(field: &str, value: Option<String>, least: usize, most: usize) -> Result<Option<String>> {
    value.map(|value| text(field, value, least, most)).transpose()
}

/// A source URI of at least `least` and at most [`URI_LIMIT`] characters, where something was given. What counts is what
/// its writer wrote: a character that is percent-encoded is one, though it takes up to twelve.
pub fn optional_uri(field: &str, value: Option<String>, least: usize) -> Result<Option<String>> {
    let Some(value) = value else { return Ok(None) };
    let written = percent_decode_str(&value).decode_utf8_lossy().chars().count();
    if written > URI_LIMIT {
        let expected = format!("{least} to {URI_LIMIT} characters, without NUL");
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
    if let Some((path, number)) = rounded(&value) {
        let field = format!("{field}.{path}");
        return Err(Error::input(field, number, "a number from -2^63 up to below 2^64; larger ones as a text"));
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

/// The first number that may have been an integer which nothing here holds exactly: it came as the nearest floating-point
/// number, and as such may be a whole one too.
fn rounded(value: &Json) -> Option<(String, f64)> {
    let below = |place: String, value: &Json| {
        let (path, number) = rounded(value)?;
        Some((if path.is_empty() { place } else { format!("{place}.{path}") }, number))
    };
    match value {
        Json::Number(number) => {
            let number = number.as_f64().filter(|_| number.is_f64())?;
            (number >= U64_END || number <= I64_START).then(|| (String::new(), number))
        }
        Json::Array(items) => items.iter().enumerate().find_map(|(index, item)| below(index.to_string(), item)),
        Json::Object(fields) => fields.iter().find_map(|(name, value)| below(name.clone(), value)),
        _ => None,
    }
}

/// 2^64: from there on integers came as floating-point numbers.
const U64_END: f64 = 18_446_744_073_709_551_616.0;
/// -2^63, which itself comes as an integer where it was written as one.
const I64_START: f64 = -9_223_372_036_854_775_808.0;

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

/// A page size of 1 to `most`.
pub fn page_size(field: &str, first: i32, most: usize) -> Result<u32> {
    u32::try_from(first)
        .ok()
        .filter(|size| (1..=most).contains(&(*size as usize)))
        .ok_or_else(|| Error::input(field, first, format!("1 to {most}")))
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
    fn an_integer_that_was_rounded_is_refused_by_its_place() {
        for number in ["18446744073709551616", "-9223372036854775809", "1e300", "-1e19"] {
            let value = serde_json::from_str(&format!("{{\"a\": [0, {{\"b\": {number}}}]}}")).expect("it is JSON");
            let error = object("input.metadata", value, 100).expect_err(number);
            assert_eq!(error.field.as_deref(), Some("input.metadata.a.1.b"), "{number}");
        }
        for number in ["18446744073709551615", "-9223372036854775808", "9007199254740993", "1.5e18", "1e-300", "-0.0"] {
            let value = serde_json::from_str(&format!("{{\"a\": {number}}}")).expect("it is JSON");
            assert!(object("input.metadata", value, 100).is_ok(), "{number}");
        }
    }

    #[test]
    fn a_page_has_between_one_row_and_the_limit() {
        for first in [0, -1, 101, i32::MAX, i32::MIN] {
            assert!(page_size("first", first, 100).is_err(), "{first}");
        }
        assert_eq!(page_size("first", 100, 100).expect("the limit itself"), 100);
    }
}
