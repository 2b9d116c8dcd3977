//! Flags of `tfbert eval`.

use std::path::PathBuf;

use clap::Args;

use super::shared::PrecisionArg;
use super::values::{batch_size, positive, threads};

/// Arguments of `tfbert eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    /// The task's name (see `tfbert tasks`), or a task file that ends in `.json` [default: the task of
    /// the model's run].
    #[arg(long, value_name = "TASK", required_unless_present = "model")]
    pub task: Option<String>,

    /// Folder of the data sets.
    #[arg(long, env = "TFBERT_DATA", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// The trained model, or the folder of its run [default: runs/<task>].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// Split to score [default: every development file].
    #[arg(long)]
    pub split: Option<String>,

    /// Folder for prediction files [default: `predictions` in the model's run, if it has one].
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Most examples per batch; on CPUs batches of long texts are smaller [default: 32, on a GPU
    /// 256].
    #[arg(long, value_parser = batch_size)]
    pub batch_size: Option<usize>,

    /// Number format [default: the one that the model was scored with in training].
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionArg>,

    /// TensorFlow's threads [default: one for each core].
    #[arg(long, value_parser = threads)]
    pub threads: Option<usize>,

    /// Use the first N examples only.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub limit_dev: Option<usize>,

    /// Print the N worst mistakes, with their texts and where they stand in the file.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub errors: usize,

    /// Print the result as one JSON object, the last line on stdout.
    #[arg(long)]
    pub json: bool,
}
