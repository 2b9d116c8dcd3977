//! The device that computes, and every choice that follows from it: number format, threads, sizes of
//! batches, TensorFlow's environment.

use std::ffi::OsString;
use std::path::Path;

use super::find::{cuda_version, find};
use super::gpu::{CUDA_VISIBLE_DEVICES, Gpu, Gpus};
use super::isa::{Isa, ONEDNN_MAX_CPU_ISA};
use super::kernels;
use super::processor::{Amx, Processor};
use super::session::Threads;
use crate::error::{Error, Result};
use crate::model::{BatchProfile, Precision};

/// Tokens of a batch whose tensors stay in the cache of the core that computes them, roughly:
/// MiniLM-L6 took the least time per token with 700 to 1,500 at a time, 5 % more with 5,600;
/// BERT-base took the same from 500 on. It is the same for any number of threads, and in training,
/// since the last digits of a row's logits depend on what the row is padded to.
const CACHED_TOKENS: usize = 1024;

/// The time to compile a training shape on a CPU, as the number of padding tokens that take as long.
const SHAPE_COST: usize = 4_500;

/// The same where this program's kernels take the place of compiled functions: oneDNN still prepares its products.
const KERNELS_SHAPE_COST: usize = 100;

/// Batches that are evaluated at the same time where each one is computed by all threads: the second
/// uses cores that are idle during the first's serial parts.
const OVERLAPPING_BATCHES: usize = 2;

/// The most rows of an evaluation batch where no flag says otherwise. The same batches give the same
/// digits.
const ROWS: usize = 32;

/// The same on a GPU, which needs larger batches to be busy.
const GPU_ROWS: usize = 256;

/// The compute capability from which GPUs multiply bf16: NVIDIA's Ampere.
const BF16_CAPABILITY: (i32, i32) = (8, 0);

/// The variable that turns oneDNN's kernels on or off in TensorFlow.
const ONEDNN: &str = "TF_ENABLE_ONEDNN_OPTS";

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

/// Whether TensorFlow computes with oneDNN's kernels, and who decided it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OneDnn {
    /// The user, by the variable `TF_ENABLE_ONEDNN_OPTS`.
    User(bool),
    /// On, chosen for a processor with AVX2, where TensorFlow would leave it off.
    ChosenForAvx2,
    /// TensorFlow, by the processor's instructions.
    TensorFlow(bool),
}

impl OneDnn {
    fn choose(processor: Processor, variable: Option<&str>) -> Self {
        match variable.map(str::to_lowercase).as_deref() {
            Some("1" | "true") => Self::User(true),
            Some("0" | "false") => Self::User(false),
            // With it a step or an evaluation takes 0.79 to 0.85 of the time (Zen 3): `docs/design-notes.md`.
            _ if !processor.neural && processor.avx2 => Self::ChosenForAvx2,
            _ => Self::TensorFlow(processor.neural),
        }
    }

    /// In words, for `tfbert doctor`.
    pub fn describe(self) -> String {
        let word = |on| if on { "on" } else { "off" };
        match self {
            Self::User(on) => format!("{}, set by {ONEDNN}", word(on)),
            Self::ChosenForAvx2 => "on, chosen for AVX2".to_owned(),
            Self::TensorFlow(on) => format!("{}, TensorFlow's choice for this processor", word(on)),
        }
    }
}

/// What this machine computes with, and what is chosen for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// As oneDNN uses it.
    processor: Processor,
    /// Whether a limit on oneDNN's instructions hides bf16 products that TensorFlow calls for.
    bf16_hidden: bool,
    cores: usize,
    onednn: OneDnn,
    /// The GPUs that the driver lists.
    gpus: Option<Gpus>,
    /// The CUDA version that the library is built for; `None` where it is built for CPUs.
    cuda: Option<(i32, i32)>,
}

impl Device {
    /// Asks the machine, and the TensorFlow that would be loaded: the one in `tensorflow`, where the user
    /// names a folder.
    pub fn detect(tensorflow: Option<&Path>) -> Self {
        let (whole, limit) = (Processor::detect(), Isa::limit());
        let processor = limit.of(whole);
        let variable = std::env::var(ONEDNN).ok();
        let library = find(tensorflow).ok();
        Self {
            processor,
            bf16_hidden: limit.hides_bf16(whole),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            onednn: OneDnn::choose(processor, variable.as_deref()),
            gpus: Gpus::detect(),
            cuda: library.and_then(|found| cuda_version(&found.library)),
        }
    }

    /// The processor's instructions, as far as no variable keeps oneDNN from them.
    pub fn processor(&self) -> Processor {
        self.processor
    }

    /// Cores that this process may use.
    pub fn cores(&self) -> usize {
        self.cores
    }

    /// Whether TensorFlow computes with oneDNN's kernels.
    pub fn onednn(&self) -> OneDnn {
        self.onednn
    }

    /// The GPUs that NVIDIA's driver lists; `None` without a driver.
    pub fn gpus(&self) -> Option<&Gpus> {
        self.gpus.as_ref()
    }

