//! What the processor computes.

/// The instructions of the processor that choices depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Processor {
    /// AVX2.
    pub avx2: bool,
    /// Instructions made for neural networks (AVX-512 VNNI, AVX-VNNI, AVX-512 bf16, AMX): with one of
    /// them TensorFlow uses oneDNN's kernels by itself.
    pub neural: bool,
    /// AVX-512 on 32-bit floats.
    pub avx512: bool,
    /// AVX-512's products of bfloat16.
    pub avx512_bf16: bool,
    /// Whether a bfloat16 product of AVX-512 takes half the time of one of 32-bit floats. AMD's does
    /// (since Zen 4); Intel's does not.
    pub fast_avx512_bf16: bool,
    /// AMX's products of bfloat16.
    pub amx: Amx,
}

/// Whether AMX can be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amx {
    /// The processor has none.
    Absent,
    /// The processor has AMX.
    Usable,
    /// The processor has AMX, but a hypervisor hides the layout of its tiles (CPUID's leaf 0x1D). oneDNN
    /// then configures no tiles, and its first tile instruction ends the process.
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
        // Bits of CPUID's leaf 7: Intel's Software Developer's Manual, volume 2A.
        let bit = |register: u32, bit: u32| register & (1 << bit) != 0;
        let avx512_bf16 = more_features.is_some_and(|f| bit(f.eax, 5));
        let avx_vnni = more_features.is_some_and(|f| bit(f.eax, 4));
        let avx512_vnni = features.is_some_and(|f| bit(f.ecx, 11));
        let amx_bf16 = features.is_some_and(|f| bit(f.edx, 22) && bit(f.edx, 24));
        // AMX's bf16 products, tiles and int8 products.
        let any_amx = features.is_some_and(|f| [22, 24, 25].iter().any(|&n| bit(f.edx, n)));
        Self {
            avx2: features.is_some_and(|f| bit(f.ebx, 5)),
            neural: avx512_vnni || avx_vnni || avx512_bf16 || any_amx,
            avx512: features.is_some_and(|f| bit(f.ebx, 16)),
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
        Self {
            avx2: false,
            neural: false,
            avx512: false,
            avx512_bf16: false,
            fast_avx512_bf16: false,
            amx: Amx::Absent,
        }
    }

    /// Whether bf16 products are faster than f32's: with AMX, and with AMD's AVX-512. With Intel's
    /// AVX-512 alone, through oneDNN 3.7, a training step took 1.4 times what it took in f32; with
    /// AMD's it took 0.57 times that (`docs/performance.md`).
    pub fn multiplies_bf16_faster(self) -> bool {
        self.amx == Amx::Usable || self.fast_avx512_bf16
    }
}
