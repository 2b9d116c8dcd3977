//! Flags of `tfbert predict`.

use std::path::PathBuf;

use clap::Args;

use super::shared::PrecisionArg;
use super::values::{batch_size, threads};

/// Arguments of `tfbert predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Texts; for pairs the two texts of each, with a tab between; for questions the questions; for
    /// tags sentences as they are written. Without texts and on a terminal, a prompt asks for them.
    #[arg(value_name = "TEXT")]
    pub texts: Vec<String>,

    /// The task whose model predicts.
    #[arg(long, value_name = "TASK", required_unless_present = "model")]
    pub task: Option<String>,

    /// The trained model [default: runs/<task>/model].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// File with a text on each line, instead of arguments; `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    pub file: Option<PathBuf>,

    /// Passage that questions are about.
    #[arg(long, value_name = "FILE")]
    pub context: Option<PathBuf>,

    /// Number format; f32 gives what TensorFlow Serving gives.
    #[arg(long, value_enum, default_value = "f32")]
    pub precision: PrecisionArg,

    /// Most examples per batch; on CPUs batches of long texts are smaller [default: 32, on a GPU
    /// 256].
    #[arg(long, value_parser = batch_size)]
    pub batch_size: Option<usize>,

    /// TensorFlow's threads [default: one for each core].
    #[arg(long, value_parser = threads)]
    pub threads: Option<usize>,
}
