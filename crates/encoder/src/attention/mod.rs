//! Self-attention of one text over itself: `softmax(Q * Kᵀ / √d) * V` for each head (Vaswani et al. 2017).
//!
//! A block of rows takes its scores, their softmax and the sum over the values while all of it lies in the nearest
//! cache; the whole matrix of scores never exists.

#[cfg(target_arch = "x86_64")]
mod tiles;

use crate::linear::{Precision, blocks};
use crate::math;
use crate::rows::{Rows, padded};
#[cfg(target_arch = "x86_64")]
use simd::amx::Amx;
use simd::{Isa, Kernel, MOST_TILE_ROWS, Simd, tile};

/// Query, key and value lie side by side in one row per token.
pub(crate) const PARTS: usize = 3;

/// The shape of the heads.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Heads {
    /// How many.
    pub count: usize,
    /// Numbers of each in a query, a key and a value.
    pub size: usize,
}

/// Room for one head of one text, kept from one to the next.
#[derive(Debug, Default)]
pub(crate) struct HeadRoom {
    /// Keys in panels as wide as a tile, one column per token.
    keys: Vec<f32>,
    /// Values in panels as wide as a tile, one row per token.
    values: Vec<f32>,
    /// Scores of a block of rows.
    scores: Vec<f32>,
    #[cfg(target_arch = "x86_64")]
    tiles: tiles::Room,
}

/// Attention of each text over itself; `texts` are ranges of rows.
pub(crate) struct Attend<'a> {
    pub heads: Heads,
    pub texts: &'a [std::ops::Range<usize>],
    pub query_key_value: &'a Rows,
    pub room: &'a mut HeadRoom,
    pub context: &'a mut Rows,
}

impl Attend<'_> {
    pub(crate) fn apply(self, isa: Isa, precision: Precision) {
        #[cfg(target_arch = "x86_64")]
        if precision == Precision::Bf16
            && isa == Isa::Amx
            && let Some(amx) = Amx::detect()
        {
            return isa.run(ByTiles(amx, self));
        }
        isa.run(self);
    }
}

#[cfg(target_arch = "x86_64")]
struct ByTiles<'a>(Amx, Attend<'a>);

#[cfg(target_arch = "x86_64")]
impl Kernel for ByTiles<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self(amx, Attend { heads, texts, query_key_value, room, context }) = self;
        let tiles = amx.tiles();
        let part = heads.count * heads.size;
        let (in_width, out_width) = (query_key_value.width(), context.width());
        for text in texts {
            let rows = query_key_value.range(text.clone());
            let context = context.range_mut(text.clone());
            for column in (0..part).step_by(heads.size) {
                let head = Head { tokens: text.len(), size: heads.size };
                let parts = [&rows[column..], &rows[part + column..], &rows[2 * part + column..]];
                let context = (&mut context[column..], out_width);
                room.tiles.attend((simd, amx, &tiles), head, (parts, in_width), context);
            }
        }
    }
}

impl Kernel for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let Self { heads, texts, query_key_value, room, context } = self;
        let part = heads.count * heads.size;
        let (in_width, out_width) = (query_key_value.width(), context.width());
        for text in texts {
            let rows = query_key_value.range(text.clone());
            let context = context.range_mut(text.clone());
            for column in (0..part).step_by(heads.size) {
                let head = Head { tokens: text.len(), size: heads.size };
                room.pack(simd, head, &rows[part + column..], &rows[2 * part + column..], in_width);
                attend(simd, head, (&rows[column..], in_width), room, (&mut context[column..], out_width));
            }
        }
    }
}

/// One head of one text.
#[derive(Clone, Copy)]
struct Head {
    tokens: usize,
    size: usize,
}

