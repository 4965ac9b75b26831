//! Attention by the matrix tiles of the processor, with queries, keys, values and the shares of softmax rounded to `bf16`.
//!
//! With two parts per number, as linear layers have for floats, it took as long as by vectors, which are exact.

use simd::amx::{Amx, BLOCK_ROWS, Line, STEP, STEP_LINES, Sums, Tiles};
use simd::{PANEL, Simd};

use super::{Head, exponentials_of};
use crate::rows::padded;
use crate::tiles::{write_column, write_row, write_rows};

/// Room for one head of one text, kept from one to the next.
#[derive(Debug, Default)]
pub(super) struct Room {
    /// One block of queries, step by step.
    queries: Vec<Line>,
    /// Panels of one column per token, in each step by step.
    keys: Vec<Line>,
    /// Panels of one row per token, in each step by step.
    values: Vec<Line>,
    /// One block of scores, panel by panel.
    scores: Vec<Sums>,
    /// The same block as the left side of the next product.
    shares: Vec<Line>,
    /// One block of sums.
    context: Vec<Sums>,
}

impl Room {
    /// One head of one text; `rows` begin at the head's queries, keys and values and every `stride` numbers, the rows of
    /// `context` at its place and every `context_stride` numbers.
    #[inline(always)]
    pub(super) fn attend<S: Simd>(
        &mut self,
        (simd, amx, tiles): (S, Amx, &Tiles),
        head: Head,
        ([queries, keys, values], stride): ([&[f32]; 3], usize),
        (context, context_stride): (&mut [f32], usize),
    ) {
        let (steps, panels) = (head.size.div_ceil(STEP), head.tokens.div_ceil(PANEL));
        self.queries.resize(steps * STEP_LINES, Line::ZERO);
        self.shares.resize(panels * STEP_LINES, Line::ZERO);
        self.scores.resize(panels, Sums::ZERO);
        self.context.resize(1, Sums::ZERO);
        self.pack(amx, head, keys, values, stride);
        let scale = 1.0 / (head.size as f32).sqrt();
        for start in (0..head.tokens).step_by(BLOCK_ROWS) {
            let count = BLOCK_ROWS.min(head.tokens - start);
            for (row, query) in queries[start * stride..].chunks(stride).take(count).enumerate() {
                for (step, query) in self.queries.chunks_exact_mut(STEP_LINES).zip(query[..head.size].chunks(STEP)) {
                    write_row::<1>(amx, query, row, step);
                }
            }
            for (keys, scores) in self.keys.chunks_exact(steps * STEP_LINES).zip(&mut self.scores) {
                tiles.multiply::<1>(count, (&self.queries, keys), steps, true, scores);
            }
            let mut inverses = [0.0; BLOCK_ROWS];
            for (row, inverse) in inverses[..count].iter_mut().enumerate() {
                *inverse = self.shares_of((simd, amx), row, head.tokens, scale);
            }
            for (from, values) in (0..head.size).step_by(PANEL).zip(self.values.chunks_exact(panels * STEP_LINES)) {
                tiles.multiply::<1>(count, (&self.shares, values), panels, true, &mut self.context[0]);
                let width = PANEL.min(head.size - from);
                for (row, (sums, inverse)) in self.context[0].0[..count].iter().zip(inverses).enumerate() {
                    let place = (start + row) * context_stride + from;
                    for (to, sum) in context[place..place + width].iter_mut().zip(sums) {
                        *to = sum * inverse;
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn pack(&mut self, amx: Amx, head: Head, keys: &[f32], values: &[f32], stride: usize) {
        let (steps, panels) = (head.size.div_ceil(STEP), head.tokens.div_ceil(PANEL));
        self.keys.resize(panels * steps * STEP_LINES, Line::ZERO);
        self.values.resize(head.size.div_ceil(PANEL) * panels * STEP_LINES, Line::ZERO);
        for (token, key) in keys.chunks(stride).take(head.tokens).enumerate() {
            let panel = &mut self.keys[token / PANEL * steps * STEP_LINES..][..steps * STEP_LINES];
            for (step, key) in panel.chunks_exact_mut(STEP_LINES).zip(key[..head.size].chunks(STEP)) {
                write_column::<1>(amx, key, token % PANEL, step);
            }
        }
        for (from, panel) in (0..head.size).step_by(PANEL).zip(self.values.chunks_exact_mut(panels * STEP_LINES)) {
            let columns = from..head.size.min(from + PANEL);
            for pair in 0..padded(head.tokens) / 2 {
                let mut rows: [&[f32]; 2] = [&[], &[]];
                for (row, token) in rows.iter_mut().zip(2 * pair..head.tokens) {
                    *row = &values[token * stride..][columns.clone()];
                }
                let step = &mut panel[pair / (STEP / 2) * STEP_LINES..][..STEP_LINES];
                write_rows::<1>(amx, rows[0], rows[1], pair % (STEP / 2), step);
            }
        }
    }

    /// Writes `e^(scale * (score - largest))` for each score of a row to where the next product takes it from, and gives
    /// one over their sum.
    #[inline(always)]
    fn shares_of<S: Simd>(&mut self, (simd, amx): (S, Amx), row: usize, tokens: usize, scale: f32) -> f32 {
        // The columns beyond the tokens are as small as can be: they become zero.
        let last = self.scores.len() - 1;
        self.scores[last].0[row][tokens - last * PANEL..].fill(f32::MIN / 2.0);
        let mut largest = simd.splat(f32::MIN);
        for scores in &self.scores {
            for scores in scores.0[row].chunks_exact(S::LANES) {
                largest = simd.max(largest, simd.load(scores));
            }
        }
        let largest = simd.splat(simd.largest(largest));
        let (scale, mut sum) = (simd.splat(scale), simd.splat(0.0));
        for (scores, step) in self.scores.iter().zip(self.shares.chunks_exact_mut(STEP_LINES)) {
            let mut shares = [0.0; PANEL];
            for (scores, shares) in scores.0[row].chunks_exact(S::LANES).zip(shares.chunks_exact_mut(S::LANES)) {
                let value = exponentials_of(simd, simd.load(scores), largest, scale);
                sum = simd.add(sum, value);
                simd.store(value, shares);
            }
            write_row::<1>(amx, &shares, row, step);
        }
        1.0 / simd.sum(sum)
    }
}
