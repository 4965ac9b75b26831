//! The innermost loops: one tile of a matrix product, with all its sums in registers.

use crate::{MOST_TILE_ROWS, Simd, TILE_VECTORS};

/// The sums of one tile: [`TILE_VECTORS`] vectors side by side for each row.
pub type Tile<S> = [[<S as Simd>::Floats; TILE_VECTORS]; MOST_TILE_ROWS];

/// A tile of zeros.
#[inline(always)]
pub fn zeros<S: Simd>(simd: S) -> Tile<S> {
    [[simd.splat(0.0); TILE_VECTORS]; MOST_TILE_ROWS]
}

/// Columns of a tile.
#[inline(always)]
pub fn columns<S: Simd>(_: S) -> usize {
    TILE_VECTORS * S::LANES
}

/// One row of a tile from a slice that holds it.
#[inline(always)]
pub fn load<S: Simd>(simd: S, from: &[f32]) -> [S::Floats; TILE_VECTORS] {
    // Not by a closure: what is called through one may not be inlined.
    [simd.load(from), simd.load(&from[S::LANES..])]
}

/// Calls an unsafe function of the instruction set `S` that is compiled for each number of rows of a tile.
macro_rules! by_rows {
    ($rows:expr, $function:ident $arguments:tt) => {
        by_rows!($rows, $function $arguments, 1 2 3 4 5 6 7 8 9 10 11 12)
    };
    ($rows:expr, $function:ident $arguments:tt, $($n:literal)*) => {
        match $rows {
            $($n if $n <= S::TILE_ROWS => unsafe { $function::<S, $n> $arguments },)*
            rows => panic!("a tile of {rows} rows"),
        }
    };
}

/// `a * b` of the first `rows` rows of `a` (at most [`Simd::TILE_ROWS`]), which begin every `a_stride` numbers, with
/// `depth` rows of `b`, as wide as a tile, which begin every `b_stride` numbers.
///
/// # Panics
/// When a slice is too short.
#[inline(always)]
pub fn multiply<S: Simd>(
    simd: S,
    rows: usize,
    (a, a_stride): (&[f32], usize),
    (b, b_stride): (&[f32], usize),
    depth: usize,
    out: &mut Tile<S>,
) {
    assert!((rows - 1) * a_stride + depth <= a.len(), "the left side of a product is too short");
    assert!((depth - 1) * b_stride + columns(simd) <= b.len(), "the right side of a product is too short");
    // SAFETY: the asserts above bound every read of the loop.
    by_rows!(rows, multiply_rows(simd, a.as_ptr(), a_stride, b.as_ptr(), b_stride, depth, out));
}

/// # Safety
/// `a` can be read at every row and depth, and `b` a tile's width at every depth.
#[inline(always)]
unsafe fn multiply_rows<S: Simd, const ROWS: usize>(
    simd: S,
    a: *const f32,
    a_stride: usize,
    b: *const f32,
    b_stride: usize,
    depth: usize,
    out: &mut Tile<S>,
) {
    let mut sums = [[simd.splat(0.0); TILE_VECTORS]; ROWS];
    for k in 0..depth {
        let b = unsafe { b.add(k * b_stride) };
        let columns = unsafe { [simd.load_at(b), simd.load_at(b.add(S::LANES))] };
        for (row, sums) in sums.iter_mut().enumerate() {
            let value = simd.splat(unsafe { *a.add(row * a_stride + k) });
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum = simd.mul_add(value, column, *sum);
            }
        }
    }
    out[..ROWS].copy_from_slice(&sums);
}
