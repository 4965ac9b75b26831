//! Linear layers: `x * weight + bias`, with what follows them done while the numbers are in registers.

mod full;
#[cfg(target_arch = "x86_64")]
mod tiles;

use crate::bf16;
use crate::rows::Rows;
#[cfg(target_arch = "x86_64")]
use simd::amx::Amx;
use simd::{Isa, Simd, TILE_VECTORS};

/// How exactly the weights and activations of the large products are kept. All sums are 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 32-bit floats: the model as it was trained. With [`Isa::Amx`] products see 17 bits of each number or more, which
    /// changes a number of a vector by a few millionths.
    F32,
    /// Rounded to `bf16`, 8 bits of precision; with [`Isa::Amx`] what attention multiplies too. Vectors have a cosine above
    /// 0.9999 to the exact ones, and to those of other processors. With [`Isa::Amx`] it takes half of the time and of the
    /// weights' memory, elsewhere more time and as much memory.
    Bf16,
}

impl Precision {
    /// Whether that instruction set computes faster with it than with floats.
    #[must_use]
    pub fn gains_on(self, isa: Isa) -> bool {
        isa == Isa::Amx && self == Self::Bf16
    }
}

/// What is done to each output of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It takes the place of what stood there.
    Replace,
    /// It is added to what stood there: a residual connection.
    Add,
    /// GELU of it takes the place of what stood there.
    Gelu,
}

/// A linear layer in the layout that its products walk, packed once when the model is loaded.
#[derive(Debug)]
pub(crate) enum Linear {
    /// By vectors. Rounded ones round their input too.
    Vectors { linear: full::Linear, precision: Precision },
    /// By matrix tiles, each number in two parts.
    #[cfg(target_arch = "x86_64")]
    Tiles(tiles::Linear<2>),
    /// By matrix tiles, rounded.
    #[cfg(target_arch = "x86_64")]
    RoundedTiles(tiles::Linear<1>),
}

/// Room for the input of a product in another form, kept from one product to the next.
#[derive(Debug, Default)]
pub(crate) struct Room {
    rounded: Rows,
    #[cfg(target_arch = "x86_64")]
    tiles: tiles::Room,
}

impl Linear {
    /// From a weight stored output by input, as models are saved.
    pub(crate) fn new(isa: Isa, precision: Precision, mut weight: Vec<f32>, bias: Vec<f32>) -> Self {
        #[cfg(target_arch = "x86_64")]
        if isa == Isa::Amx
            && let Some(amx) = Amx::detect()
        {
            return match precision {
                Precision::F32 => Self::Tiles(tiles::Linear::pack(amx, &weight, bias)),
                Precision::Bf16 => Self::RoundedTiles(tiles::Linear::pack(amx, &weight, bias)),
            };
        }
        if precision == Precision::Bf16 {
            bf16::round_all(&mut weight);
        }
        Self::Vectors { linear: full::Linear::pack(isa, &weight, bias), precision }
    }

    /// Numbers that it gives per row.
    pub(crate) fn outputs(&self) -> usize {
        match self {
            Self::Vectors { linear, .. } => linear.outputs(),
            #[cfg(target_arch = "x86_64")]
            Self::Tiles(linear) => linear.outputs(),
            #[cfg(target_arch = "x86_64")]
            Self::RoundedTiles(linear) => linear.outputs(),
        }
    }

    /// One row of `out` for each row of `x`.
    pub(crate) fn apply(&self, isa: Isa, x: &Rows, room: &mut Room, then: Then, out: &mut Rows) {
        match self {
            Self::Vectors { linear, precision: Precision::F32 } => linear.apply(isa, x, then, out),
            Self::Vectors { linear, precision: Precision::Bf16 } => {
                room.rounded.clone_from(x);
                bf16::round_all(room.rounded.all_mut());
                linear.apply(isa, &room.rounded, then, out);
            }
            #[cfg(target_arch = "x86_64")]
            Self::Tiles(linear) => linear.apply(x, &mut room.tiles, then, out),
            #[cfg(target_arch = "x86_64")]
            Self::RoundedTiles(linear) => linear.apply(x, &mut room.tiles, then, out),
        }
    }
}

/// Adds the bias to one row of a tile and does what follows.
#[inline(always)]
fn finish<S: Simd>(simd: S, sums: [S::Floats; TILE_VECTORS], bias: &[f32], then: Then, out: &mut [f32]) {
    let vectors = sums.into_iter().zip(bias.chunks_exact(S::LANES)).zip(out.chunks_exact_mut(S::LANES));
    for ((sum, bias), out) in vectors {
        let value = simd.add(sum, simd.load(bias));
        let value = match then {
            Then::Replace => value,
            Then::Add => simd.add(value, simd.load(out)),
            Then::Gelu => crate::math::gelu(simd, value),
        };
        simd.store(value, out);
    }
}