    /// The GPU that TensorFlow computes on: the library is built for it, and the process sees it.
    pub fn gpu(&self) -> Option<&Gpu> {
        self.cuda.and(self.gpus.as_ref()).and_then(Gpus::first)
    }

    /// Why TensorFlow cannot compute on a GPU, and what to do; `None` where nothing stands against it.
    pub fn why_no_gpu(&self) -> Option<Error> {
        let Some(gpus) = self.gpus.as_ref().filter(|gpus| !gpus.all.is_empty()) else {
            return Some(Error::new("no GPU was found"));
        };
        if gpus.visible.is_empty() {
            return Some(
                Error::new(format!("{CUDA_VISIBLE_DEVICES} hides every GPU from this process"))
                    .hint(format!("unset {CUDA_VISIBLE_DEVICES} to compute on a GPU")),
            );
        }
        let Some(cuda) = self.cuda else {
            return Some(Error::new("this TensorFlow is built for CPUs").hint(
                "install the one for GPUs with `.venv/bin/pip install 'tensorflow[and-cuda]==2.21.0'`",
            ));
        };
        let (major, minor) = gpus.cuda;
        (major < cuda.0).then(|| {
            Error::new(format!(
                "driver {} supports CUDA {major}.{minor}, this TensorFlow needs CUDA {}",
                gpus.driver, cuda.0
            ))
            .hint("install a newer driver")
        })
    }

    /// The number format of `--precision auto`: the faster one.
    pub fn precision(&self) -> Precision {
        let bf16 = match self.gpu() {
            Some(gpu) => gpu.compute_capability >= BF16_CAPABILITY,
            None => self.processor.multiplies_bf16_faster(),
        };
        if bf16 { Precision::Bf16 } else { Precision::F32 }
    }

    /// Refuses a number format in which TensorFlow would end the process.
    pub(super) fn check(&self, precision: Precision) -> Result<()> {
        let on = match self.onednn {
            OneDnn::User(on) | OneDnn::TensorFlow(on) => on,
            OneDnn::ChosenForAvx2 => true,
        };
        if precision == Precision::Bf16 && self.gpu().is_none() && self.bf16_hidden && on {
            return Err(Error::usage(format!(
                "oneDNN has no bf16 products with the instructions that {ONEDNN_MAX_CPU_ISA} leaves it"
            ))
            .hint("compute with `--precision f32`, or unset that variable"));
        }
        Ok(())
    }

    /// The most rows of an evaluation batch where no flag says otherwise.
    pub fn evaluation_rows(&self) -> usize {
        if self.gpu().is_some() { GPU_ROWS } else { ROWS }
    }

    /// A line for the user of a TensorFlow that is built for GPUs and computes on the CPU.
    pub(super) fn notice(&self) -> Option<String> {
        self.cuda?;
        self.why_no_gpu().map(|why| format!("{}: computing on the CPU", why.what()))
    }

    /// Variables of the environment for TensorFlow and its libraries; those that the user set win.
    ///
    /// With `frozen_weights` the weights never change after they are read.
    pub(super) fn variables(&self, frozen_weights: bool) -> Vec<(&'static str, OsString)> {
        let mut variables = Vec::new();
        if self.onednn == OneDnn::ChosenForAvx2 {
            variables.push((ONEDNN, "1".into()));
        }
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

    /// As [`Device::profile`], of a session that trains; `has_kernels` is whether it computes with kernels of this
    /// program, which are not compiled for a shape.
    pub fn training_profile(
        &self,
        on_gpu: bool,
        threads: usize,
        split: WorkSplit,
        has_kernels: bool,
    ) -> BatchProfile {
        let shape_cost = if has_kernels { KERNELS_SHAPE_COST } else { SHAPE_COST };
        BatchProfile { shape_cost, ..self.profile(on_gpu, threads, split) }
    }

    /// Whether training computes the functions between matrix products with this program's kernels, for exports that
    /// name these functions.
    pub fn has_kernels(&self) -> bool {
        self.kernels().is_some()
    }

    /// The instructions of these kernels; `None` where XLA compiles the functions: on a GPU, and without AVX2.
    pub fn kernels(&self) -> Option<&'static str> {
        self.gpu().is_none().then(|| kernels::instructions(self.processor)).flatten()
    }

