//! Numbers that 64 bits do not hold exactly. Such a one travels as the digits in which it was written, in the place of an
//! enum value, whose name never begins with one, until it is known what it is for: JSON refuses it, because it would come
//! back as another number; whatever else takes a decimal number takes the nearest.

use async_graphql::{Name, Number};
use async_graphql_value::ConstValue;

/// A number as it was written; `None` where it is beyond 64-bit floating point, or none.
pub fn read(written: &str) -> Option<ConstValue> {
    let number: Number = written.parse().ok()?;
    Some(value(written, number))
}

/// A number as it was written, of which the nearest was read already.
pub fn value(written: &str, nearest: Number) -> ConstValue {
    if is_exact(written, &nearest) { ConstValue::Number(nearest) } else { ConstValue::Enum(Name::new(written)) }
}

/// Whether the name of an enum value is none, but the digits of such a number.
pub fn is_digits(name: &str) -> bool {
    name.starts_with(|first: char| first == '-' || first.is_ascii_digit())
}

/// The number that is nearest to the digits of one.
pub fn nearest(digits: &str) -> Option<Number> {
    digits.parse().ok().filter(|_| is_digits(digits))
}

/// The value with the nearest number for each that is kept as its digits.
pub fn rounded(value: &mut ConstValue) {
    match value {
        ConstValue::Enum(name) => {
            if let Some(number) = nearest(name) {
                *value = ConstValue::Number(number);
            }
        }
        ConstValue::List(items) => items.iter_mut().for_each(rounded),
        ConstValue::Object(fields) => fields.values_mut().for_each(rounded),
        _ => {}
    }
}

/// Whether a number is written back with the value in which it came.
fn is_exact(written: &str, number: &Number) -> bool {
    !number.is_f64() || {
        let again = number.to_string();
        again == written || decimal(&again) == decimal(written)
    }
}

/// Sign, significant digits and power of ten of a number; of zero, however it is written, the same.
fn decimal(written: &str) -> Option<(bool, String, i64)> {
    let (mantissa, exponent) = written.split_once(['e', 'E']).unwrap_or((written, "0"));
    let unsigned = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let digits = format!("{whole}{fraction}");
    let leading = digits.trim_start_matches('0');
    let significant = leading.trim_end_matches('0');
    if significant.is_empty() {
        return Some((false, String::new(), 0));
    }
    let moved = i64::try_from(leading.len() - significant.len()).ok()? - i64::try_from(fraction.len()).ok()?;
    let exponent = exponent.parse::<i64>().ok()?.checked_add(moved)?;
    Some((unsigned.len() < mantissa.len(), significant.to_owned(), exponent))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_a_number_only_where_it_is_written_back_as_it_came() {
        for exact in [
            "0",
            "-0",
            "0.0e7",
            "-0.0",
            "1",
            "1.0",
            "0.1",
            "1e5",
            "1E+5",
            "100000.00",
            "1.5e18",
            "1e300",
            "1e-300",
            "5e-324",
            "18446744073709551615",
            "-9223372036854775808",
            "9007199254740993",
            "0.30000000000000004",
            "1.7976931348623157e308",
        ] {
            assert!(matches!(read(exact), Some(ConstValue::Number(_))), "{exact}");
        }
        for inexact in [
            "18446744073709551616",
            "-9223372036854775809",
            "123456789012345678901",
            "0.1000000000000000055511151231257827",
            "1.00000000000000001",
            "1e-400",
            "9007199254740993.0e0",
            "3.14159265358979323846",
        ] {
            assert_eq!(read(inexact), Some(ConstValue::Enum(Name::new(inexact))), "{inexact}");
        }
        assert_eq!(read("1e999"), None);
    }

    #[test]
    fn digits_are_rounded_wherever_they_are_in_a_value() {
        let digits = || ConstValue::Enum(Name::new("1.00000000000000001"));
        let mut value = ConstValue::List(vec![digits(), ConstValue::Enum(Name::new("RED"))]);
        rounded(&mut value);
        assert_eq!(value.to_string(), "[1.0, RED]");
    }
}
