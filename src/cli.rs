//! What can be typed.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::Resettable;
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use crate::bench::BatchShape;
use crate::optimizer::{AdamW, non_negative};
use crate::run::Seeds;
use crate::settings::OnNan;

/// Fine-tune, evaluate and use BERT from one binary, on TensorFlow's C API.
#[derive(Debug, Parser)]
#[command(name = "tfbert", version, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,

    /// Say more: tfbert's own details, and TensorFlow's log.
    #[arg(short, long, global = true)]
    pub verbose: bool,

    /// Folder of libtensorflow, or of a virtual environment with TensorFlow.
    #[arg(long, global = true, value_name = "DIR")]
    pub tensorflow: Option<PathBuf>,
}

/// Parses the arguments of this process. Ends it with the usage where they are wrong.
pub fn parse() -> Cli {
    let command = ignore_empty_variables(Cli::command(), &|name| std::env::var_os(name));
    Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit())
}

/// Makes an environment variable that is set to nothing the same as one that is not set.
fn ignore_empty_variables(
    command: clap::Command,
    value: &dyn Fn(&OsStr) -> Option<OsString>,
) -> clap::Command {
    let command = command.mut_args(|arg| {
        let is_empty = arg.get_env().and_then(value).is_some_and(|value| value.is_empty());
        if is_empty { arg.env(Resettable::Reset) } else { arg }
    });
    command.mut_subcommands(|subcommand| ignore_empty_variables(subcommand, value))
}

/// The commands.
#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant)] // There is one, made once.
pub enum Command {
    /// Fine-tune an exported encoder on a task.
    Train(TrainArgs),
    /// Score a trained model on a task's development file.
    Eval(EvalArgs),
    /// Predict texts, from arguments, a file or stdin.
    Predict(PredictArgs),
    /// Look at a task's files.
    #[command(subcommand)]
    Data(DataCommand),
    /// Time training steps on random batches.
    Bench(BenchArgs),
    /// List the tasks.
    Tasks(TasksArgs),
    /// Check library, machine, exports and data.
    Doctor(DoctorArgs),
}

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

/// What reads data.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// The task's name (see `tfbert tasks`), or a task file that ends in `.json`.
    #[arg(long, value_name = "TASK")]
    pub task: String,

    /// Folder of the data sets.
    #[arg(long, env = "TFBERT_DATA", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
}

/// What is kept for later runs.
#[derive(Debug, Clone, Args)]
pub struct CacheArgs {
    /// Folder that keeps tokenised training files and compiled programs [default: `tfbert` in the
    /// user's cache folder].
    #[arg(long, env = "TFBERT_CACHE", value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,

    /// Neither read nor write that folder.
    #[arg(long)]
    pub no_cache: bool,
}

/// Arguments of `tfbert train`.
#[derive(Debug, Clone, Args)]
pub struct TrainArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: DataArgs,

    /// The export to start from [default: saved_models/minilm-l6/<the task's head>].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// The run's folder [default: runs/<task>].
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Replace the run that the output folder holds.
    #[arg(long, conflicts_with = "resume")]
    pub overwrite: bool,

    /// Continue the run that the output folder holds from its newest checkpoint.
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

    /// Seed of the head's first weights, the order of examples, and dropout [default: 1].
    #[arg(long)]
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

    /// Write a checkpoint also when so many minutes have passed since the last.
    #[arg(long, value_name = "MINUTES", value_parser = positive)]
    pub save_minutes: Option<usize>,

    /// Number of newest checkpoints to keep, besides the best one and one to fall back to.
    #[arg(long, default_value_t = 1, value_parser = positive)]
    pub keep_checkpoints: usize,

    /// Updates between two lines of losses in metrics.jsonl [default: 10].
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

/// The commands on data.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Read and check all that `tfbert train` with the same flags would read, and print what was
    /// found and what training would do. It needs no TensorFlow and looks at no output folder.
    Check(Box<TrainArgs>),
}

/// Arguments of `tfbert eval`.
#[derive(Debug, Args)]
pub struct EvalArgs {
    #[command(flatten)]
    #[allow(missing_docs)]
    pub data: DataArgs,

    /// The trained model [default: runs/<task>/model].
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

