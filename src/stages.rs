//! What each head does at each stage: one table, and the functions that look into it.
//!
//! A new head gets a row here; the compiler asks for it in [`stages`].

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::analysis::{self, Findings};
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
    /// What is cut where an example is too long, for a message: `texts were cut to 128`.
    cut: fn(&FeatureSettings) -> (&'static str, usize),
    /// Logits to predictions.
    predictions:
        fn(&Dataset, &Features, &FeatureLogits, &PredictionSettings) -> Result<Vec<Prediction>>,
    /// Predictions and targets to what metrics are computed from, with details for the report.
    metric_input: ToMetricInput,
    /// Predictions and targets to what they show beyond the metrics.
    findings: ToFindings,
    /// A line of the user's to what the model reads.
    typed_input: fn(TypedText<'_>, &Tokenizer) -> Result<Input>,
    /// A prediction to the JSON object that `tfbert predict` prints.
    object: fn(&Example, &Prediction, &[String]) -> Option<Value>,
    /// Predictions to files.
    write: fn(&PredictionFile<'_>) -> Result<Vec<PathBuf>>,
}

type ToFindings = fn(&Task, &Dataset, &Labels, &[Prediction], usize) -> Result<Findings>;

type ToMetricInput = fn(&Task, &Dataset, &Labels, &[Prediction]) -> Result<(MetricInput, Details)>;

const CLASSIFY: Stages = Stages {
    features: feature::texts,
    cut: cut_texts,
    predictions: prediction::classes,
    metric_input: scores::classes,
    findings: analysis::classes,
    typed_input: |typed, _| dataset::typed_text(typed),
    object: report::label_object,
    write: report::write_labels_or_scores,
};

const MULTILABEL: Stages = Stages {
    features: feature::texts,
    cut: cut_texts,
    predictions: prediction::label_sets,
    metric_input: scores::label_sets,
    findings: analysis::label_sets,
    typed_input: |typed, _| dataset::typed_text(typed),
    object: report::labels_object,
    write: report::write_json_lines,
};

const REGRESS: Stages = Stages {
    features: feature::texts,
    cut: cut_texts,
    predictions: prediction::scores,
    metric_input: scores::numbers,
    findings: analysis::numbers,
    typed_input: |typed, _| dataset::typed_text(typed),
    object: report::score_object,
    write: report::write_labels_or_scores,
};

const SPAN: Stages = Stages {
    features: feature::questions,
    cut: cut_questions,
    predictions: prediction::spans,
    metric_input: scores::answers,
    findings: analysis::answers,
    typed_input: |typed, _| dataset::typed_question(typed),
    object: report::answer_object,
    write: report::write_answers,
};

const TAG: Stages = Stages {
    features: feature::words,
    cut: cut_words,
    predictions: prediction::tags,
    metric_input: scores::tags,
    findings: analysis::tags,
    typed_input: feature::typed_sentence,
    object: report::tags_object,
    write: report::write_tags,
};

const CHOICE: Stages = Stages {
    features: feature::choices,
    cut: cut_texts,
    predictions: prediction::classes,
    metric_input: scores::endings,
    findings: analysis::endings,
    typed_input: |typed, _| dataset::typed_choices(typed),
    object: report::ending_object,
    write: report::write_json_lines,
};

const MASKED: Stages = Stages {
    features: feature::masked_texts,
    cut: cut_texts,
    predictions: prediction::hidden_tokens,
    metric_input: scores::hidden,
    findings: |_, _, _, _, _| Ok(Findings::default()),
    typed_input: feature::typed_masked,
    object: report::hidden_object,
    write: |_| Ok(Vec::new()),
};

fn cut_texts(settings: &FeatureSettings) -> (&'static str, usize) {
    ("examples were cut to", settings.max_length)
}

/// Passages are read in windows; only questions are cut.
fn cut_questions(settings: &FeatureSettings) -> (&'static str, usize) {
    ("questions were cut to", settings.max_query_length)
}

/// Sentences are read in windows; only a word that exceeds one is cut.
fn cut_words(settings: &FeatureSettings) -> (&'static str, usize) {
    ("sentences have a word that was cut to fit into", settings.max_length)
}

fn stages(head: Head) -> &'static Stages {
    match head {
        Head::Classify => &CLASSIFY,
        Head::Multilabel => &MULTILABEL,
        Head::Regress => &REGRESS,
        Head::Span => &SPAN,
        Head::Tag => &TAG,
        Head::Choice => &CHOICE,
        Head::Masked => &MASKED,
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

/// A sentence on how many of so many examples were cut, and to what; `None` where none was.
pub fn cut_message(
    head: Head,
    cut: usize,
    examples: usize,
    settings: &FeatureSettings,
) -> Option<String> {
    let (what, pieces) = (stages(head).cut)(settings);
    (cut > 0).then(|| format!("{cut} of {examples} {what} {pieces} word pieces"))
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

/// What the predictions of a dataset whose examples have targets show beyond the metrics, with the
/// `most` worst mistakes.
///
/// # Errors
///
/// An example without target, a prediction that does not fit it, or not one prediction for each
/// example.
pub fn findings(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
    most: usize,
) -> Result<Findings> {
    check_count(dataset, predictions)?;
    (stages(task.head).findings)(task, dataset, labels, predictions, most)
}

/// What a model with this head reads of a line that the user typed.
///
/// # Errors
///
/// The line lacks a part, such as the second text of a pair.
pub fn typed_input(head: Head, typed: TypedText<'_>, tokenizer: &Tokenizer) -> Result<Input> {
    (stages(head).typed_input)(typed, tokenizer)
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

/// Writes the predictions of one split into `dir`, which is created if missing, and returns the files.
///
/// - a split with a name for a leaderboard: GLUE's TSV under that name, and `<split>.jsonl`;
/// - tags: `<split>.txt` in CoNLL's columns, and `<split>.jsonl`;
/// - answers: SQuAD's files (see [`report::squad`]) in the folder `<split>`, since their names are
///   fixed, and `<split>.jsonl`;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_cut_is_said_with_the_limit_that_applied() {
        let settings = FeatureSettings { max_length: 96, doc_stride: 24, max_query_length: 40 };
        let message = |head| cut_message(head, 1, 2, &settings).unwrap();
        assert_eq!(message(Head::Span), "1 of 2 questions were cut to 40 word pieces");
        assert_eq!(message(Head::Classify), "1 of 2 examples were cut to 96 word pieces");
        assert_eq!(cut_message(Head::Span, 0, 2, &settings), None);
    }
}
