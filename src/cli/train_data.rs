//! Flags of `tfbert train` and `tfbert data check` that say what to read.

use std::path::PathBuf;

use clap::Args;

use super::values::{ColumnNames, column_names, delimiter, share};
use crate::task::{Head, SampleBy};

/// A task, or a data file with what the user says of it.
#[derive(Debug, Clone, Args)]
pub struct TrainDataArgs {
    /// The task's name (see `tfbert tasks`), or a task file that ends in `.json`.
    #[arg(long, value_name = "TASK", required_unless_present = "file", conflicts_with = "file")]
    pub task: Option<String>,

    /// Folder of the data sets.
    #[arg(long, env = "TFBERT_DATA", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,

    /// Train on this file, without a task file: CSV, TSV, JSON lines, a JSON list, SQuAD's JSON,
    /// CoNLL or, with `--head masked`, plain text. What the flags below do not say is guessed from
    /// the file, and said. The run's folder gets the task file, `task.json`.
    #[arg(long = "data", value_name = "FILE")]
    pub file: Option<PathBuf>,

    /// Columns of the text, joined by a space: names, or positions from 0 without a header. A name
    /// with a comma stands in quotes: `'"a,b",c'` [default: by their names].
    #[arg(long, value_name = "COLUMNS", value_parser = column_names, requires = "file")]
    pub text: Option<ColumnNames>,

    /// Columns of the second text of a pair.
    #[arg(long, value_name = "COLUMNS", value_parser = column_names, requires = "file")]
    pub text_pair: Option<ColumnNames>,

    /// Column of the label, score or list of labels, or a column of 0 and 1 for each label [default:
    /// by its name].
    #[arg(long, value_name = "COLUMNS", value_parser = column_names, requires = "file")]
    pub label: Option<ColumnNames>,

    /// The head [default: by the values of the label].
    #[arg(long, value_enum, requires = "file")]
    pub head: Option<Head>,

    /// What separates the columns of a CSV file [default: what gives its rows one width].
    #[arg(long, value_name = "SIGN", value_parser = delimiter, requires = "file")]
    pub delimiter: Option<char>,

    /// What counts as one text in a plain text file, with `--head masked` [default: line].
    #[arg(long, value_enum, value_name = "UNIT", requires = "file")]
    pub sample_by: Option<SampleBy>,

    /// The file to evaluate on [default: a part of the training file].
    #[arg(long, value_name = "FILE", requires = "file")]
    pub dev: Option<PathBuf>,

    /// The part of the training file to evaluate on: a share of each label's rows, of the sentences
    /// or of the passages. Equal texts are in one part.
    #[arg(
        long,
        value_name = "SHARE",
        default_value = "0.2",
        value_parser = share,
        requires = "file",
        conflicts_with = "dev"
    )]
    pub dev_share: f64,

    /// Seed of the draw for `--dev-share`; `--seed` does not change it.
    #[arg(
        long,
        value_name = "SEED",
        default_value_t = 1,
        requires = "file",
        conflicts_with = "dev"
    )]
    pub split_seed: u64,
}
