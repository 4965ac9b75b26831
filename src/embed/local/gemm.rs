//! Matrix products in 32-bit floats: a checked, safe face over the `gemm` crate, and the linear layer on it.

/// A matrix over a slice: element (row, column) is at `row * row_stride + column * column_stride`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Matrix<'a> {
    data: &'a [f32],
    rows: usize,
    columns: usize,
    row_stride: usize,
    column_stride: usize,
}

impl<'a> Matrix<'a> {
    /// A matrix whose rows begin every `row_stride` numbers.
    ///
    /// # Panics
    /// When the slice is too short for it.
    pub(super) fn new(data: &'a [f32], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert_reach(data.len(), rows, columns, row_stride);
        Self { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// The same numbers read the other way, without moving any.
    pub(super) fn transposed(self) -> Self {
        Self {
            data: self.data,
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
        }
    }
}

/// What a product does with the numbers already in its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Target {
    Replace,
    Add,
}

/// `scale * a * b` into `out`, whose rows begin every `out_stride` numbers.
///
/// # Panics
/// When the shapes do not fit each other.
pub(super) fn multiply(scale: f32, a: Matrix, b: Matrix, target: Target, out: &mut [f32], out_stride: usize) {
    assert_eq!(a.columns, b.rows, "a product needs as many columns on the left as rows on the right");
    assert_reach(out.len(), a.rows, b.columns, out_stride);
    #[expect(
        unsafe_code,
        reason = "the crate takes raw pointers; Matrix::new and the asserts above bound every access"
    )]
    // SAFETY: each of the three reaches no further than its slice, and `out` is borrowed exclusively.
    unsafe {
        gemm::gemm(
            a.rows,
            b.columns,
            a.columns,
            out.as_mut_ptr(),
            1,
            out_stride.cast_signed(),
            target == Target::Add,
            a.data.as_ptr(),
            a.column_stride.cast_signed(),
            a.row_stride.cast_signed(),
            b.data.as_ptr(),
            b.column_stride.cast_signed(),
            b.row_stride.cast_signed(),
            1.0,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

fn assert_reach(len: usize, rows: usize, columns: usize, row_stride: usize) {
    let reach = rows.saturating_sub(1).saturating_mul(row_stride).saturating_add(columns);
    assert!(
        rows == 0 || (columns <= row_stride && reach <= len),
        "{rows} x {columns} numbers do not lie in a slice of {len}"
    );
}

/// A linear layer: `x * weight + bias`.
#[derive(Debug)]
pub(super) struct Linear {
    /// Input by output: the way the product walks it.
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    /// From a weight stored output by input, as models are saved: turned here, once, and not at every product.
    pub(super) fn new(stored_weight: &[f32], bias: Vec<f32>) -> Self {
        Self { weight: transpose(stored_weight, bias.len()), bias }
    }

    pub(super) fn outputs(&self) -> usize {
        self.bias.len()
    }

    /// `out = x * weight + bias`, row by row.
    pub(super) fn apply(&self, x: &[f32], out: &mut [f32]) {
        for row in out.chunks_exact_mut(self.outputs()) {
            row.copy_from_slice(&self.bias);
        }
        self.accumulate(x, out);
    }

    /// `out += x * weight + bias`, row by row: a layer with its residual connection.
    pub(super) fn add(&self, x: &[f32], out: &mut [f32]) {
        for row in out.chunks_exact_mut(self.outputs()) {
            row.iter_mut().zip(&self.bias).for_each(|(value, bias)| *value += bias);
        }
        self.accumulate(x, out);
    }

    fn accumulate(&self, x: &[f32], out: &mut [f32]) {
        let (inputs, outputs) = (self.weight.len() / self.outputs(), self.outputs());
        let rows = out.len() / outputs;
        let x = Matrix::new(x, rows, inputs, inputs);
        let weight = Matrix::new(&self.weight, inputs, outputs, outputs);
        multiply(1.0, x, weight, Target::Add, out, outputs);
    }
}

fn transpose(stored: &[f32], rows: usize) -> Vec<f32> {
    let columns = stored.len() / rows;
    let mut turned = vec![0.0; stored.len()];
    for (row, values) in stored.chunks_exact(columns).enumerate() {
        for (column, value) in values.iter().enumerate() {
            turned[column * rows + row] = *value;
        }
    }
    turned
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_product_of_strided_and_transposed_matrices_equals_the_sum_written_out() {
        let numbers: Vec<f32> = (0..40_u8).map(f32::from).collect();
        let a = Matrix::new(&numbers, 3, 2, 5);
        let b = Matrix::new(&numbers[7..], 4, 2, 3).transposed();
        let mut out = vec![1.0; 3 * 6];
        multiply(0.5, a, b, Target::Add, &mut out, 6);
        for row in 0..3 {
            for column in 0..6 {
                let sum: f32 = (0..2).map(|k| numbers[row * 5 + k] * numbers[7 + column * 3 + k]).sum();
                let expected = if column < 4 { 1.0 + 0.5 * sum } else { 1.0 };
                assert!((out[row * 6 + column] - expected).abs() < 1e-4, "({row}, {column})");
            }
        }
    }

    #[test]
    fn a_linear_layer_replaces_or_adds() {
        let layer = Linear::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], vec![10.0, 20.0, 30.0]);
        let mut out = vec![100.0; 3];
        layer.apply(&[1.0, -1.0], &mut out);
        assert_eq!(out, [9.0, 19.0, 29.0]);
        layer.add(&[1.0, -1.0], &mut out);
        assert_eq!(out, [18.0, 38.0, 58.0]);
    }

    #[test]
    #[should_panic(expected = "do not lie in a slice of 5")]
    fn a_matrix_that_reaches_past_its_slice_is_refused() {
        let _ = Matrix::new(&[0.0; 5], 2, 3, 3);
    }
}
