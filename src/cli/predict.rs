//! Flags of `tfbert predict`.

use std::path::PathBuf;

use clap::Args;

use super::shared::PrecisionArg;
use super::values::{ColumnNames, batch_size, column_names, fraction, number, positive, threads};
use crate::dataset::InputFormat;

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

    /// The trained model, or the folder of its run [default: runs/<task>].
    #[arg(long, value_name = "DIR")]
    pub model: Option<PathBuf>,

    /// File to predict, instead of arguments: .csv, .tsv, .jsonl, SQuAD's .json, .conll, or else a
    /// text on each line; `-` is stdin.
    #[arg(long, value_name = "FILE", conflicts_with = "texts")]
    pub file: Option<PathBuf>,

    /// The file's form, where its extension does not say it.
    #[arg(long, value_enum, requires = "file", value_name = "FORM")]
    pub format: Option<InputFormat>,

    /// Columns of the file with the text, or with the question; several are joined by spaces
    /// [default: the task's]. A name with a comma stands in quotes: `'"a,b",c'`.
    #[arg(long, value_name = "COLUMN,…", value_parser = column_names, requires = "file")]
    pub text: Option<ColumnNames>,

    /// Column of the file with the second text, or with the passage [default: the task's].
    #[arg(long, value_name = "COLUMN", requires = "file")]
    pub text_pair: Option<String>,

    /// File for the rows with their predictions: .csv, .tsv, .jsonl, .json with SQuAD's answers, or
    /// .conll. It is whole or absent [default: JSON lines on stdout].
    #[arg(long, value_name = "FILE", requires = "file")]
    pub output: Option<PathBuf>,

    /// Replace the output file.
    #[arg(long, requires = "output", conflicts_with = "resume")]
    pub overwrite: bool,

    /// Continue an output that was interrupted: rows that are written already are kept.
    #[arg(long, requires = "output")]
    pub resume: bool,

    /// Prefix of the names of the added columns.
    #[arg(long, value_name = "TEXT", requires = "output", default_value = "")]
    pub prefix: String,

    /// Passage that questions are about; give it several times for several files, or name a folder
    /// of .txt and .md files.
    #[arg(long, value_name = "FILE")]
    pub context: Vec<PathBuf>,

    /// Predict nothing where the best label or answer is less probable than this.
    #[arg(long, value_name = "PROBABILITY", allow_negative_numbers = true, value_parser = fraction)]
    pub threshold: Option<f32>,

    /// Show the N best labels or answers.
    #[arg(long, value_name = "N", value_parser = positive)]
    pub top_k: Option<usize>,

    /// Answer nothing where "no answer" scores above the best answer by more than this [default:
    /// the model's].
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true, value_parser = number)]
    pub null_threshold: Option<f64>,

    /// Number format [default: the one that the model was scored with in training; f32 where this
    /// device multiplies bf16 no faster]. TensorFlow Serving computes in f32.
    #[arg(long, value_enum)]
    pub precision: Option<PrecisionArg>,

    /// Most examples per batch; on CPUs batches of long texts are smaller [default: 32, on a GPU
    /// 256].
    #[arg(long, value_parser = batch_size)]
    pub batch_size: Option<usize>,

    /// TensorFlow's threads [default: one for each core].
    #[arg(long, value_parser = threads)]
    pub threads: Option<usize>,
}
