//! Tasks: one row each, and everything else is derived from the row.
//!
//! A built-in task is a row of [`tasks`]; a user's own task is the same row as a JSON file.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::metric::{InputKind, Metric, MetricName};

mod check;
mod columns;
mod file;
mod head;
mod locate;
mod scheme;
mod source;
mod table;
mod threshold;

pub use columns::{Column, Columns, TextColumns};
pub use file::{find, load};
pub use head::{Head, LabelType};
pub use scheme::{BadTag, ReadTags, Scheme, iob2_labels};
pub use source::{Download, Holds, Source, source};
pub use table::tasks;
pub use threshold::Threshold;

/// The form of a task's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Columns separated by tabs; quotes are ordinary characters, as in GLUE.
    Tsv,
    /// Comma-separated values with quotes (RFC 4180), or with another [`Task::delimiter`].
    Csv,
    /// One JSON object a line.
    Jsonl,
    /// A JSON list of objects.
    Json,
    /// Apache Parquet's columns; reading it takes the feature `parquet` of this package.
    Parquet,
    /// SQuAD's JSON, versions 1.1 and 2.0.
    Squad,
    /// One word a line, a blank line between sentences.
    Conll,
    /// Plain text, which [`Task::sample_by`] divides.
    Text,
}

/// What one example of a plain text file is: a line or a paragraph. The names are those of `sample_by` in
/// Hugging Face's `datasets`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum SampleBy {
    /// Each line that is not blank.
    #[default]
    Line,
    /// Lines up to a blank one, joined by spaces.
    Paragraph,
}

impl SampleBy {
    fn is_line(&self) -> bool {
        *self == Self::Line
    }
}

impl Format {
    /// The name in task files.
    pub fn name(self) -> &'static str {
        match self {
            Self::Tsv => "tsv",
            Self::Csv => "csv",
            Self::Jsonl => "jsonl",
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Squad => "squad",
            Self::Conll => "conll",
            Self::Text => "text",
        }
    }

    /// Whether its rows are JSON objects, or read as such: their columns are keys.
    pub fn has_objects(self) -> bool {
        matches!(self, Self::Jsonl | Self::Json | Self::Parquet)
    }

    /// What one example of it is called.
    pub fn row_name(self) -> &'static str {
        match self {
            Self::Tsv | Self::Csv | Self::Parquet => "a row for each example",
            Self::Jsonl => "a JSON object on each line",
            Self::Json => "a list of JSON objects",
            Self::Squad => "`data`, `paragraphs` and `qas` as in SQuAD",
            Self::Conll => "a word on each line",
            Self::Text => "a text on each line, or in each paragraph",
        }
    }
}

/// What is done about known flaws of a task's files as they are published. Each use is counted and
/// reported; a flaw that is not named here ends reading with an error.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Repairs {
    /// Whether a row of a TSV file that has too few columns goes on on the next line, since a line
    /// feed inside a text cuts it in two (QQP).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub join_cut_rows: bool,
    /// The label of rows whose annotators did not agree (`-` in MultiNLI and SNLI). They are left
    /// out of files for training and development.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_label: Option<String>,
    /// Whether an answer that does not stand at its `answer_start` counts at the nearest place where
    /// it does (SQuAD's derivatives).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub find_answers: bool,
}

impl Repairs {
    fn are_none(&self) -> bool {
        *self == Self::default()
    }
}

/// One file of a task.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// The name on screen and in files (`train`, `dev`, `dev_matched`, `test`, …).
    pub name: String,
    /// The file, below the task's folder.
    pub file: String,
    /// The columns, where they are not the task's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<Columns>,
    /// The file's name for a leaderboard (`SST-2.tsv`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submission: Option<String>,
}

/// Which part of the training file is the development file: a share of each label's examples, of the
/// sentences, or of the passages, drawn by the hash of their text and the seed. Equal texts are in one
/// part.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DevFromTrain {
    /// The share of the examples, above 0 and below 1.
    pub share: f64,
    /// The seed by which they are drawn.
    #[serde(default = "first_seed")]
    pub seed: u64,
}

fn first_seed() -> u64 {
    1
}

/// A part of the training file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What is trained on.
    Train,
    /// What is evaluated on.
    Dev,
}

