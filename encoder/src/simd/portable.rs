//! Plain Rust, for every processor; the others are checked against it.

use super::{Simd, TILE_VECTORS};

/// Eight lanes: the compiler makes two or four vector instructions of each operation.
const LANES: usize = 8;

/// Plain Rust.
#[derive(Clone, Copy)]
pub(super) struct Portable;

type Floats = [f32; LANES];

#[inline(always)]
fn zip(a: Floats, b: Floats, f: impl Fn(f32, f32) -> f32) -> Floats {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

impl Simd for Portable {
    const LANES: usize = LANES;
    const TILE_ROWS: usize = 4;
    type Floats = Floats;
    type Ints = [i32; LANES];

    #[inline(always)]
    fn splat(self, value: f32) -> Floats {
        [value; LANES]
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> Floats {
        *from.first_chunk().expect("the slice holds a vector")
    }

    #[inline(always)]
    fn store(self, value: Floats, to: &mut [f32]) {
        *to.first_chunk_mut().expect("the slice has room for a vector") = value;
    }

    #[inline(always)]
    unsafe fn load_at(self, from: *const f32) -> Floats {
        // SAFETY: the caller says that the numbers can be read; an array of floats needs no more alignment than one.
        unsafe { *from.cast() }
    }

    #[inline(always)]
    fn add(self, a: Floats, b: Floats) -> Floats {
        zip(a, b, |a, b| a + b)
    }

    #[inline(always)]
    fn sub(self, a: Floats, b: Floats) -> Floats {
        zip(a, b, |a, b| a - b)
    }

    #[inline(always)]
    fn mul(self, a: Floats, b: Floats) -> Floats {
        zip(a, b, |a, b| a * b)
    }

    #[inline(always)]
    fn div(self, a: Floats, b: Floats) -> Floats {
        zip(a, b, |a, b| a / b)
    }

    #[inline(always)]
    fn mul_add(self, a: Floats, b: Floats, c: Floats) -> Floats {
        // Not `f32::mul_add`: without the instruction for it, that is a call into the maths library.
        std::array::from_fn(|lane| a[lane] * b[lane] + c[lane])
    }

    #[inline(always)]
    fn min(self, a: Floats, b: Floats) -> Floats {
        zip(a, b, |a, b| if a < b { a } else { b })
    }

    #[inline(always)]
    fn max(self, a: Floats, b: Floats) -> Floats {
        zip(a, b, |a, b| if a > b { a } else { b })
    }

    #[inline(always)]
    fn abs(self, a: Floats) -> Floats {
        a.map(f32::abs)
    }

    #[inline(always)]
    fn with_sign(self, magnitude: Floats, sign: Floats) -> Floats {
        zip(magnitude, sign, f32::copysign)
    }

    #[inline(always)]
    fn power_of_two(self, rounded: Floats) -> Floats {
        const MANTISSA_BITS: u32 = 23;
        rounded.map(|sum| f32::from_bits((sum.to_bits() << MANTISSA_BITS).wrapping_add(1.0_f32.to_bits())))
    }

    #[inline(always)]
    fn sum(self, a: Floats) -> f32 {
        a.iter().sum()
    }

    #[inline(always)]
    fn largest(self, a: Floats) -> f32 {
        a.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }

    #[inline(always)]
    fn smallest(self, a: Floats) -> f32 {
        a.into_iter().fold(f32::INFINITY, f32::min)
    }

    #[inline(always)]
    fn zero(self) -> Self::Ints {
        [0; LANES]
    }

    #[inline(always)]
    unsafe fn dot<const ROWS: usize>(
        self,
        sums: &mut [[Self::Ints; TILE_VECTORS]; ROWS],
        a: *const u8,
        a_stride: usize,
        b: *const i8,
    ) {
        // SAFETY: the caller says that so many bytes can be read.
        let b = unsafe { *b.cast::<[[[i8; 4]; LANES]; TILE_VECTORS]>() };
        for (row, sums) in sums.iter_mut().enumerate() {
            // SAFETY: likewise.
            let a = unsafe { *a.add(row * a_stride).cast::<[u8; 4]>() };
            for (sums, b) in sums.iter_mut().zip(b) {
                for (sum, b) in sums.iter_mut().zip(b) {
                    *sum += a.into_iter().zip(b).map(|(a, b)| i32::from(a) * i32::from(b)).sum::<i32>();
                }
            }
        }
    }

    #[inline(always)]
    fn to_floats(self, a: Self::Ints) -> Floats {
        a.map(|value| value as f32)
    }

    #[inline(always)]
    fn store_bytes(self, value: Floats, to: &mut [u8]) {
        let to: &mut [u8; LANES] = to.first_chunk_mut().expect("the slice has room for a vector");
        *to = value.map(|value| value.round_ties_even() as u8);
    }
}
