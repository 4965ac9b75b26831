//! JSON text as values of GraphQL, and every way in which it may be none told in our words. Stricter than the parser under
//! it where leniency loses something unnoticed: a name given twice, depth, number of values.

use std::cell::{Cell, RefCell};
use std::fmt;

use async_graphql::indexmap::IndexMap;
use async_graphql::{Name, Number, Value};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use crate::error::{Code, Error, Result};
use crate::graphql::number;

/// Deepest nesting of values, a little under the 127 at which the parser stops: metadata needs a handful.
const DEPTH_LIMIT: usize = 120;

/// Where a text came from, for errors about it and about places in it.
#[derive(Clone, Copy)]
pub struct Root {
    /// The whole text.
    pub name: &'static str,
    /// What stands before the path of a place in it.
    pub prefix: &'static str,
}

impl Root {
    /// Of a place in it; of the whole text where the path is empty.
    pub fn field(self, path: &str) -> String {
        if path.is_empty() { self.name.to_owned() } else { format!("{}{path}", self.prefix) }
    }
}

/// The value of a JSON text of at most `limit` values.
///
/// # Errors
/// `BAD_USER_INPUT` or `PAYLOAD_TOO_LARGE`, with the place where one is at fault.
pub fn value(root: Root, text: &[u8], limit: usize) -> Result<Value> {
    let text = str::from_utf8(text).map_err(|fault| {
        let got = format!("bytes that are no UTF-8, after {}", fault.valid_up_to());
        Error::input(root.name, got, "JSON in UTF-8")
    })?;
    if text.starts_with('\u{feff}') {
        return Err(Error::input(root.name, "a byte order mark", "JSON in UTF-8 without one"));
    }
    let state = State {
        limit,
        left: Cell::new(limit),
        fault: Cell::new(None),
        trail: RefCell::new(Vec::new()),
        numbers: Cell::new(text),
    };
    let mut parser = serde_json::Deserializer::from_str(text);
    let read = Seed { state: &state, depth: DEPTH_LIMIT }.deserialize(&mut parser);
    read.and_then(|value| parser.end().map(|()| value)).map_err(|fault| state.explain(root, &fault))
}

/// What a value is, for errors.
pub fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Number(_) => "a number",
        Value::Boolean(_) => "true or false",
        Value::List(_) => "a list",
        Value::Object(_) => "an object",
        Value::String(_) | Value::Enum(_) | Value::Binary(_) => "a text",
    }
}

/// What the parser does not look at.
#[derive(Clone, Copy)]
enum Fault {
    Twice,
    TooDeep,
    TooMany,
}

struct State<'a> {
    limit: usize,
    /// Values that may still come.
    left: Cell<usize>,
    fault: Cell<Option<Fault>>,
    /// Names and indices from the place of a fault up to the root.
    trail: RefCell<Vec<String>>,
    /// The text from behind the last number on.
    numbers: Cell<&'a str>,
}

impl<'a> State<'a> {
    /// The next number as it is written. The parser tells of each, in order, but only what is nearest to it.
    fn next_number(&self) -> &'a str {
        let text = self.numbers.get();
        let start = number_start(text.as_bytes());
        let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = text.as_bytes()[start..].iter().take_while(|byte| is_part(byte)).count();
        self.numbers.set(&text[start + length..]);
        &text[start..start + length]
    }

    fn stop<E: serde::de::Error>(&self, fault: Fault) -> E {
        self.fault.set(Some(fault));
        E::custom("refused")
    }

    fn count<E: serde::de::Error>(&self) -> Result<(), E> {
        self.left.set(self.left.get().checked_sub(1).ok_or_else(|| self.stop(Fault::TooMany))?);
        Ok(())
    }

    /// Notes where a fault is, on the way up.
    fn at<E>(&self, place: impl fmt::Display) -> impl FnOnce(E) -> E {
        move |fault| {
            self.trail.borrow_mut().push(place.to_string());
            fault
        }
    }

    fn explain(self, root: Root, fault: &serde_json::Error) -> Error {
        let trail = self.trail.into_inner();
        let path: Vec<_> = trail.iter().rev().map(String::as_str).collect();
        let limit = self.limit;
        match self.fault.get() {
            Some(Fault::Twice) => Error::input(root.field(&path.join(".")), "the same name twice", "it once"),
            Some(Fault::TooDeep) => {
                let got = format!("values that nest deeper than {DEPTH_LIMIT}");
                Error::input(root.name, got, "fewer levels")
            }
            Some(Fault::TooMany) => {
                let expected = format!("at most {limit} (http.json_values_limit)");
                Error::refused(Code::PayloadTooLarge, root.name, format!("more than {limit} values"), expected)
            }
            None => no_json(root, fault),
        }
    }
}

