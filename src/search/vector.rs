//! Which vectors are taken.

use crate::error::{Code, Error, Result};
use crate::store::entity::embedding_space::{Metric, Model as Space};

/// Longest and shortest vector, by Euclidean norm: squares stay within f32 with room for their sums, so that no
/// distance becomes infinite or undefined.
const NORM_RANGE: std::ops::RangeInclusive<f64> = 1e-15..=1e15;

/// Refuses, by field, a vector of the wrong length, with a number that is not finite or does not fit
/// its index, too long to be compared, or, for
/// `COSINE`, without a direction.
pub fn check(field: &str, vector: &[f32], space: &Space) -> Result<()> {
    let dimensions = space.dimensions.unsigned_abs() as usize;
    if vector.len() != dimensions {
        let (got, expected) =
            (format!("{} numbers", vector.len()), format!("{dimensions}, the collection's dimensions"));
        return Err(Error::refused(Code::DimensionMismatch, field, got, expected));
    }
    if let Some(index) = vector.iter().position(|x| !x.is_finite()) {
        return Err(Error::input(format!("{field}.{index}"), vector[index], "a finite number"));
    }
    let largest = crate::store::index::number_limit(space.dimensions).unwrap_or(f32::MAX);
    if let Some(index) = vector.iter().position(|x| x.abs() > largest) {
        let expected =
            format!("a number from -{largest} to {largest}, for vectors this long are indexed in half precision");
        return Err(Error::input(format!("{field}.{index}"), vector[index], expected));
    }
    let norm = vector.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>().sqrt();
    if norm > *NORM_RANGE.end() {
        return Err(Error::input(
            field,
            format!("a vector of length {norm:e}"),
            format!("at most {:e}", NORM_RANGE.end()),
        ));
    }
    if space.metric == Metric::Cosine && norm < *NORM_RANGE.start() {
        return Err(Error::input(field, "a zero vector", "a vector with a direction, for the cosine has none without"));
    }
    Ok(())
}
