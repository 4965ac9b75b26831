//! Functions of numbers, on whole vectors.

use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E};

use simd::{ROUND, Simd};

/// `e^x` to a relative error below 3e-7 for x in [-87, 88]; outside, the value at the nearer end.
///
/// `e^x = 2^n * e^r` with `n` whole and `|r| <= ln(2) / 2`, where seven terms of the Taylor series reach the precision of
/// a 32-bit float.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    /// `ln(2)` in two parts: the first has so few digits that `n` times it is exact.
    const LN_2_HIGH: f32 = 0.693_359_4;
    #[expect(clippy::cast_possible_truncation, reason = "the nearest of its kind is wanted")]
    const LN_2_LOW: f32 = (std::f64::consts::LN_2 - LN_2_HIGH as f64) as f32;
    /// 1 / n!, from the sixth to the first.
    const TERMS: [f32; 6] = [1.0 / 720.0, 1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0];

    let x = simd.min(simd.max(x, simd.splat(-87.0)), simd.splat(88.0));
    let rounded = simd.mul_add(x, simd.splat(LOG2_E), simd.splat(ROUND));
    let n = simd.sub(rounded, simd.splat(ROUND));
    let r = simd.mul_add(n, simd.splat(-LN_2_HIGH), x);
    let r = simd.mul_add(n, simd.splat(-LN_2_LOW), r);
    let mut series = simd.splat(TERMS[0]);
    for term in &TERMS[1..] {
        series = simd.mul_add(series, r, simd.splat(*term));
    }
    let series = simd.mul_add(series, r, simd.splat(1.0));
    simd.mul(series, simd.power_of_two(rounded))
}

/// The error function to an absolute error below 5e-7.
///
/// `erf(x) / x` is smooth in `x^2`: on `|x| <= END` it is the polynomial of degree 13 in `u = 2 (x / END)^2 - 1` that meets
/// it at the Chebyshev nodes (Press et al., "Numerical Recipes", section 5.8), and beyond `END` the error function is one
/// to the last bit but two. Unlike the usual forms with an exponential it needs no division.
#[inline(always)]
pub(crate) fn erf<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    const END: f32 = 3.7;
    /// From the power 13 of `u` to the power 0.
    const TERMS: [f32; 14] = [
        -0.001_747_923_7,
        0.004_080_429_7,
        -0.002_936_284_5,
        0.004_804_195_4,
        -0.014_941_297,
        0.025_572_544,
        -0.035_785_902,
        0.051_277_593,
        -0.070_540_21,
        0.090_665_77,
        -0.112_634_77,
        0.140_786_5,
        -0.190_468_04,
        0.382_137_57,
    ];
    let near = simd.min(simd.max(x, simd.splat(-END)), simd.splat(END));
    let u = simd.mul_add(simd.mul(near, near), simd.splat(2.0 / (END * END)), simd.splat(-1.0));
    let mut polynomial = simd.splat(TERMS[0]);
    for term in &TERMS[1..] {
        polynomial = simd.mul_add(polynomial, u, simd.splat(*term));
    }
    // What lies beyond the end makes it one, so that GELU of a large negative number is zero.
    let value = simd.mul_add(polynomial, near, simd.sub(x, near));
    simd.min(simd.max(value, simd.splat(-1.0)), simd.splat(1.0))
}

/// GELU (Hendrycks and Gimpel 2016) in its exact form, `x * Φ(x)`, not the one with tanh.
#[inline(always)]
pub(crate) fn gelu<S: Simd>(simd: S, x: S::Floats) -> S::Floats {
    let half = simd.mul(simd.splat(0.5), x);
    simd.mul_add(half, erf(simd, simd.mul(x, simd.splat(FRAC_1_SQRT_2))), half)
}

#[cfg(test)]
mod tests {
    use simd::{Isa, Kernel};

    use super::*;

    /// Which function is applied to whole vectors of numbers.
    #[derive(Clone, Copy)]
    enum Function {
        Exp,
        Erf,
        Gelu,
    }

    struct Apply<'a>(Function, &'a mut [f32]);

    impl Kernel for Apply<'_> {
        type Output = ();

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) {
            for x in self.1.chunks_exact_mut(S::LANES) {
                let value = match self.0 {
                    Function::Exp => exp(simd, simd.load(x)),
                    Function::Erf => erf(simd, simd.load(x)),
                    Function::Gelu => gelu(simd, simd.load(x)),
                };
                simd.store(value, x);
            }
        }
    }

    fn apply(isa: Isa, function: Function, numbers: impl IntoIterator<Item = f32>) -> Vec<(f64, f64)> {
        let x: Vec<f32> = numbers.into_iter().collect();
        let mut y = x.clone();
        y.resize(x.len().next_multiple_of(simd::PANEL), 0.0);
        isa.run(Apply(function, &mut y));
        x.into_iter().zip(y).map(|(x, y)| (f64::from(x), f64::from(y))).collect()
    }

    /// erf(x) = 2 / sqrt(pi) * integral of exp(-t^2) from 0 to x, by Simpson's rule.
    fn exact_erf(x: f64) -> f64 {
        let step = x / 1000.0;
        let weight = |i: i32| if i == 0 || i == 1000 { 1.0 } else { f64::from(2 + 2 * (i % 2)) };
        let sum: f64 = (0..=1000).map(|i| weight(i) * (-(f64::from(i) * step).powi(2)).exp()).sum();
        sum * step / 3.0 * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn exp_is_right_to_the_last_digits_of_a_float() {
        for isa in Isa::available() {
            for (x, y) in apply(isa, Function::Exp, (-8700..=8800_i16).map(|step| f32::from(step) / 100.0)) {
                let error = (y - x.exp()).abs() / x.exp();
                assert!(error < 3e-7, "{isa}: exp({x}) is off by {error:e}");
            }
            let ends = apply(isa, Function::Exp, [-1e30, f32::NEG_INFINITY, 1e30]);
            assert!(ends[0].1 < 1e-37 && ends[1].1 < 1e-37 && ends[2].1.is_finite(), "{isa}: {ends:?}");
        }
    }

    #[test]
    fn erf_agrees_with_its_integral() {
        for isa in Isa::available() {
            for (x, y) in apply(isa, Function::Erf, (-60..=60_i8).map(|step| f32::from(step) / 10.0)) {
                let error = (y - exact_erf(x)).abs();
                assert!(error < 5e-7, "{isa}: erf({x}) is off by {error:e}");
            }
        }
    }

    #[test]
    fn gelu_keeps_large_values_and_drops_small_ones() {
        for isa in Isa::available() {
            let values = apply(isa, Function::Gelu, [-100.0, -1.0, 0.0, 1.0, 100.0]);
            for ((_, value), expected) in values.into_iter().zip([0.0, -0.158_655_3, 0.0, 0.841_344_7, 100.0]) {
                assert!((value - expected).abs() < 1e-6, "{isa}: {value} instead of {expected}");
            }
        }
    }
}
