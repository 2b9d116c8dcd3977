//! What each head does at each stage: one table, and the functions that look into it.
//!
//! A new head gets a row here; the compiler asks for it in [`stages`].

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::dataset::{self, Dataset, Example, Input, Labels, TypedText};
use crate::error::{Error, Result};
use crate::feature::{self, FeatureSettings, Features, Tokenizer};
use crate::metric::MetricInput;
use crate::prediction::{self, FeatureLogits, Prediction, PredictionSettings};
use crate::report::{self, PredictionFile};
use crate::scores::{self, Details, Scores};
use crate::task::{Head, Split, Task};

/// The functions of one head.
struct Stages {
    /// Examples to features.
    features: fn(&Dataset, &Tokenizer, &FeatureSettings) -> Result<Features>,
    /// Logits to predictions.
    predictions:
        fn(&Dataset, &Features, &FeatureLogits, &PredictionSettings) -> Result<Vec<Prediction>>,
    /// Predictions and targets to what metrics are computed from, with details for the report.
    metric_input: ToMetricInput,
    /// A line of the user's to what the model reads.
    typed_input: fn(TypedText<'_>) -> Result<Input>,
    /// A prediction to the JSON object that `tfbert predict` prints.
    object: fn(&Example, &Prediction, &[String]) -> Option<Value>,
    /// Predictions to files.
    write: fn(&PredictionFile<'_>) -> Result<Vec<PathBuf>>,
}

type ToMetricInput = fn(&Task, &Dataset, &Labels, &[Prediction]) -> Result<(MetricInput, Details)>;

const CLASSIFY: Stages = Stages {
    features: feature::texts,
    predictions: prediction::classes,
    metric_input: scores::classes,
    typed_input: dataset::typed_text,
    object: report::label_object,
    write: report::write_labels_or_scores,
};

const REGRESS: Stages = Stages {
    features: feature::texts,
    predictions: prediction::scores,
    metric_input: scores::numbers,
    typed_input: dataset::typed_text,
    object: report::score_object,
    write: report::write_labels_or_scores,
};

const SPAN: Stages = Stages {
    features: feature::questions,
    predictions: prediction::spans,
    metric_input: scores::answers,
    typed_input: dataset::typed_question,
    object: report::answer_object,
    write: report::write_answers,
};

const TAG: Stages = Stages {
    features: feature::words,
    predictions: prediction::tags,
    metric_input: scores::tags,
    typed_input: dataset::typed_words,
    object: report::tags_object,
    write: report::write_tags,
};

const CHOICE: Stages = Stages {
    features: feature::choices,
    predictions: prediction::classes,
    metric_input: scores::endings,
    typed_input: dataset::typed_choices,
    object: report::ending_object,
    write: report::write_json_lines,
};

fn stages(head: Head) -> &'static Stages {
    match head {
        Head::Classify => &CLASSIFY,
        Head::Regress => &REGRESS,
        Head::Span => &SPAN,
        Head::Tag => &TAG,
        Head::Choice => &CHOICE,
    }
}

/// Tokenises a dataset for a head.
///
/// # Errors
///
/// An example that does not fit the head, or that no length limit can cut; the error names its line.
pub fn features(
    head: Head,
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<Features> {
    (stages(head).features)(dataset, tokenizer, settings)
}

/// Exactly one prediction for each example, in the order of the examples.
///
/// # Errors
///
/// Features or logits of another dataset, or logits that are not finite where spans are ranked.
pub fn predictions(
    head: Head,
    dataset: &Dataset,
    features: &Features,
    logits: &FeatureLogits,
    settings: &PredictionSettings,
) -> Result<Vec<Prediction>> {
    (stages(head).predictions)(dataset, features, logits, settings)
}

/// Scores the complete list of predictions of a dataset whose examples have targets.
///
/// # Errors
///
/// A metric that does not fit the task's head or number of labels, an example without target, or
/// not one prediction for each example.
pub fn score(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
) -> Result<Scores> {
    task.check_metrics(labels.names())?;
    check_count(dataset, predictions)?;
    let (input, details) = (stages(task.head).metric_input)(task, dataset, labels, predictions)?;
    Scores::compute(task, &input, details)
}

/// What a model with this head reads of a line that the user typed.
///
/// # Errors
///
/// The line lacks a part, such as the second text of a pair.
pub fn typed_input(head: Head, typed: TypedText<'_>) -> Result<Input> {
    (stages(head).typed_input)(typed)
}

/// A prediction as the JSON object that `tfbert predict` prints. `labels` are shown for the indices
/// of labels.
///
/// # Errors
///
/// The prediction is not of this head, or of none of these labels.
pub fn prediction_object(
    head: Head,
    example: &Example,
    prediction: &Prediction,
    labels: &[String],
) -> Result<Value> {
    (stages(head).object)(example, prediction, labels)
        .ok_or_else(|| Error::new("the prediction does not fit the model's head and labels"))
}

/// Writes the predictions of one split into `dir`, which is made if it is not there; the files.
///
/// - a split with a name for a leaderboard: GLUE's TSV under that name;
/// - tags: `<split>.txt` in CoNLL's columns;
/// - answers: SQuAD's files (see [`report::squad`]) in the folder `<split>`, since their names are
///   fixed;
/// - all else: `<split>.jsonl`.
///
/// Each file is whole or absent: it is written under another name and renamed.
///
/// # Errors
///
/// Not one prediction for each example, a prediction that does not fit the task, or a folder that
/// cannot be written.
pub fn write_predictions(
    task: &Task,
    split: &Split,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
    dir: &Path,
) -> Result<Vec<PathBuf>> {
    check_count(dataset, predictions)?;
    let file = PredictionFile { task, split, dataset, labels, predictions, dir };
    (stages(task.head).write)(&file)
}

fn check_count(dataset: &Dataset, predictions: &[Prediction]) -> Result<()> {
    if predictions.len() == dataset.examples.len() {
        return Ok(());
    }
    Err(Error::new(format!(
        "expected {} predictions, one for each example, found {}",
        dataset.examples.len(),
        predictions.len()
    ))
    .at(&dataset.path))
}
