//! Flags of `tfbert bench`.

use std::path::PathBuf;

use clap::Args;

use super::shared::{CacheArgs, PrecisionArg, WholeStepArg};
use super::values::{positive, threads};
use crate::bench::BatchShape;

/// Arguments of `tfbert bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The export to time: a folder, or an encoder's name, as for `tfbert train` [default: minilm-l6].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Rows and lengths of the batches.
    #[arg(
        long,
        value_name = "ROWSxLENGTH,…",
        value_delimiter = ',',
        default_value = "32x16,32x32,32x128"
    )]
    pub shapes: Vec<BatchShape>,

    /// Number format of matrix products.
    #[arg(long, value_enum, default_value = "auto")]
    pub precision: PrecisionArg,

    /// Train with a step that XLA compiles as one function; the export needs that graph
    /// (`python -m python_export --whole-step`).
    #[arg(long, value_enum, default_value = "auto")]
    pub whole_step: WholeStepArg,

    /// Timed steps of each shape.
    #[arg(long, default_value_t = 15, value_parser = positive)]
    pub steps: usize,

    /// Steps of each shape after its first and before the timed ones.
    #[arg(long, default_value_t = 3)]
    pub warmup: usize,

    /// Time evaluation too.
    #[arg(long)]
    pub eval: bool,

    /// Trace three more steps of each shape, and with `--eval` three evaluations. Of the fastest: a table of
    /// the time in each operation, and a file for chrome://tracing or Perfetto in DIR [default: runs/bench].
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true,
          default_missing_value = "runs/bench")]
    pub profile: Option<PathBuf>,

    /// Print what each part of a step would take at this machine's measured rates of matrix products and
    /// of memory, beside what it took.
    #[arg(long)]
    pub explain: bool,

    /// TensorFlow's threads [default: one for each core].
    #[arg(long, value_parser = threads)]
    pub threads: Option<usize>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub cache: CacheArgs,

    /// Seed of token ids, labels and dropout.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Print the result as one JSON object, the last line on stdout.
    #[arg(long)]
    pub json: bool,
}