fn no_json(root: Root, fault: &serde_json::Error) -> Error {
    let (line, column) = (fault.line(), fault.column());
    let got = match fault {
        fault if fault.is_eof() => "a text that ends too early".to_owned(),
        // The only fault that valid JSON has; the parser tells it by its text alone.
        fault if fault.to_string().starts_with("number out of range") => {
            format!("a number beyond 64-bit floating point at line {line}, column {column}")
        }
        _ => format!("a text that is no JSON from line {line}, column {column} on"),
    };
    Error::input(root.name, got, "JSON")
}

/// Where the first number of a JSON text, or of the rest of one, begins.
fn number_start(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += string_length(&text[at..]),
            b'0'..=b'9' | b'-' => return at,
            _ => at += 1,
        }
    }
    text.len()
}

/// Length of the string with which a text begins, with its quotes.
fn string_length(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => return at + 1,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    text.len()
}

#[derive(Clone, Copy)]
struct Seed<'a, 't> {
    state: &'a State<'t>,
    /// Levels that may still come.
    depth: usize,
}

impl Seed<'_, '_> {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.depth.checked_sub(1).ok_or_else(|| self.state.stop(Fault::TooDeep))?;
        Ok(Self { depth, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_, '_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.state.count()?;
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_, '_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        self.state.next_number();
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        self.state.next_number();
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let written = self.state.next_number();
        let nearest = Number::from_f64(value).ok_or_else(|| E::custom("not finite"))?;
        Ok(number::value(written, nearest))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let (inner, mut list) = (self.inner()?, Vec::new());
        while let Some(item) = items.next_element_seed(inner).map_err(self.state.at(list.len()))? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let (inner, mut object) = (self.inner()?, IndexMap::new());
        while let Some(name) = fields.next_key::<String>()? {
            if object.contains_key(name.as_str()) {
                return Err(self.state.at(name)(self.state.stop(Fault::Twice)));
            }
            let value = fields.next_value_seed(inner).map_err(self.state.at(&name))?;
            object.insert(Name::new(name), value);
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: Root = Root { name: "request body", prefix: "" };

    #[test]
    fn what_json_says_is_what_is_read() {
        let text = r#" {"a": [null, true, -1, 18446744073709551615, 1.5, "x\u00e9\ud83d\ude00"], "b": {}} "#;
        let read = value(BODY, text.as_bytes(), 100).expect("it is JSON");
        let expected: serde_json::Value = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(read.into_json().expect("it is JSON"), expected);
    }

    #[test]
    fn a_number_that_64_bits_do_not_hold_is_kept_as_it_is_written() {
        let text = r#"{"1": "2 \" 3\\", "a": [4, -5.5, 1.00000000000000001, 6e0], "b": {"7": 18446744073709551616}}"#;
        let read = value(BODY, text.as_bytes(), 100).expect("it is JSON").to_string();
        assert!(read.ends_with("a: [4, -5.5, 1.00000000000000001, 6.0], b: {7: 18446744073709551616}}"), "{read}");
    }

    #[test]
    fn what_is_refused_is_told_with_its_place() {
        let deep = format!("{{\"a\": {}", "[".repeat(100_000));
        let many = format!("[{}0]", "0, ".repeat(200));
        for (text, field, got) in [
            (&b"{\"a\": [{\"b\": 1, \"b\": 2}]}"[..], "a.0.b", "the same name twice"),
            (b"{\"a\": 1, \"a\": 1}", "a", "the same name twice"),
            (deep.as_bytes(), "request body", "values that nest deeper than 120"),
            (many.as_bytes(), "request body", "more than 200 values"),
            (b"\xef\xbb\xbf{}", "request body", "a byte order mark"),
            (b"{\"a\": \"\xff\"}", "request body", "bytes that are no UTF-8, after 7"),
            (b"", "request body", "a text that ends too early"),
            (b"{\"a\": ", "request body", "a text that ends too early"),
            (b"{\"a\": 1e999}", "request body", "a number beyond 64-bit floating point at line 1, column 11"),
            (b"{\"a\": NaN}", "request body", "a text that is no JSON from line 1, column 7 on"),
            (b"{'a': 1}", "request body", "a text that is no JSON from line 1, column 2 on"),
            (b"{} {}", "request body", "a text that is no JSON from line 1, column 4 on"),
            (b"{\"a\": \"\\ud800\"}", "request body", "a text that is no JSON from line 1, column 14 on"),
        ] {
            let error = value(BODY, text, 200).expect_err("a refusal");
            let text = String::from_utf8_lossy(text);
            assert_eq!((error.field.as_deref(), error.got.as_deref()), (Some(field), Some(got)), "{text:.80}");
        }
    }
}
