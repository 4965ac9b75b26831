//! Plain Rust, for every processor; the others are checked against it.

use crate::Simd;

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
}