/// Where the rows of `count` begin that one tile takes at a time, and how many it takes: as even as can be, because a
/// tile of two rows uses the processor far less than one of seven.
#[inline(always)]
pub(crate) fn blocks(count: usize, most: usize) -> impl Iterator<Item = (usize, usize)> {
    let blocks = count.div_ceil(most);
    (0..blocks).map(move |block| {
        let (start, end) = (block * count / blocks, (block + 1) * count / blocks);
        (start, end - start)
    })
}

#[cfg(test)]
mod tests {
    use simd::Kernel;

    use super::*;
    use crate::math;

    /// Numbers from -1 to 1 that differ from each other.
    fn numbers(count: usize, seed: u32) -> Vec<f32> {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        std::iter::repeat_with(next).take(count).collect()
    }

    fn rows(count: usize, columns: usize, seed: u32) -> Rows {
        let mut rows = Rows::default();
        rows.resize(count, columns);
        for (row, values) in rows.iter_mut().zip(numbers(count * columns, seed).chunks_exact(columns)) {
            row[..columns].copy_from_slice(values);
        }
        rows
    }

    struct Gelu(f32);

    impl Kernel for Gelu {
        type Output = f32;

        #[inline(always)]
        fn run<S: Simd>(self, simd: S) -> f32 {
            let mut lanes = [0.0; simd::PANEL];
            simd.store(math::gelu(simd, simd.splat(self.0)), &mut lanes);
            lanes[0]
        }
    }

    /// Odd widths, whole tiles, one row, one more than a block of rows, a group and a half of inputs.
    const SHAPES: [(usize, usize, usize); 7] =
        [(1, 1, 1), (2, 3, 5), (7, 8, 12), (13, 32, 33), (12, 129, 64), (25, 192, 31), (5, 384, 96)];

    /// The largest difference from sums in 64 bits, as a share of the largest output.
    fn largest_error(
        isa: Isa,
        precision: Precision,
        (count, inputs, outputs): (usize, usize, usize),
        then: Then,
    ) -> f64 {
        let (weight, bias) = (numbers(inputs * outputs, 1), numbers(outputs, 2));
        let (x, before) = (rows(count, inputs, 3), rows(count, outputs, 4));
        let mut out = rows(count, outputs, 4);
        let linear = Linear::new(isa, precision, weight.clone(), bias.clone());
        linear.apply(isa, &x, &mut Room::default(), then, &mut out);
        let (mut error, mut largest) = (0.0_f64, 1e-9_f64);
        for row in 0..count {
            for output in 0..outputs {
                let products = (0..inputs)
                    .map(|input| f64::from(x.range(row..row + 1)[input]) * f64::from(weight[output * inputs + input]));
                let sum = products.sum::<f64>() + f64::from(bias[output]);
                let expected = match then {
                    Then::Replace => sum,
                    Then::Add => sum + f64::from(before.range(row..row + 1)[output]),
                    #[expect(clippy::cast_possible_truncation, reason = "what is compared has no more digits")]
                    Then::Gelu => f64::from(Isa::Portable.run(Gelu(sum as f32))),
                };
                error = error.max((f64::from(out.range(row..row + 1)[output]) - expected).abs());
                largest = largest.max(expected.abs());
            }
        }
        error / largest
    }

    #[test]
    fn a_product_in_floats_of_any_shape_equals_the_sum_written_out() {
        for isa in Isa::available() {
            for shape in SHAPES {
                for then in [Then::Replace, Then::Add, Then::Gelu] {
                    let error = largest_error(isa, Precision::F32, shape, then);
                    // Tiles keep 17 bits of each number or more, vectors 24.
                    let limit = if isa == Isa::Amx { 1e-5 } else { 2e-6 };
                    assert!(error < limit, "{isa} {shape:?} {then:?}: off by {error:e}");
                }
            }
        }
    }

    #[test]
    fn a_rounded_product_of_any_shape_is_near_the_sum_written_out() {
        for isa in Isa::available() {
            for shape in SHAPES {
                for then in [Then::Replace, Then::Add, Then::Gelu] {
                    let error = largest_error(isa, Precision::Bf16, shape, then);
                    assert!(error < 0.01, "{isa} {shape:?} {then:?}: off by {error:e}");
                }
            }
        }
    }

    #[test]
    fn blocks_cover_every_row_once_and_are_even() {
        for count in 0..100 {
            let blocks: Vec<_> = blocks(count, 12).collect();
            let covered: Vec<usize> = blocks.iter().flat_map(|&(start, length)| start..start + length).collect();
            assert_eq!(covered, (0..count).collect::<Vec<_>>());
            let lengths = || blocks.iter().map(|block| block.1);
            let spread = lengths().max().unwrap_or(0) - lengths().min().unwrap_or(0);
            assert!(spread <= 1 && lengths().all(|length| (1..=12).contains(&length)), "{count}: {blocks:?}");
        }
    }
}
