//! The device that computes, and every choice that follows from it: number format, threads, sizes of
//! batches, TensorFlow's environment.

use std::ffi::OsString;

use super::processor::{Amx, Processor};
use super::session::Threads;
use crate::model::{BatchProfile, Precision};

/// Tokens of a batch whose tensors stay in the cache of the core that computes them, roughly:
/// MiniLM-L6 took the least time per token with 700 to 1,500 at a time, 5 % more with 5,600;
/// BERT-base took the same from 500 on. It is the same for any number of threads, and in training,
/// since the last digits of a row's logits depend on what the row is padded to.
const CACHED_TOKENS: usize = 1024;

/// The time to compile a training shape on a CPU, as the number of padding tokens that take as long.
const SHAPE_COST: usize = 4_500;

/// Batches that are evaluated at the same time where each one is computed by all threads: the second
/// uses cores that are idle during the first's serial parts.
const OVERLAPPING_BATCHES: usize = 2;

/// The variable that limits the instructions that oneDNN uses.
const ONEDNN_MAX_CPU_ISA: &str = "ONEDNN_MAX_CPU_ISA";

/// The variable by which oneDNN keeps weights in the layout that its products read fastest.
const FROZEN_WEIGHTS: &str = "TF_ONEDNN_ASSUME_FROZEN_WEIGHTS";

/// What the threads of a session compute at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WorkSplit {
    /// Parts of each operation, and two operations.
    Operations,
    /// The two halves of a training batch.
    HalfBatches,
    /// Several batches, each on one thread.
    Batches,
}

/// This machine's processor, and what is chosen for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    processor: Processor,
    cores: usize,
}

impl Device {
    /// Asks the machine.
    pub fn detect() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self { processor: Processor::detect(), cores }
    }

    /// The processor's number formats.
    pub fn processor(&self) -> Processor {
        self.processor
    }

    /// Cores that this process may use.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// The number format of `--precision auto`: the faster one.
    pub fn precision(&self) -> Precision {
        if self.processor.multiplies_bf16_faster() { Precision::Bf16 } else { Precision::F32 }
    }

    /// Variables of the environment for TensorFlow and its libraries; those that the user set win.
    ///
    /// With `frozen_weights` the weights never change after they are read.
    pub(super) fn variables(&self, frozen_weights: bool) -> Vec<(&'static str, OsString)> {
        let mut variables = Vec::new();
        if self.processor.amx == Amx::Hidden {
            // oneDNN's first AMX instruction would end the process.
            variables.push((ONEDNN_MAX_CPU_ISA, "AVX512_CORE_FP16".into()));
        }
        if frozen_weights {
            variables.push((FROZEN_WEIGHTS, "1".into()));
        }
        variables
    }

    /// The threads of a session whose user asks for `threads`; 0 is one for each core.
    pub fn threads(&self, threads: usize, split: WorkSplit) -> Threads {
        let threads = self.count(threads);
        let (within_operation, operations) = match split {
            // The parts of a split operation wait for each other; whole operations do not.
            WorkSplit::Batches => (1, threads),
            WorkSplit::HalfBatches if threads == 2 => (1, 2),
            // Two operations at a time: beside the chain of gradients each weight's own gradient can
            // be computed, and small operations leave cores idle. More than two threads are one pool,
            // from which both operations take theirs.
            WorkSplit::Operations | WorkSplit::HalfBatches => (threads, threads.min(2)),
        };
        Threads { within_operation, operations }
    }

    /// How batches are best laid out for a session with `threads` threads, which computes on a GPU or
    /// on this processor.
    pub fn profile(&self, on_gpu: bool, threads: usize, split: WorkSplit) -> BatchProfile {
        let parallel_batches = match split {
            WorkSplit::Batches if !on_gpu => self.count(threads),
            _ => OVERLAPPING_BATCHES,
        };
        let batch_tokens = (!on_gpu).then_some(CACHED_TOKENS);
        BatchProfile { parallel_batches, batch_tokens, shape_cost: SHAPE_COST }
    }

    fn count(&self, threads: usize) -> usize {
        if threads == 0 { self.cores } else { threads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEVICE: Device = Device {
        processor: Processor {
            avx512: true,
            avx512_bf16: true,
            fast_avx512_bf16: false,
            amx: Amx::Absent,
        },
        cores: 8,
    };

    #[test]
    fn two_threads_take_a_half_or_a_batch_each_and_split_no_operation() {
        let threads = |threads, split| {
            let Threads { within_operation, operations } = DEVICE.threads(threads, split);
            (within_operation, operations)
        };
        assert_eq!(threads(2, WorkSplit::HalfBatches), (1, 2));
        assert_eq!(threads(2, WorkSplit::Batches), (1, 2));
        assert_eq!(threads(2, WorkSplit::Operations), (2, 2));
        assert_eq!(threads(0, WorkSplit::HalfBatches), (8, 2));
        assert_eq!(threads(0, WorkSplit::Batches), (1, 8));
        for split in [WorkSplit::HalfBatches, WorkSplit::Batches, WorkSplit::Operations] {
            assert_eq!(threads(1, split), (1, 1));
        }
    }

    #[test]
    fn a_thread_evaluates_a_batch_that_fits_its_cache_and_a_gpu_batches_of_any_size() {
        let cpu = DEVICE.profile(false, 0, WorkSplit::Batches);
        assert_eq!((cpu.parallel_batches, cpu.batch_tokens), (8, Some(CACHED_TOKENS)));
        let training = DEVICE.profile(false, 4, WorkSplit::HalfBatches);
        assert_eq!((training.parallel_batches, training.batch_tokens), (2, Some(CACHED_TOKENS)));
        let gpu = DEVICE.profile(true, 0, WorkSplit::Batches);
        assert_eq!((gpu.parallel_batches, gpu.batch_tokens), (2, None));
    }

    #[test]
    fn only_a_processor_whose_amx_is_hidden_is_kept_from_it() {
        let limits = |amx| {
            let device = Device { processor: Processor { amx, ..DEVICE.processor }, ..DEVICE };
            device.variables(false).iter().any(|(name, _)| *name == ONEDNN_MAX_CPU_ISA)
        };
        assert!(limits(Amx::Hidden));
        assert!(!limits(Amx::Usable));
        assert!(!limits(Amx::Absent));
    }
}
