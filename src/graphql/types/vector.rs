//! `Vector`

use async_graphql::{Description, InputValueError, InputValueResult, Number, Scalar, ScalarType, Value};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// A vector: a list of numbers, or one string with the base64 of its little-endian 32-bit floats (a sixth of the size,
/// and much faster to read). Answers give a list of numbers.
#[derive(Description, Debug, Clone, PartialEq)]
pub struct Vector(pub Vec<f32>);

#[Scalar(use_type_description)]
impl ScalarType for Vector {
    fn parse(value: Value) -> InputValueResult<Self> {
        match value {
            Value::List(items) => items.iter().map(number).collect::<Option<_>>().map(Self).ok_or_else(not_numbers),
            Value::String(text) => decode(&text).map(Self).ok_or_else(not_base64),
            other => Err(InputValueError::expected_type(other)),
        }
    }

    fn to_value(&self) -> Value {
        let number = |&x: &f32| Number::from_f64(f64::from(x)).map_or(Value::Null, Value::Number);
        Value::List(self.0.iter().map(number).collect())
    }
}

/// A number that overflows f32 becomes infinite and is refused, by its place, where the vector is used.
#[expect(clippy::cast_possible_truncation, reason = "vectors are stored as f32")]
fn number(value: &Value) -> Option<f32> {
    match value {
        Value::Number(number) => number.as_f64().map(|x| x as f32),
        _ => None,
    }
}

fn decode(text: &str) -> Option<Vec<f32>> {
    let bytes = STANDARD.decode(text).ok()?;
    let (floats, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| floats.iter().map(|four| f32::from_le_bytes(*four)).collect())
}

fn not_numbers() -> InputValueError<Vector> {
    InputValueError::custom("got a list with something that is no number, expected numbers")
}

fn not_base64() -> InputValueError<Vector> {
    InputValueError::custom("got a text that is no base64 of 32-bit floats, expected one that is")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_and_its_base64_are_the_same_vector() {
        let list = Value::from_json(serde_json::json!([1, -0.5, 3.0e38])).expect("a value");
        let bytes: Vec<u8> = [1.0_f32, -0.5, 3.0e38].iter().flat_map(|x| x.to_le_bytes()).collect();
        let text = Value::String(STANDARD.encode(bytes));
        assert_eq!(Vector::parse(list).expect("a list"), Vector::parse(text).expect("base64"));
    }

    #[test]
    fn what_is_no_vector_is_refused() {
        for json in [serde_json::json!(["1"]), serde_json::json!("AAA="), serde_json::json!("?"), serde_json::json!(1)]
        {
            assert!(Vector::parse(Value::from_json(json.clone()).expect("a value")).is_err(), "{json}");
        }
    }
}
