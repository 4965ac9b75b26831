//! `LayerNorm` (Ba et al. 2016).

use simd::{Isa, Kernel, Simd};

use crate::rows::{Rows, padded};

/// Each row gets mean 0 and variance 1, and is then scaled and shifted per column.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    columns: usize,
    /// Padded with zeros, so that the padding of a row stays zero.
    weight: Vec<f32>,
    /// Padded likewise.
    bias: Vec<f32>,
    /// Added to the variance before its root is taken.
    eps: f32,
}

impl LayerNorm {
    pub(crate) fn new(mut weight: Vec<f32>, mut bias: Vec<f32>, eps: f32) -> Self {
        let columns = weight.len();
        weight.resize(padded(columns), 0.0);
        bias.resize(padded(columns), 0.0);
        Self { columns, weight, bias, eps }
    }

    /// Normalises every row. Their padding must be zero, and stays so.
    pub(crate) fn apply(&self, isa: Isa, rows: &mut Rows) {
        isa.run(Normalize { norm: self, rows });
    }
}

struct Normalize<'a> {
    norm: &'a LayerNorm,
    rows: &'a mut Rows,
}

impl Kernel for Normalize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { norm, rows } = self;
        let columns = norm.columns as f32;
        // Whole vectors, and what is left: the padding would count among the squares.
        let whole = norm.columns / S::LANES * S::LANES;
        for row in rows.iter_mut() {
            let mut sum = simd.splat(0.0);
            for x in row.chunks_exact(S::LANES) {
                sum = simd.add(sum, simd.load(x));
            }
            let mean = simd.sum(sum) / columns;
            let means = simd.splat(mean);
            let mut squares = simd.splat(0.0);
            for x in row[..whole].chunks_exact(S::LANES) {
                let difference = simd.sub(simd.load(x), means);
                squares = simd.mul_add(difference, difference, squares);
            }
            let mut squares = simd.sum(squares);
            for x in &row[whole..norm.columns] {
                squares += (x - mean) * (x - mean);
            }
            let variance = squares / columns;
            let scale = simd.splat(1.0 / (variance + norm.eps).sqrt());
            let parameters = norm.weight.chunks_exact(S::LANES).zip(norm.bias.chunks_exact(S::LANES));
            for (x, (weight, bias)) in row.chunks_exact_mut(S::LANES).zip(parameters) {
                let unit = simd.mul(simd.sub(simd.load(x), means), scale);
                simd.store(simd.mul_add(unit, simd.load(weight), simd.load(bias)), x);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_any_width_gets_mean_zero_and_variance_one_before_scale_and_shift() {
        for isa in Isa::available() {
            for columns in [2_usize, 20, 31, 32, 33, 384] {
                let norm = LayerNorm::new(vec![2.0; columns], vec![3.0; columns], 1e-12);
                let mut rows = Rows::default();
                rows.resize(3, columns);
                for row in rows.iter_mut() {
                    for (index, value) in row[..columns].iter_mut().enumerate() {
                        *value = 1000.0 + index as f32;
                    }
                }
                norm.apply(isa, &mut rows);
                for row in rows.iter_mut() {
                    let mean = row[..columns].iter().sum::<f32>() / columns as f32;
                    let variance =
                        row[..columns].iter().map(|value| (value - mean).powi(2)).sum::<f32>() / columns as f32;
                    assert!(
                        (mean - 3.0).abs() < 1e-4 && (variance - 4.0).abs() < 2e-2,
                        "{isa} {columns}: {mean} {variance}"
                    );
                    assert!(
                        row[columns..].iter().all(|padding| *padding == 0.0),
                        "{isa} {columns}: the padding changed"
                    );
                }
            }
        }
    }
}