    fn count(&self, threads: usize) -> usize {
        if threads == 0 { self.cores } else { threads }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROCESSOR: Processor = Processor {
        avx2: true,
        neural: true,
        avx512: true,
        avx512_bf16: true,
        fast_avx512_bf16: false,
        amx: Amx::Absent,
    };

    const DEVICE: Device = Device {
        processor: PROCESSOR,
        bf16_hidden: false,
        cores: 8,
        onednn: OneDnn::TensorFlow(true),
        gpus: None,
        cuda: None,
    };

    /// A device whose TensorFlow is built for CUDA 12.
    fn with_gpus(compute_capability: (i32, i32), variable: Option<&str>) -> Device {
        let gpus = Some(Gpus::two(compute_capability, variable));
        Device { gpus, cuda: Some((12, 5)), ..DEVICE }
    }

    #[test]
    fn onednn_is_chosen_for_avx2_unless_the_user_or_tensorflow_decides() {
        let avx2 = Processor { neural: false, avx512: false, avx512_bf16: false, ..PROCESSOR };
        let older = Processor { avx2: false, ..avx2 };
        let choose = OneDnn::choose;
        assert_eq!(choose(avx2, None), OneDnn::ChosenForAvx2);
        assert_eq!(choose(avx2, Some("0")), OneDnn::User(false));
        assert_eq!(choose(avx2, Some("True")), OneDnn::User(true));
        assert_eq!(choose(PROCESSOR, None), OneDnn::TensorFlow(true));
        assert_eq!(choose(older, None), OneDnn::TensorFlow(false));
        assert_eq!(OneDnn::ChosenForAvx2.describe(), "on, chosen for AVX2");
        let names = |onednn| {
            let variables = Device { onednn, ..DEVICE }.variables(false);
            variables.into_iter().any(|(name, value)| name == ONEDNN && value == "1")
        };
        assert!(names(OneDnn::ChosenForAvx2));
        assert!(!names(OneDnn::TensorFlow(false)));
        assert!(!names(OneDnn::User(false)));
    }

    #[test]
    fn kernels_are_for_cpus_with_avx2() {
        // As far as the machine that runs this test has the instructions.
        let of = |processor| Device { processor, ..DEVICE }.kernels();
        let narrow = Processor { avx512: false, ..PROCESSOR };
        assert_eq!(of(Processor { avx2: false, ..narrow }), None);
        assert!(with_gpus((8, 0), None).kernels().is_none());
        if Processor::detect().avx2 {
            assert_eq!(of(narrow), Some("AVX2"));
        } else {
            println!("skipped: this processor has no AVX2");
            assert_eq!(of(narrow), None);
        }
    }

    #[test]
    fn auto_is_bf16_on_a_gpu_since_ampere_whatever_the_processor_is() {
        assert_eq!(DEVICE.precision(), Precision::F32);
        assert_eq!(with_gpus((8, 0), None).precision(), Precision::Bf16);
        assert_eq!(with_gpus((7, 5), None).precision(), Precision::F32);
        let fast = Processor { fast_avx512_bf16: true, ..PROCESSOR };
        assert_eq!(Device { processor: fast, ..DEVICE }.precision(), Precision::Bf16);
        let turing = Device { processor: fast, ..with_gpus((7, 5), None) };
        assert_eq!(turing.precision(), Precision::F32);
        // A GPU that TensorFlow does not see decides nothing.
        assert_eq!(with_gpus((8, 0), Some("")).precision(), Precision::F32);
        assert_eq!(Device { cuda: None, ..with_gpus((8, 0), None) }.precision(), Precision::F32);
    }

    #[test]
    fn bf16_that_a_limit_hides_is_refused_where_onednn_would_compute_it() {
        let hidden = Device { bf16_hidden: true, ..DEVICE };
        assert!(hidden.check(Precision::Bf16).unwrap_err().what().contains("no bf16 products"));
        assert!(hidden.check(Precision::F32).is_ok() && DEVICE.check(Precision::Bf16).is_ok());
        let off = Device { onednn: OneDnn::User(false), ..hidden };
        assert!(off.check(Precision::Bf16).is_ok(), "TensorFlow computes it by itself");
    }

    #[test]
    fn evaluation_batches_are_larger_on_a_gpu() {
        assert_eq!(DEVICE.evaluation_rows(), ROWS);
        assert_eq!(with_gpus((8, 0), None).evaluation_rows(), GPU_ROWS);
        assert_eq!(with_gpus((8, 0), Some("-1")).evaluation_rows(), ROWS);
    }

    #[test]
    fn a_gpu_that_cannot_be_used_is_named_with_its_reason() {
        let why = |device: Device| device.why_no_gpu().map(|error| error.what().to_owned());
        assert_eq!(why(with_gpus((8, 0), None)), None);
        assert!(why(DEVICE).unwrap().contains("no GPU was found"));
        assert!(why(with_gpus((8, 0), Some(""))).unwrap().contains(CUDA_VISIBLE_DEVICES));
        let cpu_build = Device { cuda: None, ..with_gpus((8, 0), None) };
        assert!(why(cpu_build.clone()).unwrap().contains("built for CPUs"));
        let old_driver = Device { cuda: Some((13, 0)), ..with_gpus((8, 0), None) };
        assert!(why(old_driver).unwrap().contains("supports CUDA 12.4"));
        // A line for everybody only where the user chose a TensorFlow for GPUs.
        let notice = Device { cuda: Some((12, 5)), ..DEVICE }.notice().unwrap();
        assert_eq!(notice, "no GPU was found: computing on the CPU");
        assert_eq!(cpu_build.notice(), None);
        assert_eq!(DEVICE.notice(), None);
    }

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
            let device = Device { processor: Processor { amx, ..PROCESSOR }, ..DEVICE };
            device.variables(false).iter().any(|(name, _)| *name == ONEDNN_MAX_CPU_ISA)
        };
        assert!(limits(Amx::Hidden));
        assert!(!limits(Amx::Usable));
        assert!(!limits(Amx::Absent));
    }
}
