//! What a transformer does to rows of numbers besides multiplying matrices: layer norm, softmax, GELU, mean, length.
//!
//! Everything is written as plain loops over independent lanes, without branches and without calls into the maths
//! library, because that is what the compiler turns into vector instructions. `pulp` compiles each loop for several
//! instruction sets and takes the widest one that the machine has. It is given a struct and not a closure, because only
//! a named function can be told to be inlined, and one that is not is compiled for the oldest machine.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use pulp::{Arch, Simd, WithSimd};

/// Sums kept side by side. Floats may not be added in another order by the compiler, so a single sum would stay scalar;
/// 16 fill the widest registers and shorten the rounding error too.
const LANES: usize = 16;

/// `LayerNorm` (Ba et al. 2016) of each row: mean 0 and variance 1, then scaled and shifted per column.
#[derive(Debug)]
pub(super) struct LayerNorm {
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
    /// Added to the variance before its root is taken.
    pub eps: f32,
}

impl LayerNorm {
    pub(super) fn apply(&self, rows: &mut [f32]) {
        Arch::new().dispatch(NormRows { norm: self, rows });
    }

    #[inline(always)]
    fn apply_to_row(&self, row: &mut [f32]) {
        let columns = row.len() as f32;
        let mean = sum(row, |value| value) / columns;
        let variance = sum(row, |value| (value - mean) * (value - mean)) / columns;
        let scale = 1.0 / (variance + self.eps).sqrt();
        for ((value, weight), bias) in row.iter_mut().zip(&self.weight).zip(&self.bias) {
            *value = (*value - mean) * scale * weight + bias;
        }
    }
}

struct NormRows<'a> {
    norm: &'a LayerNorm,
    rows: &'a mut [f32],
}

impl WithSimd for NormRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.norm.weight.len()) {
            self.norm.apply_to_row(row);
        }
    }
}

/// Softmax of each row of `columns` numbers. The largest is subtracted first, so that nothing overflows.
pub(super) fn softmax(rows: &mut [f32], columns: usize) {
    Arch::new().dispatch(SoftmaxRows { rows, columns });
}

struct SoftmaxRows<'a> {
    rows: &'a mut [f32],
    columns: usize,
}

impl WithSimd for SoftmaxRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for row in self.rows.chunks_exact_mut(self.columns) {
            softmax_of_row(row);
        }
    }
}

#[inline(always)]
fn softmax_of_row(row: &mut [f32]) {
    let largest = largest(row);
    for value in &mut *row {
        *value = exp(*value - largest);
    }
    let scale = 1.0 / sum(row, |value| value);
    for value in row {
        *value *= scale;
    }
}

/// GELU (Hendrycks and Gimpel 2016) in its exact form, `x * Φ(x)`, not the one with tanh.
pub(super) fn gelu(values: &mut [f32]) {
    Arch::new().dispatch(Gelu(values));
}

struct Gelu<'a>(&'a mut [f32]);

impl WithSimd for Gelu<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for value in self.0 {
            *value = 0.5 * *value * (1.0 + erf(*value * FRAC_1_SQRT_2));
        }
    }
}

/// The mean of rows as wide as `mean`, scaled to length one.
pub(super) fn mean_of_length_one(rows: &[f32], mean: &mut [f32]) {
    mean.fill(0.0);
    for row in rows.chunks_exact(mean.len()) {
        mean.iter_mut().zip(row).for_each(|(total, value)| *total += value);
    }
    // The number of rows cancels out. A sum of zeros has no direction and stays as it is.
    let length = sum(mean, |value| value * value).sqrt().max(f32::MIN_POSITIVE);
    mean.iter_mut().for_each(|value| *value /= length);
}

#[inline(always)]
fn sum(values: &[f32], term: impl Fn(f32) -> f32) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += term(*value);
        }
    }
    lanes.iter().sum::<f32>() + rest.iter().map(|value| term(*value)).sum::<f32>()
}

