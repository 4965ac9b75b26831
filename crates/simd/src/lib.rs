//! Vector instructions: one trait, one implementation per instruction set, and the choice between them at run time.
//!
//! A [`Kernel`] is written once against [`Simd`]; [`Isa::run`] compiles it for every instruction set and takes the one
//! that was chosen. The matrix tiles of `amx` multiply whole blocks and stand beside it. The `unsafe` of this crate is of
//! three kinds: calling an intrinsic, which is sound because a value of an instruction set's type exists only where the
//! processor has it; reading through a pointer in a loop whose bounds were asserted before it ([`tile`]); and the assembler
//! of `amx`, likewise.

#![expect(unsafe_code, reason = "intrinsics and the innermost loops; see the crate's words on why each is sound")]

#[cfg(target_arch = "x86_64")]
pub mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod isa;
#[cfg(target_arch = "aarch64")]
mod neon;
mod portable;
pub mod tile;

pub use isa::Isa;

/// Widest vector of all instruction sets, in 32-bit numbers. Rows of numbers are padded with zeros to a multiple of
/// [`PANEL`], so that no loop needs a remainder.
const WIDEST: usize = 16;

/// Vectors side by side in one [`tile`] of a product.
pub const TILE_VECTORS: usize = 2;

/// Columns of the widest tile, and the unit that the width of rows is padded to.
pub const PANEL: usize = TILE_VECTORS * WIDEST;

/// Most rows of one tile on any instruction set.
pub const MOST_TILE_ROWS: usize = 12;

/// Work that is compiled for each instruction set.
///
/// Implementations and every generic function they call must be `#[inline(always)]`: what is not inlined is compiled
/// for the oldest machine.
pub trait Kernel {
    /// What it gives.
    type Output;

    /// Does the work.
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// The vector operations that kernels are written in. Numbers are 32 bits wide; comparisons and rounding are those of
/// IEEE 754, and a product with a sum may be rounded once or twice.
pub trait Simd: Copy {
    /// Numbers per vector; a divisor of `WIDEST`.
    const LANES: usize;
    /// Rows of a tile: as many as keep all sums in registers.
    const TILE_ROWS: usize;
    /// A vector of floats.
    type Floats: Copy;

    /// The same number in every lane.
    fn splat(self, value: f32) -> Self::Floats;
    /// The first numbers of a slice that has at least [`Simd::LANES`].
    fn load(self, from: &[f32]) -> Self::Floats;
    /// Writes to the beginning of a slice that has room for [`Simd::LANES`].
    fn store(self, value: Self::Floats, to: &mut [f32]);
    /// # Safety
    /// [`Simd::LANES`] numbers can be read at `from`.
    unsafe fn load_at(self, from: *const f32) -> Self::Floats;

    /// `a + b`
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a - b`
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b`
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `a * b + c`
    fn mul_add(self, a: Self::Floats, b: Self::Floats, c: Self::Floats) -> Self::Floats;
    /// The smaller one.
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// The larger one.
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `2^n` for the whole number `n` from -126 to 127 that was added to [`ROUND`]: the low bits of that sum are `n`.
    fn power_of_two(self, rounded: Self::Floats) -> Self::Floats;
    /// All lanes together.
    fn sum(self, a: Self::Floats) -> f32;
    /// The largest lane.
    fn largest(self, a: Self::Floats) -> f32;
}

/// Adding this to a float from -2^22 to 2^22 leaves no room for a fraction: the sum is rounded to a whole number, which
/// stands in its low bits.
pub const ROUND: f32 = 12_582_912.0; // 1.5 * 2^23
