//! What the processor computes.

/// The number formats that the processor multiplies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor {
    /// AVX-512 on 32-bit floats.
    pub avx512: bool,
    /// AVX-512's products of bfloat16.
    pub avx512_bf16: bool,
    /// Whether those take two multiplications in the time of one of 32-bit floats. AMD's do (since
    /// Zen 4); those of Intel's processors with AMX, used without it, do not.
    pub fast_avx512_bf16: bool,
    /// AMX's products of bfloat16.
    pub amx: Amx,
}

/// Whether AMX can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amx {
    /// The processor has none.
    Absent,
    /// It has, and says how its tiles are laid out.
    Usable,
    /// It has, but a hypervisor hides the layout of its tiles: oneDNN then configures no tiles,
    /// and its first tile instruction ends the process.
    Hidden,
}

impl Processor {
    /// Asks the processor.
    #[cfg(target_arch = "x86_64")]
    pub fn detect() -> Self {
        use std::arch::x86_64::{__cpuid, __cpuid_count};
        const TILE_PALETTES: u32 = 0x1d;
        // SAFETY: every x86-64 processor has CPUID; leaves are asked for up to the highest.
        #[allow(unsafe_code, unused_unsafe)]
        let (vendor, features, more_features, palettes) = unsafe {
            let vendor = __cpuid(0);
            let leaf =
                |leaf: u32, part: u32| (leaf <= vendor.eax).then(|| __cpuid_count(leaf, part));
            (vendor, leaf(7, 0), leaf(7, 1), leaf(TILE_PALETTES, 0))
        };
        let vendor = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
        let avx512_bf16 = more_features.is_some_and(|f| f.eax & (1 << 5) != 0);
        // Bits of CPUID's leaf 7: Intel's Software Developer's Manual, volume 2A.
        let amx_bf16 = features.is_some_and(|f| f.edx & (1 << 22) != 0 && f.edx & (1 << 24) != 0);
        Self {
            avx512: features.is_some_and(|f| f.ebx & (1 << 16) != 0),
            avx512_bf16,
            fast_avx512_bf16: avx512_bf16 && vendor.as_flattened() == b"AuthenticAMD",
            amx: match (amx_bf16, palettes.is_some_and(|p| p.eax > 0)) {
                (false, _) => Amx::Absent,
                (true, true) => Amx::Usable,
                (true, false) => Amx::Hidden,
            },
        }
    }

    /// Asks the processor; another architecture has none of this.
    #[cfg(not(target_arch = "x86_64"))]
    pub fn detect() -> Self {
        Self { avx512: false, avx512_bf16: false, fast_avx512_bf16: false, amx: Amx::Absent }
    }

    /// Whether bf16 products are faster than f32's: with AMX, and with AMD's AVX-512. With Intel's
    /// AVX-512 alone, through oneDNN 3.7, a training step took 1.4 times what it took in f32; with
    /// AMD's it took 0.57 times that (`docs/performance.md`).
    pub fn multiplies_bf16_faster(self) -> bool {
        self.amx == Amx::Usable || self.fast_avx512_bf16
    }
}
