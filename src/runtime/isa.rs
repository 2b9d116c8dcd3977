//! The limit that a user sets on the instructions that oneDNN uses, by its variables.

use super::processor::{Amx, Processor};

/// The variables, the first that is set counts: <https://uxlfoundation.github.io/oneDNN/dev_guide_cpu_dispatcher_control.html>.
pub(super) const ONEDNN_MAX_CPU_ISA: &str = "ONEDNN_MAX_CPU_ISA";
const DNNL_MAX_CPU_ISA: &str = "DNNL_MAX_CPU_ISA";

/// The highest instructions that oneDNN may use, as far as choices depend on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Isa {
    Sse41,
    Avx2,
    Avx512,
    Avx512Bf16,
    All,
}

impl Isa {
    /// The limit of this process.
    pub(super) fn limit() -> Self {
        let value = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let value = value(ONEDNN_MAX_CPU_ISA).or_else(|| value(DNNL_MAX_CPU_ISA));
        value.map_or(Self::All, |value| Self::parse(&value))
    }

    /// The limit of a value; oneDNN ignores one that it does not know.
    fn parse(value: &str) -> Self {
        match value.to_lowercase().as_str() {
            "sse41" | "avx" => Self::Sse41,
            "avx2" | "avx2_vnni" | "avx2_vnni_2" => Self::Avx2,
            "avx512_core" | "avx512_core_vnni" => Self::Avx512,
            "avx512_core_bf16" | "avx512_core_fp16" | "avx10_1_512" => Self::Avx512Bf16,
            _ => Self::All,
        }
    }

    /// What oneDNN uses of a processor. `neural` stays: by it TensorFlow chooses, which asks the
    /// processor alone.
    pub(super) fn of(self, processor: Processor) -> Processor {
        let has = |instructions: Self| self >= instructions;
        Processor {
            avx2: processor.avx2 && has(Self::Avx2),
            neural: processor.neural,
            avx512: processor.avx512 && has(Self::Avx512),
            avx512_bf16: processor.avx512_bf16 && has(Self::Avx512Bf16),
            fast_avx512_bf16: processor.fast_avx512_bf16 && has(Self::Avx512Bf16),
            amx: if has(Self::All) { processor.amx } else { Amx::Absent },
        }
    }

    /// Whether the limit hides oneDNN's bf16 products, while TensorFlow, which asks the processor,
    /// calls for them.
    pub(super) fn hides_bf16(self, processor: Processor) -> bool {
        processor.avx512 && self < Self::Avx512
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Processor = Processor {
        avx2: true,
        neural: true,
        avx512: true,
        avx512_bf16: true,
        fast_avx512_bf16: true,
        amx: Amx::Usable,
    };

    #[test]
    fn a_limit_hides_what_is_above_it() {
        let of = |value| Isa::parse(value).of(ALL);
        assert_eq!(of("AVX512_CORE_AMX"), ALL);
        assert_eq!(of("a name that oneDNN does not know"), ALL);
        let bf16 = Processor { amx: Amx::Absent, ..ALL };
        assert_eq!(of("AVX512_CORE_BF16"), bf16);
        let avx512 = Processor { avx512_bf16: false, fast_avx512_bf16: false, ..bf16 };
        assert_eq!(of("avx512_core"), avx512);
        assert_eq!(of("AVX2"), Processor { avx512: false, ..avx512 });
        assert_eq!(of("SSE41"), Processor { avx512: false, avx2: false, ..avx512 });
    }

    #[test]
    fn bf16_is_hidden_only_where_the_processor_has_it() {
        assert!(Isa::Avx2.hides_bf16(ALL) && Isa::Sse41.hides_bf16(ALL));
        assert!(!Isa::Avx512.hides_bf16(ALL) && !Isa::All.hides_bf16(ALL));
        assert!(!Isa::Avx2.hides_bf16(Processor { avx512: false, ..ALL }));
    }
}
