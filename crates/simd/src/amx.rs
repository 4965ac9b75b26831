//! Matrix tiles of `x86_64` (AMX: Sapphire Rapids and later).
//!
//! A tile register holds 16 rows of 64 bytes. One block of a product takes 32 rows of the left side and one [`PANEL`] of
//! columns of the right side: four tiles of sums, two of the left side, two of the right side. Rust has no stable
//! intrinsics for tiles, so the loop is in assembler.

use std::arch::asm;
use std::arch::x86_64::*;
use std::marker::PhantomData;
use std::sync::OnceLock;

use crate::avx512::Avx512;
use crate::{Kernel, PANEL};

/// Rows of one block: two tiles.
pub const BLOCK_ROWS: usize = 32;

/// Depth that one step takes of each row and column.
pub const STEP: usize = 32;

/// Lines of one part of a step, on either side.
pub const STEP_LINES: usize = 32;

/// One row of a tile: 32 `bf16` numbers, each the upper half of a float.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub struct Line(pub [u16; STEP]);

impl Line {
    /// All zeros.
    pub const ZERO: Self = Self([0; STEP]);
}

/// Sums of one block.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
pub struct Sums(pub [[f32; PANEL]; BLOCK_ROWS]);

impl Sums {
    /// All zeros.
    pub const ZERO: Self = Self([[0.0; PANEL]; BLOCK_ROWS]);
}

/// Proof that the processor has AMX for `bf16` and the conversion to it, and that the system lets this process use it.
#[derive(Debug, Clone, Copy)]
pub struct Amx(());

impl Amx {
    /// Asks the processor and the system, once for the process.
    pub fn detect() -> Option<Self> {
        static HAS: OnceLock<bool> = OnceLock::new();
        HAS.get_or_init(|| processor_has_amx() && system_permits_amx()).then_some(Self(()))
    }

    /// Runs a kernel with the vectors of [`Avx512`], and with their conversion to `bf16`.
    pub(super) fn run<K: Kernel>(self, simd: Avx512, kernel: K) -> K::Output {
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512bf16,avx2,fma")]
        fn run<K: Kernel>(simd: Avx512, kernel: K) -> K::Output {
            kernel.run(simd)
        }
        // SAFETY: `self` and `simd` prove that the processor has them.
        unsafe { run(simd, kernel) }
    }

    /// Every number rounded to the nearest `bf16`; denormal ones become zero.
    #[inline(always)]
    pub fn round(self, numbers: &[f32; STEP]) -> Line {
        let mut line = Line::ZERO;
        // SAFETY: `self` proves that the processor has the instructions; both sides are two vectors long.
        unsafe {
            let (low, high) = (_mm512_loadu_ps(numbers.as_ptr()), _mm512_loadu_ps(numbers[STEP / 2..].as_ptr()));
            let rounded = _mm512_cvtne2ps_pbh(high, low);
            _mm512_store_si512(line.0.as_mut_ptr().cast(), std::mem::transmute::<__m512bh, __m512i>(rounded));
        }
        line
    }

    /// Sets the tiles of this thread up.
    pub fn tiles(self) -> Tiles {
        /// Palette 1, in which all eight tiles have 16 rows of 64 bytes.
        #[repr(align(64))]
        struct Configuration([u8; 64]);
        const CONFIGURATION: Configuration = {
            let mut bytes = [0; 64];
            bytes[0] = 1;
            let mut tile = 0;
            while tile < 8 {
                bytes[16 + 2 * tile] = 64;
                bytes[48 + tile] = 16;
                tile += 1;
            }
            Configuration(bytes)
        };
        // SAFETY: `self` proves that the instruction exists; it reads the 64 bytes of a valid configuration.
        unsafe {
            asm!("ldtilecfg [{}]", in(reg) CONFIGURATION.0.as_ptr(), options(nostack, preserves_flags, readonly));
        }
        Tiles(PhantomData)
    }
}

/// What the processor says: AMX for `bf16` (bit 22) and tiles (bit 24) in EDX of leaf 7 (Intel, "Architecture Instruction
/// Set Extensions Programming Reference", chapter 1).
fn processor_has_amx() -> bool {
    const LEAF: u32 = 7;
    const BITS: u32 = 1 << 22 | 1 << 24;
    let has_leaf = __cpuid(0).eax >= LEAF;
    has_leaf && __cpuid_count(LEAF, 0).edx & BITS == BITS && is_x86_feature_detected!("avx512bf16")
}

/// Linux gives a process the room to save tiles in only when it asks.
#[cfg(target_os = "linux")]
fn system_permits_amx() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    const XFEATURE_XTILEDATA: libc::c_long = 18;
    // SAFETY: a system call without pointers.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn system_permits_amx() -> bool {
    false
}

/// The tiles of this thread, ready to use; given back when dropped. It stays on its thread.
pub struct Tiles(PhantomData<*const ()>);

impl Drop for Tiles {
    fn drop(&mut self) {
        // SAFETY: there is a value only where the instruction exists.
        unsafe { asm!("tilerelease", options(nostack, preserves_flags, nomem)) };
    }
}

