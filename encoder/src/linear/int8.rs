//! Linear layers in 8-bit integers.
//!
//! A weight `w` of input `k` and output `n` is kept as a whole number from -127 to 127 with a scale for each output and
//! [`GROUP`] inputs. A row of activations is kept as bytes from 0 to 255 with a scale and an offset of its own, chosen
//! from the row's smallest and largest number: `x = offset + scale * byte`. The sums of products of bytes are exact, so
//! what differs from the product in floats is the rounding of weights and activations alone:
//!
//! ```text
//! x * w = scale(x) * Σ over groups (scale(w) * Σ byte(x) * byte(w)) + offset(x) * Σ w
//! ```

use super::{Then, blocks, finish};
use crate::rows::{Rows, padded};
use crate::simd::tile::{self, STEP};
use crate::simd::{Isa, Kernel, Simd, TILE_VECTORS};

/// Inputs that share a scale. Fewer would follow the weights closer and cost a conversion to floats more often; at 128
/// that conversion takes a tenth of the time.
const GROUP: usize = 128;

/// Bytes that the width of a row of bytes is padded to.
const WIDTH_UNIT: usize = 64;

/// Largest byte of a weight; -128 is left out so that the range is even on both sides.
const WEIGHT_LIMIT: f32 = 127.0;

/// Largest byte of an activation.
const ACTIVATION_LIMIT: f32 = 255.0;

/// Weights in panels as wide as a tile, as [`super::full::Linear`] has them, with the bytes of [`STEP`] inputs side by side.
#[derive(Debug)]
pub(crate) struct Linear {
    inputs: usize,
    outputs: usize,
    panels: Vec<i8>,
    /// Panel by panel, in each group by group, in each output by output.
    scales: Vec<f32>,
    /// The sum of each output's weights.
    totals: Vec<f32>,
    bias: Vec<f32>,
}

/// Activations in bytes; room that is kept from one product to the next.
#[derive(Debug, Default)]
pub(crate) struct Quantized {
    bytes: Vec<u8>,
    width: usize,
    /// Scale and offset of each row.
    ranges: Vec<(f32, f32)>,
}

impl Linear {
    pub(super) fn pack(isa: Isa, weight: &[f32], mut bias: Vec<f32>) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs;
        bias.resize(padded(outputs), 0.0);
        let linear = Self { inputs, outputs, panels: Vec::new(), scales: Vec::new(), totals: Vec::new(), bias };
        isa.run(Pack { weight, linear })
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn apply(&self, isa: Isa, x: &Rows, room: &mut Quantized, then: Then, out: &mut Rows) {
        debug_assert!(x.width() == padded(self.inputs) && out.width() == padded(self.outputs));
        isa.run(Quantize { x, columns: self.inputs, out: room });
        isa.run(Apply { linear: self, x: room, then, out });
    }

    /// Bytes per row that the products read.
    fn depth(&self) -> usize {
        self.inputs.next_multiple_of(WIDTH_UNIT)
    }
}

struct Pack<'a> {
    weight: &'a [f32],
    linear: Linear,
}

impl Kernel for Pack<'_> {
    type Output = Linear;

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) -> Linear {
        let Self { weight, mut linear } = self;
        let (inputs, depth, columns) = (linear.inputs, linear.depth(), tile::columns(simd));
        let groups = inputs.div_ceil(GROUP);
        linear.panels = vec![0; depth * padded(linear.outputs)];
        linear.scales = vec![0.0; groups * padded(linear.outputs)];
        linear.totals = vec![0.0; padded(linear.outputs)];
        for (output, weights) in weight.chunks_exact(inputs).enumerate() {
            let (panel, column) = (output / columns, output % columns);
            let bytes = &mut linear.panels[panel * columns * depth..][..columns * depth];
            let scales = &mut linear.scales[panel * columns * groups..][..columns * groups];
            for (group, weights) in weights.chunks(GROUP).enumerate() {
                let largest = weights.iter().fold(0.0_f32, |largest, weight| largest.max(weight.abs()));
                // A group of zeros has any scale; one keeps the division below defined.
                let scale = if largest > 0.0 { largest / WEIGHT_LIMIT } else { 1.0 };
                scales[group * columns + column] = scale;
                for (index, weight) in weights.iter().enumerate() {
                    let input = group * GROUP + index;
                    let byte = (weight / scale).round_ties_even();
                    bytes[(input / STEP * columns + column) * STEP + input % STEP] = byte as i8;
                    linear.totals[output] += scale * byte;
                }
            }
        }
        linear
    }
}

