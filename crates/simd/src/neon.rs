//! 128-bit vectors of `aarch64`.

use std::arch::aarch64::*;
use std::arch::is_aarch64_feature_detected;

use crate::{Kernel, Simd};

/// Proof that the processor has NEON: made by [`Neon::detect`] alone, so every intrinsic of this set may be called where
/// there is one.
#[derive(Clone, Copy)]
pub(super) struct Neon(());

impl Neon {
    pub(super) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "neon")]
        fn run<K: Kernel>(simd: Neon, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` proves that the processor has it.
        unsafe { run(self, kernel) }
    }
}

// SAFETY of every block below: `self` proves that the processor has the instruction; slices are checked before their
// pointers are used.
impl Simd for Neon {
    const LANES: usize = 4;
    const TILE_ROWS: usize = 12;
    type Floats = float32x4_t;

    #[inline(always)]
    fn splat(self, value: f32) -> float32x4_t {
        unsafe { vdupq_n_f32(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> float32x4_t {
        let from: &[f32; 4] = from.first_chunk().expect("the slice holds a vector");
        unsafe { vld1q_f32(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: float32x4_t, to: &mut [f32]) {
        let to: &mut [f32; 4] = to.first_chunk_mut().expect("the slice has room for a vector");
        unsafe { vst1q_f32(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    unsafe fn load_at(self, from: *const f32) -> float32x4_t {
        unsafe { vld1q_f32(from) }
    }

    #[inline(always)]
    fn add(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vaddq_f32(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vsubq_f32(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmulq_f32(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: float32x4_t, b: float32x4_t, c: float32x4_t) -> float32x4_t {
        unsafe { vfmaq_f32(c, a, b) }
    }

    #[inline(always)]
    fn min(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vminq_f32(a, b) }
    }

    #[inline(always)]
    fn max(self, a: float32x4_t, b: float32x4_t) -> float32x4_t {
        unsafe { vmaxq_f32(a, b) }
    }

    #[inline(always)]
    fn power_of_two(self, rounded: float32x4_t) -> float32x4_t {
        unsafe {
            let exponent = vshlq_n_s32::<23>(vreinterpretq_s32_f32(rounded));
            vreinterpretq_f32_s32(vaddq_s32(exponent, vreinterpretq_s32_f32(vdupq_n_f32(1.0))))
        }
    }

    #[inline(always)]
    fn sum(self, a: float32x4_t) -> f32 {
        unsafe { vaddvq_f32(a) }
    }

    #[inline(always)]
    fn largest(self, a: float32x4_t) -> f32 {
        unsafe { vmaxvq_f32(a) }
    }
}
