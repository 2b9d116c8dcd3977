//! Flags of `tfbert train` and `tfbert data check`.

use std::path::PathBuf;

use clap::Args;

use super::cluster::ClusterArgs;
use super::shared::{CacheArgs, PrecisionArg, WholeStepArg};
use super::train_data::TrainDataArgs;
use super::values::{
    batch_size, epochs, fraction, fraction_below_one, minutes, non_negative_f64, one_seed,
    positive, threads,
};
use crate::optimizer::{AdamW, non_negative};
use crate::run::Seeds;
use crate::settings::{LrScheduler, OnNan};

/// Arguments of `tfbert train`.
#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: TrainDataArgs,

    /// The export to start from: a folder, or an encoder's name, which is looked up in the folders that
    /// `tfbert doctor` lists. Or a trained model or its run: its head is kept where the labels are the
    /// same [default: minilm-l6].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// The export that a trained model after `--model` came from, with the task's head [default: the
    /// one that it was trained from].
    #[arg(long, value_name = "DIR")]
    pub export: Option<PathBuf>,

    /// The run's folder [default: runs/<task>].
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Replace the run that the output folder holds.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,

    /// Continue the run that the output folder holds from its newest checkpoint. With `--output` alone,
    /// the other flags are those that the run was started with.
    #[arg(long)]
    pub resume: bool,

    /// Passes over the training file [default: the task's].
    #[arg(long, value_parser = epochs)]
    pub epochs: Option<usize>,

    /// Train for no more than N updates; the learning rate then falls to 0 at the N-th.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub max_steps: Option<usize>,

    /// Examples per update [default: the task's].
    #[arg(long, value_parser = batch_size)]
    pub batch_size: Option<usize>,

    /// Compute each update's batch in N parts, one after the other, which takes less memory.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub accumulate: Option<usize>,

    /// Most examples per evaluation batch; on CPUs batches of long texts are smaller [default: 32, on
    /// a GPU 256].
    #[arg(long, value_parser = batch_size)]
    pub eval_batch_size: Option<usize>,

    /// Peak learning rate [default: the task's].
    #[arg(long, allow_negative_numbers = true, value_parser = non_negative)]
    pub learning_rate: Option<f32>,

    /// Warm-up: the fraction of the steps in which the learning rate rises from 0 [default: 0.1].
    #[arg(long, allow_negative_numbers = true, value_parser = fraction)]
    pub warmup: Option<f32>,

    /// Warm-up in steps, instead of a fraction.
    #[arg(long, value_name = "N", conflicts_with = "warmup")]
    pub warmup_steps: Option<usize>,

    /// How the learning rate goes on after the warm-up [default: linear].
    #[arg(long, alias = "scheduler", value_enum, value_name = "NAME")]
    pub lr_scheduler: Option<LrScheduler>,

    /// End training once N evaluations in a row were no better than the best before them.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub patience: Option<usize>,

    /// How much better an evaluation must be to count for `--patience`.
    #[arg(long, value_name = "NUMBER", default_value_t = 0.0, requires = "patience",
          value_parser = non_negative_f64)]
    pub min_delta: f64,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub adamw: AdamW,

    /// Dropout rate [default: 0.1].
    #[arg(long, allow_negative_numbers = true, value_parser = fraction_below_one)]
    pub dropout: Option<f32>,

    /// Label smoothing: the part of each label that is spread over all labels [default: 0].
    #[arg(long, allow_negative_numbers = true, value_parser = fraction_below_one)]
    pub label_smoothing: Option<f32>,

    /// Weights of the labels in the loss, in the order of the labels, or `balanced`.
    #[arg(long, value_name = "W,W,…", value_delimiter = ',')]
    pub class_weights: Vec<String>,

    /// Longest sequence in word pieces; longer texts are cut [default: the task's].
    #[arg(long, value_parser = positive)]
    pub max_length: Option<usize>,

    /// Word pieces that two neighbouring windows of a long passage share [default: the task's].
    #[arg(long)]
    pub doc_stride: Option<usize>,

    /// Number format of matrix products.
    #[arg(long, value_enum, default_value = "auto")]
    pub precision: PrecisionArg,

    /// Train with a step that XLA compiles as one function; the export needs that graph
    /// (`python -m python_export --whole-step`).
    #[arg(long, value_enum, default_value = "auto")]
    pub whole_step: WholeStepArg,

    /// Seed of the head's first weights, the order of examples, and dropout [default: 1].
    #[arg(long, value_parser = one_seed)]
    pub seed: Option<u64>,

    /// Train once with each of these seeds (`1-5`, `1,7,42`), one after the other, in the folders
    /// `seed-N` of the output folder.
    #[arg(long, value_name = "SEEDS", conflicts_with = "seed")]
    pub seeds: Option<Seeds>,

    /// TensorFlow's threads [default: one for each core].
    #[arg(long, value_parser = threads)]
    pub threads: Option<usize>,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub cluster: ClusterArgs,

    #[command(flatten)]
    #[allow(missing_docs)]
    pub cache: CacheArgs,

    /// Use the first N training examples only.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub limit_train: Option<usize>,

    /// Use the first N development examples only.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub limit_dev: Option<usize>,

    /// Updates between two evaluations [default: those of an epoch].
    #[arg(long, value_parser = positive)]
    pub eval_steps: Option<usize>,

    /// Updates between two checkpoints [default: at every evaluation].
    #[arg(long, value_parser = positive)]
    pub save_steps: Option<usize>,

    /// Write a checkpoint also when this many minutes have passed since the last one.
    #[arg(long, value_name = "MINUTES", value_parser = minutes)]
    pub save_minutes: Option<usize>,

    /// Newest checkpoints to keep, besides the best one and one to fall back to. With 0 a complete run
    /// has no checkpoints; until it is complete it keeps them as with 1.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub keep_checkpoints: usize,

    /// Updates between two lines of losses in metrics.jsonl; one comes also before each evaluation
    /// [default: 10].
    #[arg(long, value_parser = positive)]
    pub log_steps: Option<usize>,

    /// What to do when a loss is not finite.
    #[arg(long, value_enum, default_value = "stop")]
    pub on_nan: OnNan,

    /// Read and check everything, print what was found and what training would do, and end before
    /// it trains.
    #[arg(long)]
    pub dry_run: bool,

    /// Print the result as one JSON object, the last line on stdout.
    #[arg(long)]
    pub json: bool,
}