struct Quantize<'a> {
    x: &'a Rows,
    columns: usize,
    out: &'a mut Quantized,
}

impl Kernel for Quantize<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { x, columns, out } = self;
        out.width = columns.next_multiple_of(WIDTH_UNIT);
        // Bytes beyond the columns meet weights of zero: they may hold anything.
        out.bytes.resize(x.count() * out.width, 0);
        out.ranges.clear();
        for (x, bytes) in x.all().chunks_exact(x.width()).zip(out.bytes.chunks_exact_mut(out.width)) {
            let (mut least, mut most) = (simd.load(x), simd.load(x));
            for x in x.chunks_exact(S::LANES) {
                let x = simd.load(x);
                (least, most) = (simd.min(least, x), simd.max(most, x));
            }
            let (least, most) = (simd.smallest(least), simd.largest(most));
            let scale = (most - least) / ACTIVATION_LIMIT;
            // A row of equal numbers is all offset.
            let inverse = if scale > 0.0 { 1.0 / scale } else { 0.0 };
            let (inverses, offset) = (simd.splat(inverse), simd.splat(-least * inverse));
            for (x, bytes) in x.chunks_exact(S::LANES).zip(bytes.chunks_exact_mut(S::LANES)) {
                let byte = simd.mul_add(simd.load(x), inverses, offset);
                let byte = simd.min(simd.max(byte, simd.splat(0.0)), simd.splat(ACTIVATION_LIMIT));
                simd.store_bytes(byte, bytes);
            }
            out.ranges.push((scale, least));
        }
    }
}

struct Apply<'a> {
    linear: &'a Linear,
    x: &'a Quantized,
    then: Then,
    out: &'a mut Rows,
}

impl Kernel for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { linear, x, then, out } = self;
        let columns = tile::columns(simd);
        let groups = linear.inputs.div_ceil(GROUP);
        let width = out.width();
        let panels = linear.panels.chunks_exact(columns * linear.depth());
        let scales = linear.scales.chunks_exact(columns * groups);
        for (index, (panel, scales)) in panels.zip(scales).enumerate() {
            let outputs = index * columns..(index + 1) * columns;
            let (totals, bias) = (&linear.totals[outputs.clone()], &linear.bias[outputs.clone()]);
            for (start, count) in blocks(x.ranges.len(), S::TILE_ROWS) {
                let mut sums = tile::zeros(simd);
                let groups = panel.chunks(GROUP * columns).zip(scales.chunks_exact(columns));
                for (group, (panel, scales)) in groups.enumerate() {
                    let block = &x.bytes[start * x.width + group * GROUP..];
                    tile::multiply_bytes(simd, count, (block, x.width), panel, scales, &mut sums);
                }
                for (row, sums) in sums[..count].iter().enumerate() {
                    let (scale, offset) = x.ranges[start + row];
                    let row = (start + row) * width;
                    let sums = scaled(simd, *sums, scale, offset, totals);
                    finish(simd, sums, bias, then, &mut out.all_mut()[row + outputs.start..row + outputs.end]);
                }
            }
        }
    }
}

/// `scale * sums + offset * totals`
#[inline(always)]
fn scaled<S: Simd>(
    simd: S,
    sums: [S::Floats; TILE_VECTORS],
    scale: f32,
    offset: f32,
    totals: &[f32],
) -> [S::Floats; TILE_VECTORS] {
    let mut scaled = sums;
    for (scaled, totals) in scaled.iter_mut().zip(totals.chunks_exact(S::LANES)) {
        let offsets = simd.mul(simd.splat(offset), simd.load(totals));
        *scaled = simd.mul_add(*scaled, simd.splat(scale), offsets);
    }
    scaled
}
