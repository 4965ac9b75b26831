//! Linear layers by the matrix tiles of the processor, whose products take `bf16` and give 32-bit floats.
//!
//! With one part per number, weights and activations are rounded to `bf16`. With two, each number is the sum of two
//! `bf16` and each product the sum of three, which leaves an error of 2^-17 of the product: about what rounding leaves of
//! a long sum of 32-bit floats anyway.

use simd::amx::{Amx, BLOCK_ROWS, Line, STEP, Sums, Tiles};
use simd::{Isa, Kernel, PANEL, Simd, tile};

use super::{Then, finish};
use crate::rows::{Rows, padded};
use crate::tiles::{step_lines, write_column, write_row};

/// Steps of a panel that all rows pass before the next ones are read: so many of both sides stay in the nearest cache
/// together (24 or 32 of its 48 KiB).
const fn chunk_steps(parts: usize) -> usize {
    if parts == 1 { 6 } else { 4 }
}

/// Lines of the left side that pass all panels before the next ones do: 1.5 MiB, which stay in the second cache of
/// 2 MiB. More would come from the third one again for each panel; fewer would read all panels more often.
const SLAB_LINES: usize = 3 << 13;

/// Blocks of rows from which on there is time to bring in the next weights while these are used. For fewer, the
/// processor's own guesses are faster.
const PREFETCH_FROM_BLOCKS: usize = 3;

/// Weights in panels, ready for [`Tiles::multiply`].
#[derive(Debug)]
pub(crate) struct Linear<const PARTS: usize> {
    amx: Amx,
    inputs: usize,
    outputs: usize,
    panels: Vec<Line>,
    bias: Vec<f32>,
}

/// Room for the left side of a product and its sums, kept from one product to the next.
#[derive(Debug, Default)]
pub(crate) struct Room {
    /// Chunk by chunk of steps, in each block by block of rows, in each step by step.
    lines: Vec<Line>,
    /// Block by block.
    sums: Vec<Sums>,
}

impl<const PARTS: usize> Linear<PARTS> {
    pub(super) fn pack(amx: Amx, weight: &[f32], mut bias: Vec<f32>) -> Self {
        let outputs = bias.len();
        let inputs = weight.len() / outputs;
        bias.resize(padded(outputs), 0.0);
        let panel_lines = inputs.div_ceil(STEP) * step_lines(PARTS);
        let mut panels = vec![Line::ZERO; outputs.div_ceil(PANEL) * panel_lines];
        for (output, weights) in weight.chunks_exact(inputs).enumerate() {
            let panel = &mut panels[output / PANEL * panel_lines..][..panel_lines];
            for (step, weights) in panel.chunks_exact_mut(step_lines(PARTS)).zip(weights.chunks(STEP)) {
                write_column::<PARTS>(amx, weights, output % PANEL, step);
            }
        }
        Self { amx, inputs, outputs, panels, bias }
    }

    pub(super) fn outputs(&self) -> usize {
        self.outputs
    }

    pub(super) fn apply(&self, x: &Rows, room: &mut Room, then: Then, out: &mut Rows) {
        debug_assert!(x.width() == padded(self.inputs) && out.width() == padded(self.outputs));
        Isa::Amx.run(Apply { linear: self, x, room, then, out });
    }

    fn steps(&self) -> usize {
        self.inputs.div_ceil(STEP)
    }
}

struct Apply<'a, const PARTS: usize> {
    linear: &'a Linear<PARTS>,
    x: &'a Rows,
    room: &'a mut Room,
    then: Then,
    out: &'a mut Rows,
}

impl<const PARTS: usize> Kernel for Apply<'_, PARTS> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { linear, x, room, then, out } = self;
        let tiles = linear.amx.tiles();
        let rows = (SLAB_LINES / (linear.steps() * step_lines(PARTS))).max(1) * BLOCK_ROWS;
        let (x_width, out_width) = (x.width(), out.width());
        for (x, out) in x.all().chunks(rows * x_width).zip(out.all_mut().chunks_mut(rows * out_width)) {
            linear.apply_to_slab((simd, &tiles), (x, x_width), room, then, (out, out_width));
        }
    }
}

impl<const PARTS: usize> Linear<PARTS> {
    #[inline(always)]
    fn apply_to_slab<S: Simd>(
        &self,
        (simd, tiles): (S, &Tiles),
        (x, x_width): (&[f32], usize),
        room: &mut Room,
        then: Then,
        (out, out_width): (&mut [f32], usize),
    ) {
        let rows = x.len() / x_width;
        let blocks = rows.div_ceil(BLOCK_ROWS);
        let (lines, sums) = room.grown(blocks * self.steps() * step_lines(PARTS), blocks);
        write_slab::<PARTS>(self.amx, (x, x_width), self.steps(), lines);
        let mut panels = self.panels.as_slice();
        for (index, bias) in self.bias.chunks_exact(PANEL).enumerate() {
            let mut lines = &*lines;
            for first_step in (0..self.steps()).step_by(chunk_steps(PARTS)) {
                let steps = chunk_steps(PARTS).min(self.steps() - first_step);
                let (panel, block);
                (panel, panels) = panels.split_at(steps * step_lines(PARTS));
                (block, lines) = lines.split_at(blocks * panel.len());
                let mut next = panels[..panel.len().min(panels.len())].chunks(panel.len().div_ceil(blocks));
                for ((block, sums), start) in
                    block.chunks_exact(panel.len()).zip(&mut *sums).zip((0..).step_by(BLOCK_ROWS))
                {
                    if blocks >= PREFETCH_FROM_BLOCKS {
                        tiles.prefetch(next.next().unwrap_or_default());
                    }
                    let count = BLOCK_ROWS.min(rows - start);
                    tiles.multiply::<PARTS>(count, (block, panel), steps, first_step == 0, sums);
                    if first_step + steps == self.steps() {
                        for (row, sums) in sums.0[..count].iter().enumerate() {
                            let place = (start + row) * out_width + index * PANEL;
                            finish(simd, tile::load(simd, sums), bias, then, &mut out[place..place + PANEL]);
                        }
                    }
                }
            }
        }
    }
}

impl Room {
    /// Of each at least so many; they are kept as large as they have been, so that nothing is cleared again and again.
    fn grown(&mut self, lines: usize, sums: usize) -> (&mut [Line], &mut [Sums]) {
        if self.lines.len() < lines {
            self.lines.resize(lines, Line::ZERO);
        }
        if self.sums.len() < sums {
            self.sums.resize(sums, Sums::ZERO);
        }
        (&mut self.lines[..lines], &mut self.sums[..sums])
    }
}

/// Writes the left side. What stands beyond its rows in its last block has no meaning, and neither have their sums.
#[inline(always)]
fn write_slab<const PARTS: usize>(amx: Amx, (x, width): (&[f32], usize), steps: usize, lines: &mut [Line]) {
    let blocks = x.len().div_ceil(BLOCK_ROWS * width);
    for (block, x) in x.chunks(BLOCK_ROWS * width).enumerate() {
        for step in 0..steps {
            let chunk = step / chunk_steps(PARTS) * chunk_steps(PARTS);
            let steps_of_chunk = chunk_steps(PARTS).min(steps - chunk);
            let place = (chunk * blocks + block * steps_of_chunk + step - chunk) * step_lines(PARTS);
            let lines = &mut lines[place..place + step_lines(PARTS)];
            for (row, x) in x.chunks_exact(width).enumerate() {
                write_row::<PARTS>(amx, &x[step * STEP..][..STEP], row, lines);
            }
        }
    }
}