    /// Print the result as one JSON object, the last line on stdout.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `tfbert predict`.
#[derive(Debug, Args)]
pub struct PredictArgs {
    /// Texts; for pairs the two texts of each, with a tab between; for questions the questions.
    /// Without texts and on a terminal, a prompt asks for them.
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

/// Arguments of `tfbert bench`.
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// The export to time.
    #[arg(long, default_value = "saved_models/minilm-l6/classify", value_name = "DIR")]
    pub model: PathBuf,

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

    /// Timed steps of each shape.
    #[arg(long, default_value_t = 15, value_parser = positive)]
    pub steps: usize,

    /// Steps of each shape after its first and before the timed ones.
    #[arg(long, default_value_t = 3)]
    pub warmup: usize,

    /// Time evaluation too.
    #[arg(long)]
    pub eval: bool,

    /// Trace one more step of each shape, and with `--eval` an evaluation: a table of the time in
    /// each operation, and a file for chrome://tracing or Perfetto in DIR [default: runs/bench].
    #[arg(long, value_name = "DIR", num_args = 0..=1, require_equals = true,
          default_missing_value = "runs/bench")]
    pub profile: Option<PathBuf>,

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

/// Arguments of `tfbert tasks`.
#[derive(Debug, Args)]
pub struct TasksArgs {
    /// Print this task's row as a file to start one's own from.
    #[arg(long, value_name = "TASK")]
    pub show: Option<String>,
}

/// Arguments of `tfbert doctor`.
#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Folder of the data sets.
    #[arg(long, env = "TFBERT_DATA", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Folder of the exports.
    #[arg(long, default_value = "saved_models", value_name = "DIR")]
    pub saved_models: PathBuf,
}

fn positive(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("expected a whole number from 1".into()),
        Ok(number) => Ok(number),
    }
}

/// The most passes over the training file, as in task files: a mistyped number is an error here, and
/// not a failed allocation later.
const MOST_EPOCHS: usize = 100_000;

/// The most examples of a batch, as in task files.
const LARGEST_BATCH: usize = 1 << 16;

/// The most threads; more would only cost the time to start them.
const MOST_THREADS: usize = 1024;

fn epochs(text: &str) -> Result<usize, String> {
    from_one_to(MOST_EPOCHS, text)
}

fn batch_size(text: &str) -> Result<usize, String> {
    from_one_to(LARGEST_BATCH, text)
}

fn threads(text: &str) -> Result<usize, String> {
    from_one_to(MOST_THREADS, text)
}

fn from_one_to(most: usize, text: &str) -> Result<usize, String> {
    let number = positive(text).ok().filter(|number| *number <= most);
    number.ok_or_else(|| format!("expected a whole number from 1 to {most}"))
}

fn fraction(text: &str) -> Result<f32, String> {
    non_negative(text)
        .ok()
        .filter(|fraction| *fraction <= 1.0)
        .ok_or_else(|| "expected 0 to 1".into())
}

fn fraction_below_one(text: &str) -> Result<f32, String> {
    fraction(text)
        .ok()
        .filter(|fraction| *fraction < 1.0)
        .ok_or_else(|| "expected 0 to below 1".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn numbers_out_of_range_are_answered_with_the_range() {
        for (flag, value, range) in [
            ("--learning-rate", "-1", "a number from 0"),
            ("--dropout", "-0.5", "0 to below 1"),
            ("--weight-decay", "-1", "a number from 0"),
            ("--warmup", "2", "0 to 1"),
            ("--threads", "100000", "from 1 to 1024"),
            ("--epochs", "1000000", "from 1 to 100000"),
            ("--batch-size", "100000", "from 1 to 65536"),
            ("--eval-batch-size", "0", "from 1 to 65536"),
            ("--threads", "0", "from 1 to 1024"),
        ] {
            let error = Cli::try_parse_from(["tfbert", "train", "--task", "sst2", flag, value]);
            let message = error.unwrap_err().to_string();
            assert!(message.contains(range), "{flag} {value}: {message}");
        }
    }

    #[test]
    fn an_empty_environment_variable_is_the_same_as_none() {
        let variables = |value: &str| {
            let value = OsString::from(value);
            let command = ignore_empty_variables(Cli::command(), &|name| {
                (name == "TFBERT_DATA").then(|| value.clone())
            });
            let train = command.get_subcommands().find(|command| command.get_name() == "train");
            let mut arguments = train.unwrap().get_arguments();
            arguments.any(|arg| arg.get_env().is_some_and(|name| name == "TFBERT_DATA"))
        };
        assert!(variables("/data"));
        assert!(!variables(""));
    }
}