impl Tiles {
    /// Has the processor bring these lines into its second cache, while it goes on.
    #[inline(always)]
    pub fn prefetch(&self, lines: &[Line]) {
        for line in lines {
            // SAFETY: every processor with AMX has the instruction, which changes nothing but caches.
            unsafe { _mm_prefetch::<_MM_HINT_T1>(line.0.as_ptr().cast()) };
        }
    }

    /// Adds to `sums`, or puts in the place of what stood there if they are `fresh`, the products of `steps` steps of a
    /// block and of a panel.
    ///
    /// Both sides have `PARTS` parts, one or two: each number is the sum of its parts, the first of which has its highest
    /// bits. A step has part by part [`STEP_LINES`] lines. On the left those are the rows of the block; on the right first
    /// those of the panel's left half and then those of its right half, each with two numbers of each column side by
    /// side. The product of two second parts is left out: it is below the last bits of the others. (Henry, Tang and Heinecke
    /// 2019, "Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations".)
    ///
    /// Only the first `rows` rows of the block count; what stands in the sums of the others afterwards has no meaning.
    ///
    /// # Panics
    /// When a slice is too short.
    #[inline(always)]
    pub fn multiply<const PARTS: usize>(
        &self,
        rows: usize,
        (a, b): (&[Line], &[Line]),
        steps: usize,
        fresh: bool,
        sums: &mut Sums,
    ) {
        if rows > BLOCK_ROWS / 2 {
            self.multiply_half_or_whole::<PARTS, true>(a, b, steps, fresh, sums);
        } else {
            self.multiply_half_or_whole::<PARTS, false>(a, b, steps, fresh, sums);
        }
    }

    /// As [`Tiles::multiply`]; if not `WHOLE`, the lower half of the block is left alone, and so are its sums.
    fn multiply_half_or_whole<const PARTS: usize, const WHOLE: bool>(
        &self,
        a: &[Line],
        b: &[Line],
        steps: usize,
        fresh: bool,
        sums: &mut Sums,
    ) {
        const { assert!(PARTS == 1 || PARTS == 2) };
        assert!(steps > 0 && steps * PARTS * STEP_LINES <= a.len().min(b.len()), "a side of a product is too short");
        // SAFETY: `self` proves that the instructions exist and that the tiles are set up. The assert bounds the reads:
        // each step reads 32 lines of 64 bytes for each part on both sides. `sums` has 32 rows of 128 bytes.
        unsafe {
            asm!(
                "test {fresh:e}, {fresh:e}",
                "jnz 3f",
                "tileloadd tmm0, [{sums} + {sums_row}]",
                "tileloadd tmm1, [{sums} + {sums_row} + 64]",
                ".if {whole}",
                "tileloadd tmm2, [{sums} + {sums_row} + 2048]",
                "tileloadd tmm3, [{sums} + {sums_row} + 2112]",
                ".endif",
                "jmp 2f",
                "3:",
                "tilezero tmm0",
                "tilezero tmm1",
                "tilezero tmm2",
                "tilezero tmm3",
                "2:",
                // first * first
                "tileloadd tmm4, [{a} + {line}]",
                "tileloadd tmm6, [{b} + {line}]",
                "tileloadd tmm7, [{b} + {line} + 1024]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                ".if {whole}",
                "tileloadd tmm5, [{a} + {line} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                ".endif",
                ".if {parts} - 1",
                // second * first
                "tileloadd tmm4, [{a} + {line} + 2048]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                ".if {whole}",
                "tileloadd tmm5, [{a} + {line} + 3072]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                ".endif",
                // first * second
                "tileloadd tmm6, [{b} + {line} + 2048]",
                "tileloadd tmm7, [{b} + {line} + 3072]",
                "tileloadd tmm4, [{a} + {line}]",
                "tdpbf16ps tmm0, tmm4, tmm6",
                "tdpbf16ps tmm1, tmm4, tmm7",
                ".if {whole}",
                "tileloadd tmm5, [{a} + {line} + 1024]",
                "tdpbf16ps tmm2, tmm5, tmm6",
                "tdpbf16ps tmm3, tmm5, tmm7",
                ".endif",
                ".endif",
                "add {a}, 2048 * {parts}",
                "add {b}, 2048 * {parts}",
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + {sums_row}], tmm0",
                "tilestored [{sums} + {sums_row} + 64], tmm1",
                ".if {whole}",
                "tilestored [{sums} + {sums_row} + 2048], tmm2",
                "tilestored [{sums} + {sums_row} + 2112], tmm3",
                ".endif",
                a = inout(reg) a.as_ptr() => _,
                b = inout(reg) b.as_ptr() => _,
                steps = inout(reg) steps => _,
                fresh = in(reg) u32::from(fresh),
                sums = in(reg) sums.0.as_mut_ptr(),
                line = in(reg) size_of::<Line>(),
                sums_row = in(reg) size_of::<[f32; PANEL]>(),
                parts = const PARTS,
                whole = const WHOLE as usize,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }
}