impl HeadRoom {
    #[inline(always)]
    fn pack<S: Simd>(&mut self, simd: S, head: Head, keys: &[f32], values: &[f32], stride: usize) {
        let columns = tile::columns(simd);
        let tokens = padded(head.tokens);
        // What lies beyond the tokens and beyond the head is multiplied too, and must be finite; it is never read.
        self.keys.resize(tokens * head.size, 0.0);
        self.values.resize(head.tokens * padded(head.size), 0.0);
        self.scores.resize(MOST_TILE_ROWS * tokens, 0.0);
        for (panel, keys) in self.keys.chunks_exact_mut(columns * head.size).zip(keys.chunks(columns * stride)) {
            for (token, key) in keys.chunks(stride).enumerate().take(columns) {
                for (place, key) in panel[token..].iter_mut().step_by(columns).zip(&key[..head.size]) {
                    *place = *key;
                }
            }
        }
        for (index, panel) in self.values.chunks_exact_mut(columns * head.tokens).enumerate() {
            let start = index * columns;
            if start >= head.size {
                break;
            }
            let width = columns.min(head.size - start);
            for (place, value) in panel.chunks_exact_mut(columns).zip(values.chunks(stride)) {
                place[..width].copy_from_slice(&value[start..start + width]);
            }
        }
    }
}

#[inline(always)]
fn attend<S: Simd>(
    simd: S,
    head: Head,
    (queries, stride): (&[f32], usize),
    room: &mut HeadRoom,
    (context, context_stride): (&mut [f32], usize),
) {
    let columns = tile::columns(simd);
    let width = padded(head.tokens);
    let scale = 1.0 / (head.size as f32).sqrt();
    let mut sums = tile::zeros(simd);
    for (start, count) in blocks(head.tokens, S::TILE_ROWS) {
        let queries = &queries[start * stride..];
        for (index, panel) in room.keys.chunks_exact(columns * head.size).enumerate() {
            tile::multiply(simd, count, (queries, stride), (panel, columns), head.size, &mut sums);
            for (row, sums) in sums[..count].iter().enumerate() {
                let scores = &mut room.scores[row * width + index * columns..][..columns];
                scores.chunks_exact_mut(S::LANES).zip(sums).for_each(|(place, sum)| simd.store(*sum, place));
            }
        }
        let mut shares = [0.0; MOST_TILE_ROWS];
        for (row, share) in room.scores.chunks_exact_mut(width).zip(&mut shares).take(count) {
            *share = exponentials(simd, row, head.tokens, scale);
        }
        for (index, panel) in room.values.chunks_exact(columns * head.tokens).enumerate() {
            let from = index * columns;
            if from >= head.size {
                break;
            }
            tile::multiply(simd, count, (&room.scores, width), (panel, columns), head.tokens, &mut sums);
            for (row, (sums, share)) in sums[..count].iter().zip(shares).enumerate() {
                let place = (start + row) * context_stride + from;
                store_row(simd, *sums, share, &mut context[place..place + columns.min(head.size - from)]);
            }
        }
    }
}

/// Replaces each score of a row by `e^(scale * (score - largest))`, and gives one over their sum. The largest is
/// subtracted so that nothing overflows.
#[inline(always)]
fn exponentials<S: Simd>(simd: S, row: &mut [f32], tokens: usize, scale: f32) -> f32 {
    // The columns beyond the tokens are as small as can be: they become zero.
    row[tokens..].fill(f32::MIN / 2.0);
    let mut largest = simd.splat(f32::MIN);
    for scores in row.chunks_exact(S::LANES) {
        largest = simd.max(largest, simd.load(scores));
    }
    let largest = simd.splat(simd.largest(largest));
    let (scale, mut sum) = (simd.splat(scale), simd.splat(0.0));
    for scores in row.chunks_exact_mut(S::LANES) {
        let value = exponentials_of(simd, simd.load(scores), largest, scale);
        sum = simd.add(sum, value);
        simd.store(value, scores);
    }
    1.0 / simd.sum(sum)
}

/// `e^(scale * (score - largest))`
#[inline(always)]
fn exponentials_of<S: Simd>(simd: S, scores: S::Floats, largest: S::Floats, scale: S::Floats) -> S::Floats {
    math::exp(simd, simd.mul(simd.sub(scores, largest), scale))
}