#[inline(always)]
fn largest(values: &[f32]) -> f32 {
    let (chunks, rest) = values.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// `e^x` to a relative error below 3e-7 for x in [-87, 88]; outside, the value at the nearer end.
///
/// `e^x = 2^n * e^r` with `n` whole and `|r| <= ln(2) / 2`, where seven terms of the Taylor series reach the precision of
/// a 32-bit float.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding this leaves no room for a fraction, so the sum is rounded to a whole number that stands in its low bits.
    const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
    /// `ln(2)` in two parts: the first has so few digits that `n` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = (std::f64::consts::LN_2 - LN_2_HIGH as f64) as f32;
    const MANTISSA_BITS: u32 = 23;

    let x = x.clamp(-87.0, 88.0);
    let rounded = x * LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let series =
        1.0 + r * (1.0 + r * (0.5 + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0))))));
    let two_to_n = f32::from_bits((rounded.to_bits() << MANTISSA_BITS).wrapping_add(1.0_f32.to_bits()));
    series * two_to_n
}

/// The error function to an absolute error below 5e-7: formula 7.1.26 of Abramowitz and Stegun, "Handbook of Mathematical
/// Functions" (1964), whose own error is 1.5e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let magnitude = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * magnitude);
    let polynomial = t * (0.254_829_6 + t * (-0.284_496_74 + t * (1.421_413_7 + t * (-1.453_152 + t * 1.061_405_4))));
    (1.0 - polynomial * exp(-magnitude * magnitude)).copysign(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_right_to_the_last_digits_of_a_float() {
        for step in -8700..=8800_i16 {
            let x = f32::from(step) / 100.0;
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected).abs() / expected;
            assert!(error < 3e-7, "exp({x}) is off by {error:e}");
        }
        assert!(exp(-1e30) < 1e-37 && exp(f32::NEG_INFINITY) < 1e-37 && exp(1e30).is_finite());
    }

    #[test]
    fn erf_agrees_with_its_integral() {
        // erf(x) = 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x, by Simpson's rule.
        let integral = |x: f64| {
            let step = x / 1000.0;
            let weight = |i: i32| {
                if i == 0 || i == 1000 { 1.0 } else { f64::from(2 + 2 * (i % 2)) }
            };
            let sum: f64 = (0..=1000).map(|i| weight(i) * (-(f64::from(i) * step).powi(2)).exp()).sum();
            sum * step / 3.0 * std::f64::consts::FRAC_2_SQRT_PI
        };
        for step in -60..=60_i8 {
            let x = f32::from(step) / 10.0;
            let error = (f64::from(erf(x)) - integral(f64::from(x))).abs();
            assert!(error < 5e-7, "erf({x}) is off by {error:e}");
        }
    }

    #[test]
    fn gelu_keeps_large_values_and_drops_small_ones() {
        let mut values = [-100.0, -1.0, 0.0, 1.0, 100.0];
        gelu(&mut values);
        for (value, expected) in values.into_iter().zip([0.0, -0.158_655_3, 0.0, 0.841_344_7, 100.0]) {
            assert!((value - expected).abs() < 1e-6, "{value} instead of {expected}");
        }
    }

    #[test]
    fn softmax_of_any_size_sums_to_one_without_overflow() {
        for columns in [1, 2, 15, 16, 17, 256] {
            let mut row: Vec<f32> = (0..columns).map(|i| if i % 3 == 0 { 1e30 } else { -1e30 }).collect();
            softmax(&mut row, columns);
            let total: f32 = row.iter().sum();
            assert!((total - 1.0).abs() < 1e-5 && row.iter().all(|value| *value >= 0.0), "{columns} columns: {total}");
        }
    }

    #[test]
    fn layer_norm_gives_mean_zero_and_variance_one_before_scale_and_shift() {
        let norm = LayerNorm { weight: vec![2.0; 20], bias: vec![3.0; 20], eps: 1e-12 };
        let mut row: Vec<f32> = (0..20_u8).map(|i| 1000.0 + f32::from(i)).collect();
        norm.apply(&mut row);
        let mean = row.iter().sum::<f32>() / 20.0;
        let variance = row.iter().map(|value| (value - mean).powi(2)).sum::<f32>() / 20.0;
        assert!((mean - 3.0).abs() < 1e-4 && (variance - 4.0).abs() < 1e-3, "{mean} {variance}");
    }

    #[test]
    fn a_mean_of_zeros_stays_finite() {
        let mut mean = [1.0; 3];
        mean_of_length_one(&[0.0; 6], &mut mean);
        assert_eq!(mean, [0.0; 3]);
        mean_of_length_one(&[3.0, 0.0, 0.0, 0.0, 4.0, 0.0], &mut mean);
        assert_eq!(mean, [0.6, 0.8, 0.0]);
    }
}