/// A task: which files, what is in them, how it is scored, what to train it with.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Task {
    /// The name after `--task`.
    pub name: String,
    /// A line on what it asks.
    #[serde(default)]
    pub description: String,
    /// The head that it needs.
    pub head: Head,
    /// The form of its files.
    pub format: Format,
    /// What separates the columns of a CSV file; by default a comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<char>,
    /// With the format `text`: whether each line or each paragraph is one example.
    #[serde(default, skip_serializing_if = "SampleBy::is_line")]
    pub sample_by: SampleBy,
    /// The folder below `--data-dir`; for a task from a file, relative to that file, or absolute.
    #[serde(default)]
    pub folder: String,
    /// The training file; a task without one is scored by another task's model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub train: Option<Split>,
    /// Development files; the first selects the best checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dev: Vec<Split>,
    /// How a part of the training file becomes the development file, for a task without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dev_from_train: Option<DevFromTrain>,
    /// Test files, without targets as a rule.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test: Vec<Split>,
    /// The columns of its files.
    #[serde(default)]
    pub columns: Columns,
    /// What is done about known flaws of its files.
    #[serde(default, skip_serializing_if = "Repairs::are_none")]
    pub repairs: Repairs,
    /// The labels in the order of the logits; where absent, a classifier's or tagger's labels are
    /// those of the training file, sorted.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "columns::texts_or_numbers"
    )]
    pub labels: Option<Vec<String>>,
    /// What `tfbert predict` shows for each of `labels`, where the files have numbers
    /// (`negative` for SST-2's `0`); predictions for a leaderboard have the files' own. Of tags that are
    /// numbers, without `labels`: the tag of each number from 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_names: Option<Vec<String>>,
    /// How the tags of entities say where these begin and end; where absent, it is seen from the tags of
    /// each file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheme: Option<Scheme>,
    /// What stands between the labels of one column, for the head `multilabel`; by default a comma.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label_separator: Option<char>,
    /// From which probability on a label is predicted, for the head `multilabel`.
    #[serde(default, skip_serializing_if = "Threshold::is_default")]
    pub threshold: Threshold,
    /// The lowest and the highest score of a file that has scores; predictions for a leaderboard
    /// are clipped to them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub score_range: Option<[f32; 2]>,
    /// The metrics; the first selects the best checkpoint.
    pub metrics: Vec<MetricName>,
    /// Whether a question may have no answer in its passage (SQuAD 2.0).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub version_2_with_negative: bool,
    /// The task whose model scores this one's files, for a task without training file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model_of: Option<String>,
    /// Hyper-parameters that flags override.
    #[serde(default)]
    pub defaults: Defaults,
    /// The folder that holds the task's file, for a user's own task.
    #[serde(skip)]
    pub base: Option<PathBuf>,
}

/// Default hyper-parameters of a task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// Passes over the training file.
    pub epochs: usize,
    /// Examples (windows, for passages) an update.
    pub batch_size: usize,
    /// AdamW's peak learning rate.
    pub learning_rate: f32,
    /// Longest sequence in word pieces, special tokens included.
    pub max_length: usize,
    /// Word pieces that two neighbouring windows of a long passage share.
    pub doc_stride: usize,
    /// Longest question in word pieces.
    pub max_query_length: usize,
    /// Longest answer in word pieces.
    pub max_answer_length: usize,
    /// Spans kept of each question.
    pub n_best_size: usize,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            epochs: 3,
            batch_size: 32,
            learning_rate: 5e-5,
            max_length: 128,
            doc_stride: 128,
            max_query_length: 64,
            max_answer_length: 30,
            n_best_size: 20,
        }
    }
}

impl Task {
    /// A task for classifying CSV files, of which nothing else is known. It is not complete.
    pub fn empty() -> Self {
        Self {
            name: String::new(),
            description: String::new(),
            head: Head::Classify,
            format: Format::Csv,
            delimiter: None,
            sample_by: SampleBy::Line,
            folder: String::new(),
            train: None,
            dev: Vec::new(),
            dev_from_train: None,
            test: Vec::new(),
            columns: Columns::default(),
            labels: None,
            repairs: Repairs::default(),
            label_names: None,
            scheme: None,
            label_separator: None,
            threshold: Threshold::One,
            score_range: None,
            metrics: Vec::new(),
            version_2_with_negative: false,
            model_of: None,
            defaults: Defaults::default(),
            base: None,
        }
    }

    /// The labels to show for a model's: the task's `label_names` where it has them.
    pub fn shown_labels<'a>(&'a self, labels: &'a [String]) -> &'a [String] {
        match &self.label_names {
            Some(names) if self.labels.as_deref() == Some(labels) => names,
            _ => labels,
        }
    }