/// Writes `share * sums`; where a head is narrower than a tile, as much as fits.
#[inline(always)]
fn store_row<S: Simd>(simd: S, sums: [S::Floats; 2], share: f32, to: &mut [f32]) {
    let share = simd.splat(share);
    for (to, sum) in to.chunks_mut(S::LANES).zip(sums) {
        let value = simd.mul(sum, share);
        if to.len() == S::LANES {
            simd.store(value, to);
        } else {
            let mut lanes = [0.0; simd::PANEL];
            simd.store(value, &mut lanes);
            to.copy_from_slice(&lanes[..to.len()]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One head written out in 64 bits.
    fn expected(input: &Rows, text: &std::ops::Range<usize>, heads: Heads, head: usize) -> Vec<Vec<f64>> {
        let part = heads.count * heads.size;
        let number = |token: usize, kind: usize, index: usize| {
            f64::from(input.range(token..token + 1)[kind * part + head * heads.size + index])
        };
        let row = |token: usize| {
            let scores = text.clone().map(|other| {
                let dot: f64 = (0..heads.size).map(|i| number(token, 0, i) * number(other, 1, i)).sum();
                (dot / (heads.size as f64).sqrt()).exp()
            });
            let scores: Vec<f64> = scores.collect();
            let total: f64 = scores.iter().sum();
            let value =
                |i: usize| scores.iter().zip(text.clone()).map(|(s, other)| s * number(other, 2, i)).sum::<f64>();
            (0..heads.size).map(|i| value(i) / total).collect()
        };
        text.clone().map(row).collect()
    }

    #[test]
    fn heads_of_any_size_over_texts_of_any_length_equal_the_formula_written_out() {
        for (isa, precision, limit) in Isa::available()
            // Numbers up to 2, of which `bf16` has 8 bits: 2^-8 in a value, and as much from its share.
            .flat_map(|isa| [(isa, Precision::F32, 1e-5), (isa, Precision::Bf16, 0.02)])
        {
            for heads in [(2, 4), (1, 7), (12, 32), (3, 64), (2, 40)].map(|(count, size)| Heads { count, size }) {
                let texts = [0..1, 1..3, 3..16, 16..49, 49..130];
                let mut input = Rows::default();
                input.resize(130, PARTS * heads.count * heads.size);
                for (index, number) in input.all_mut().iter_mut().enumerate() {
                    *number = ((index * 7919 % 1009) as f32 / 1009.0 - 0.5) * 4.0;
                }
                let mut context = Rows::default();
                context.resize(130, heads.count * heads.size);
                let room = &mut HeadRoom::default();
                Attend { heads, texts: &texts, query_key_value: &input, room, context: &mut context }
                    .apply(isa, precision);
                for text in &texts {
                    for head in 0..heads.count {
                        for (token, expected) in text.clone().zip(expected(&input, text, heads, head)) {
                            let row = &context.range(token..token + 1)[head * heads.size..];
                            for (found, expected) in row.iter().zip(expected) {
                                let error = (f64::from(*found) - expected).abs();
                                assert!(error < limit, "{isa} {precision:?} {heads:?} {text:?}: off by {error:e}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn scores_too_large_for_an_exponential_do_not_overflow() {
        for isa in Isa::available() {
            for tokens in [1, 2, 15, 16, 17, 256] {
                let mut row = vec![0.0; padded(tokens)];
                for (index, score) in row[..tokens].iter_mut().enumerate() {
                    *score = if index % 3 == 0 { 1e30 } else { -1e30 };
                }
                let share = isa.run(Exponentials(&mut row, tokens));
                let total: f32 = row[..tokens].iter().map(|value| value * share).sum();
                assert!((total - 1.0).abs() < 1e-5, "{isa} {tokens}: {total}");
            }
        }
    }

    struct Exponentials<'a>(&'a mut [f32], usize);

    impl Kernel for Exponentials<'_> {
        type Output = f32;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            exponentials(simd, self.0, self.1, 1.0)
        }
    }
}
