//! The element-wise functions of a training step on a CPU, as kernels of this program.
//!
//! The graph of an export contains the same functions as TensorFlow operations, which XLA compiles once for each shape.
//! The modules `fused`, `attention`, `optimizer` and `lazy_rows` of `python_export` define them. On a processor with AVX2
//! or AVX-512 the kernels of this module are used instead: they need no compilation, and each makes one pass over its
//! data. A kernel has the name, the arguments and the results of its Python function. Dropout masks are the same bits,
//! and other results are equal within float32's rounding.
//!
//! Everything here is safe code over slices. `super::kernel_ops` registers it as TensorFlow operations.

mod adamw;
mod attention;
mod dropout;
mod element;
mod embed;
mod gelu;
mod heads;
mod lazy_rows;
mod math;
mod norm;

pub(super) use adamw::{Clip, Constants, move_table, row_square_sums, scale_moments, update};
pub(super) use attention::{
    Scores, ScoresGradient, drop_probabilities, scale_and_offset, scores_gradient,
};
pub(super) use dropout::{Dropout, draw, drop_elements};
pub(super) use element::{Bf16, Element};
pub(super) use embed::{EmbedBackward, EmbedForward, embed_backward, embed_forward};
pub(super) use gelu::{gelu_backward, gelu_forward};
pub(super) use heads::{Heads, merge, split, unmerge};
pub(super) use lazy_rows::{CaughtUp, Missed, NODES, caught_up, missed};
pub(super) use norm::{NormBackward, NormForward, add_norm_backward, add_norm_forward};

use rayon::prelude::*;

use super::processor::Processor;

/// Rows of a block. Sums over rows are added up block by block, in the same order for any number of threads.
const BLOCK_ROWS: usize = 64;

/// The vector instructions that kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
enum Instructions {
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Instructions {
    /// The widest ones of a processor, as far as no variable keeps oneDNN from them; `None` without AVX2.
    #[cfg(target_arch = "x86_64")]
    fn detect(processor: Processor) -> Option<Self> {
        let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
        let avx512 = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl");
        match (processor.avx2 && avx2, processor.avx512 && avx512) {
            (true, true) => Some(Self::Avx512),
            (true, false) => Some(Self::Avx2),
            (false, _) => None,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn detect(_: Processor) -> Option<Self> {
        None
    }

    /// Computes a block with these instructions.
    #[cfg(target_arch = "x86_64")]
    fn compute(self, block: impl Block) {
        #[target_feature(enable = "avx2,fma")]
        fn with_avx2(block: impl Block) {
            block.compute();
        }
        #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
        fn with_avx512(block: impl Block) {
            block.compute();
        }
        // SAFETY: `detect` gives a variant only where the processor has its instructions.
        #[allow(unsafe_code)]
        unsafe {
            match self {
                Self::Avx2 => with_avx2(block),
                Self::Avx512 => with_avx512(block),
            }
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn compute(self, block: impl Block) {
        block.compute();
    }
}

/// The instructions that kernels use on a processor; `None` where it has none for them.
pub(super) fn instructions(processor: Processor) -> Option<&'static str> {
    Instructions::detect(processor).map(|instructions| match instructions {
        Instructions::Avx2 => "AVX2",
        Instructions::Avx512 => "AVX-512",
    })
}

/// Some rows of a kernel's work. Blocks are independent, so that several threads can compute them. Implementations mark
/// `compute` with `#[inline(always)]`, so that it is compiled for the instructions of the function that calls it.
trait Block: Send {
    fn compute(self);
}

/// How kernels are computed: with which instructions, and on how many threads.
#[derive(Debug)]
pub(super) struct Kernels {
    instructions: Instructions,
    /// Threads for one kernel; none where each kernel runs on the thread that calls it.
    pool: Option<rayon::ThreadPool>,
}

impl Kernels {
    /// Kernels for a processor; `None` where it has no AVX2.
    pub(super) fn new(processor: Processor, threads: usize) -> Option<Self> {
        let instructions = Instructions::detect(processor)?;
        let pool = || {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .thread_name(|index| format!("kernel-{index}"))
                .build()
                .ok()
        };
        Some(Self { instructions, pool: (threads > 1).then(pool).flatten() })
    }

    fn run<B: Block>(&self, blocks: Vec<B>) {
        let instructions = self.instructions;
        match &self.pool {
            Some(pool) if blocks.len() > 1 => {
                pool.install(|| {
                    blocks.into_par_iter().for_each(|block| instructions.compute(block))
                });
            }
            _ => blocks.into_iter().for_each(|block| instructions.compute(block)),
        }
    }
}

/// The sums of blocks, `[blocks, width]` to `[width]`, in the order of the blocks.
fn add_up(blocks: &[f32], sums: &mut [f32]) {
    sums.fill(0.0);
    for block in blocks.chunks_exact(sums.len().max(1)) {
        for (sum, part) in sums.iter_mut().zip(block) {
            *sum += part;
        }
    }
}

#[cfg(test)]
mod tests;
