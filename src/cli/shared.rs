//! Flags that several commands have.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// A number format, or the machine's best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum PrecisionArg {
    /// bf16 where it is multiplied faster (AMX, AMD's AVX-512, a GPU since Ampere), else f32.
    Auto,
    /// 32-bit floats.
    F32,
    /// bfloat16 matrix products.
    Bf16,
}

/// Which graph trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum WholeStepArg {
    /// On a GPU, where the export has that graph.
    Auto,
    /// Always; slower on CPUs.
    On,
    /// Never.
    Off,
}

/// What is kept for later runs.
#[derive(Debug, Clone, Args)]
pub struct CacheArgs {
    /// Folder that keeps tokenised training files and compiled programs [default: `tfbert` in the
    /// user's cache folder].
    #[arg(long, env = "TFBERT_CACHE", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Neither read nor write the folder of `--cache-dir`.
    #[arg(long)]
    pub no_cache: bool,
}
