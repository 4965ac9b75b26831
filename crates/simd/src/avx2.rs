//! 256-bit vectors of `x86_64`.

use std::arch::x86_64::*;
use std::sync::OnceLock;

use crate::{Kernel, Simd};

/// Proof that the processor has AVX2 and FMA: made by [`Avx2::detect`] alone, so every intrinsic of these sets may be
/// called where there is one.
#[derive(Clone, Copy)]
pub(super) struct Avx2(());

impl Avx2 {
    pub(super) fn detect() -> Option<Self> {
        static HAS: OnceLock<bool> = OnceLock::new();
        let has = *HAS.get_or_init(|| is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"));
        has.then_some(Self(()))
    }

    pub(super) fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[target_feature(enable = "avx2,fma")]
        fn run<K: Kernel>(simd: Avx2, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` proves that the processor has them.
        unsafe { run(self, kernel) }
    }

    /// The lower and the upper half put together lane by lane.
    #[inline(always)]
    fn halves(self, a: __m256, join: impl Fn(__m128, __m128) -> __m128) -> [f32; 4] {
        let mut lanes = [0.0; 4];
        // SAFETY: `self` proves that the processor has the instructions; the array has room for four floats.
        unsafe {
            let joined = join(_mm256_castps256_ps128(a), _mm256_extractf128_ps::<1>(a));
            _mm_storeu_ps(lanes.as_mut_ptr(), joined);
        }
        lanes
    }
}

// SAFETY of every block below: `self` proves that the processor has the instruction; slices are checked before their
// pointers are used.
impl Simd for Avx2 {
    const LANES: usize = 8;
    const TILE_ROWS: usize = 6;
    type Floats = __m256;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn load(self, from: &[f32]) -> __m256 {
        let from: &[f32; 8] = from.first_chunk().expect("the slice holds a vector");
        unsafe { _mm256_loadu_ps(from.as_ptr()) }
    }

    #[inline(always)]
    fn store(self, value: __m256, to: &mut [f32]) {
        let to: &mut [f32; 8] = to.first_chunk_mut().expect("the slice has room for a vector");
        unsafe { _mm256_storeu_ps(to.as_mut_ptr(), value) }
    }

    #[inline(always)]
    unsafe fn load_at(self, from: *const f32) -> __m256 {
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn mul(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_mul_ps(a, b) }
    }

    #[inline(always)]
    fn mul_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    fn min(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_min_ps(a, b) }
    }

    #[inline(always)]
    fn max(self, a: __m256, b: __m256) -> __m256 {
        unsafe { _mm256_max_ps(a, b) }
    }

    #[inline(always)]
    fn power_of_two(self, rounded: __m256) -> __m256 {
        unsafe {
            let exponent = _mm256_slli_epi32::<23>(_mm256_castps_si256(rounded));
            _mm256_castsi256_ps(_mm256_add_epi32(exponent, _mm256_castps_si256(_mm256_set1_ps(1.0))))
        }
    }

    #[inline(always)]
    fn sum(self, a: __m256) -> f32 {
        self.halves(a, |low, high| unsafe { _mm_add_ps(low, high) }).iter().sum()
    }

    #[inline(always)]
    fn largest(self, a: __m256) -> f32 {
        let lanes = self.halves(a, |low, high| unsafe { _mm_max_ps(low, high) });
        lanes.into_iter().fold(f32::NEG_INFINITY, f32::max)
    }
}