    /// The labels that its row names, in the order of the logits: `labels`, the names of the columns that
    /// hold a label each, or the names of tags that are numbers; `None` where they are found in the
    /// training file. Tags of entities are those of IOB2.
    pub fn listed_labels(&self) -> Option<Vec<String>> {
        if self.head.metric_input() == InputKind::Tags {
            let names = self.labels.as_ref().or(self.label_names.as_ref())?;
            return Some(if self.tags_are_entities() { iob2_labels(names) } else { names.clone() });
        }
        if self.labels.is_some() || self.columns.labels.is_empty() {
            return self.labels.clone();
        }
        Some(self.columns.labels.iter().map(Column::to_string).collect())
    }

    /// The path of one of its files.
    pub fn path(&self, split: &Split, data_dir: &Path) -> PathBuf {
        self.base.as_deref().unwrap_or(data_dir).join(&self.folder).join(&split.file)
    }

    /// The columns of one of its files.
    pub fn columns_of<'a>(&'a self, split: &'a Split) -> &'a Columns {
        split.columns.as_ref().unwrap_or(&self.columns)
    }

    /// Which part of its file a split is, where the development file is a part of the training file.
    pub fn part_of(&self, split: &Split) -> Option<(DevFromTrain, Part)> {
        let rule = self.dev_from_train?;
        if self.train.as_ref().is_some_and(|train| train.name == split.name) {
            return Some((rule, Part::Train));
        }
        self.dev.iter().any(|dev| dev.name == split.name).then_some((rule, Part::Dev))
    }

    /// Adds the development split of a task whose development file is a part of the training file.
    /// A task that has it stays as it is.
    pub fn add_dev_from_train(&mut self) {
        if let (Some(_), Some(train), []) = (self.dev_from_train, &self.train, self.dev.as_slice())
        {
            let dev = Split { name: "dev".into(), submission: None, ..train.clone() };
            self.dev.push(dev);
        }
    }

    /// Whether two texts become one sequence: a pair, a question with its passage, or a context
    /// with an ending.
    pub fn joins_texts(&self) -> bool {
        match self.head {
            Head::Classify | Head::Multilabel | Head::Regress => {
                self.splits().any(|split| self.columns_of(split).text_pair.is_some())
            }
            Head::Span | Head::Choice => true,
            Head::Tag | Head::Masked => false,
        }
    }

    /// The split of that name.
    ///
    /// # Errors
    ///
    /// There is none; the hint lists them.
    pub fn split(&self, name: &str) -> Result<&Split> {
        self.splits().find(|split| split.name == name).ok_or_else(|| {
            let names: Vec<_> = self.splits().map(|split| format!("`{}`", split.name)).collect();
            Error::usage(format!("task `{}` has no split `{name}`", self.name))
                .hint(format!("choose one of {}", names.join(", ")))
        })
    }

    /// All its files: training, development, test.
    pub fn splits(&self) -> impl Iterator<Item = &Split> {
        self.train.iter().chain(&self.dev).chain(&self.test)
    }

    /// Checks the metrics against the head and the labels, which are known late where they are
    /// found in the training file.
    ///
    /// # Errors
    ///
    /// A metric does not fit; the error names those that do.
    pub fn check_metrics(&self, labels: &[String]) -> Result<()> {
        check::metrics(self, labels)
            .map_err(|problem| Error::usage(format!("task `{}`: {}", self.name, problem.what)))
    }

    /// Checks the whole row, as a task file is checked when it is read: for a row that came in
    /// another file, such as a trained model's.
    ///
    /// # Errors
    ///
    /// The row contradicts itself, or names a file outside its folder.
    pub fn check(&self) -> Result<()> {
        check::check(self)
            .map_err(|problem| Error::new(format!("task `{}`: {}", self.name, problem.what)))
    }

    /// Whether a tagger's tags are entities in IOB1 or IOB2, as its metrics need, and not tags that
    /// stand for themselves (parts of speech, say), of which accuracy alone makes sense.
    pub fn tags_are_entities(&self) -> bool {
        self.rows_of_metrics().any(Metric::counts_entities)
    }

    /// The rows of its metrics that fit its head.
    fn rows_of_metrics(&self) -> impl Iterator<Item = &'static Metric> {
        let input = self.head.metric_input();
        self.metrics.iter().filter_map(move |&name| Metric::find(name, input))
    }

    /// The metric that selects the best checkpoint.
    pub fn selecting_metric(&self) -> MetricName {
        self.metrics[0]
    }

    /// Whether a file is one of its test files, which may lack targets.
    pub fn is_test(&self, split: &Split) -> bool {
        self.test.iter().any(|test| test.name == split.name)
    }
}
