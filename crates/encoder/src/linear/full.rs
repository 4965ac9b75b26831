//! Linear layers in 32-bit floats.

use simd::{Isa, Kernel, PANEL, Simd, tile};

use super::{Then, blocks, finish};
use crate::rows::{Rows, padded};

/// Weights in panels as wide as a tile: a panel holds, input by input, the weights of its outputs side by side, so that
/// a product reads them from the first to the last.
#[derive(Debug)]
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Vec<f32>,
    bias: Vec<f32>,
}

impl Linear {
    pub(super) fn pack(isa: Isa, weight: &[f32], mut bias: Vec<f32>) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs;
        bias.resize(padded(outputs), 0.0);
        let panels = isa.run(Pack { weight, inputs, outputs });
        Self { inputs, outputs, panels, bias }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn apply(&self, isa: Isa, x: &Rows, then: Then, out: &mut Rows) {
        debug_assert!(x.width() == padded(self.inputs) && out.width() == padded(self.outputs));
        isa.run(Apply { linear: self, x, then, out });
    }
}

struct Pack<'a> {
    weight: &'a [f32],
    inputs: usize,
    outputs: usize,
}

impl Kernel for Pack<'_> {
    type Output = Vec<f32>;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Vec<f32> {
        let (inputs, columns) = (self.inputs, tile::columns(simd));
        debug_assert!(PANEL.is_multiple_of(columns));
        let mut panels = vec![0.0; inputs * padded(self.outputs)];
        for (output, weights) in self.weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / columns * columns * inputs..][..columns * inputs];
            for (input, weight) in weights.iter().enumerate() {
                panel[input * columns + output % columns] = *weight;
            }
        }
        panels
    }
}

struct Apply<'a> {
    linear: &'a Linear,
    x: &'a Rows,
    then: Then,
    out: &'a mut Rows,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { linear, x, then, out } = self;
        let columns = tile::columns(simd);
        let (x_width, out_width) = (x.width(), out.width());
        let rows = x.count();
        let mut sums = tile::zeros(simd);
        // A panel stays in the cache while all rows pass it; the next one is read while this one is used.
        let panels = linear.panels.chunks_exact(columns * linear.inputs).zip(linear.bias.chunks_exact(columns));
        for (index, (panel, bias)) in panels.enumerate() {
            for (start, count) in blocks(rows, S::TILE_ROWS) {
                let block = &x.all()[start * x_width..];
                tile::multiply(simd, count, (block, x_width), (panel, columns), linear.inputs, &mut sums);
                for (row, sums) in sums[..count].iter().enumerate() {
                    let place = (start + row) * out_width + index * columns;
                    finish(simd, *sums, bias, then, &mut out.all_mut()[place..place + columns]);
                }
            }
        }
    }
}
