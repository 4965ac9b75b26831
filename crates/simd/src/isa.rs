//! Which instruction set runs the kernels.

use std::fmt;

use crate::Kernel;
#[cfg(target_arch = "x86_64")]
use crate::amx::Amx;
#[cfg(target_arch = "x86_64")]
use crate::avx2::Avx2;
#[cfg(target_arch = "x86_64")]
use crate::avx512::Avx512;
#[cfg(target_arch = "aarch64")]
use crate::neon::Neon;
use crate::portable::Portable;

/// An instruction set that the kernels are written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isa {
    /// What every processor has.
    Portable,
    /// 128-bit vectors of `aarch64` with fused products (Armv8-A and later).
    Neon,
    /// 256-bit vectors of `x86_64` with fused products (Haswell, Zen, and later).
    Avx2,
    /// 512-bit vectors of `x86_64` (Skylake-SP, Zen 4, and later).
    Avx512,
    /// That, with the matrix tiles of `x86_64` for the large products (AMX: Sapphire Rapids and later, on Linux).
    Amx,
}

impl Isa {
    /// All of them on every architecture, those of one the slowest first.
    pub const ALL: [Self; 5] = [Self::Portable, Self::Neon, Self::Avx2, Self::Avx512, Self::Amx];

    /// The fastest one of this processor.
    #[must_use]
    pub fn best() -> Self {
        Self::available().last().unwrap_or(Self::Portable)
    }

    /// All that this processor has, the slowest first.
    pub fn available() -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(|isa| isa.is_available())
    }

    /// Whether this processor has it.
    #[must_use]
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "aarch64")]
            Self::Neon => Neon::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Avx512::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => Amx::detect().is_some() && Avx512::detect().is_some(),
            // Of another architecture.
            _ => false,
        }
    }

    /// Runs a kernel with this instruction set, or with the portable one where the processor does not have it.
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        #[cfg(target_arch = "x86_64")]
        {
            if self == Self::Amx
                && let Some(amx) = Amx::detect()
                && let Some(simd) = Avx512::detect()
            {
                return amx.run(simd, kernel);
            }
            if self >= Self::Avx512
                && let Some(simd) = Avx512::detect()
            {
                return simd.run(kernel);
            }
            if self == Self::Avx2
                && let Some(simd) = Avx2::detect()
            {
                return simd.run(kernel);
            }
        }
        #[cfg(target_arch = "aarch64")]
        if self == Self::Neon
            && let Some(simd) = Neon::detect()
        {
            return simd.run(kernel);
        }
        kernel.run(Portable)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Portable => "portable",
            Self::Neon => "neon",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Amx => "amx",
        })
    }
}

#[cfg(all(test, target_arch = "aarch64"))]
mod tests {
    use super::*;

    /// Were it not found, the tests that go through all available ones would pass without it.
    #[test]
    fn neon_is_found_and_is_the_best() {
        assert_eq!(Isa::available().collect::<Vec<_>>(), [Isa::Portable, Isa::Neon]);
        assert_eq!(Isa::best(), Isa::Neon);
    }
}
