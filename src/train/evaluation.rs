//! Evaluations during training.

use super::Job;
use crate::analysis::{Lengths, MOST_MISTAKES};
use crate::dataset::Target;
use crate::error::{Error, Result};
use crate::evaluate::{self, EncodedDataset, Evaluation, EvaluationSettings};
use crate::feature::FeatureSizes as _;
use crate::metric::PrecisionRecallCurve;
use crate::model::{CurveRows, Model};
use crate::prediction::Prediction;
use crate::report::duration;
use crate::run::RunAnalysis;
use crate::scores::Scores;

/// The flag of `tfbert train` that makes an evaluation need less memory.
const MEMORY_HINT: &str = "memory ran out: use a smaller `--eval-batch-size`";

/// The result of evaluating one development split.
pub(super) struct SplitScores {
    /// The split's name.
    pub(super) split: String,
    pub(super) scores: Scores,
    /// Mean loss of the labels, where the model computes one.
    pub(super) loss: Option<f64>,
    pub(super) evaluation: Evaluation,
}

/// Evaluates every development split, in the task's order. Several workers share out the batches, and
/// the chief has the scores; the others have none.
pub(super) fn evaluate(
    job: &Job<'_>,
    model: &dyn Model,
    step: usize,
    epoch: f64,
) -> Result<Vec<SplitScores>> {
    let found = job.dev.iter().map(|data| split(job, model, data, step, epoch));
    Ok(found.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
}

fn split(
    job: &Job<'_>,
    model: &dyn Model,
    data: &EncodedDataset,
    step: usize,
    epoch: f64,
) -> Result<Option<SplitScores>> {
    let settings = EvaluationSettings {
        rows: job.settings.eval_batch_size,
        pad_token_id: job.encoder.pad_token_id,
        profile: job.profile,
        prediction: job.settings.prediction(job.task),
        progress: true,
    };
    let head = job.task.head;
    let evaluation = match job.cluster {
        None => evaluate::predict(head, data, model, &settings, job.stop).map(Some),
        Some(cluster) => evaluate::predict_shared(head, data, model, &settings, cluster),
    };
    let evaluation = evaluation.map_err(|error| error.hint_if_out_of_memory(MEMORY_HINT))?;
    let Some(mut evaluation) = evaluation else { return Ok(None) };
    let scores = evaluate::score_at_best_threshold(job.task, data, job.labels, &mut evaluation)?
        .ok_or_else(|| {
            Error::new("the development file has examples without labels").at(&data.dataset.path)
        })?;
    let split = &data.dataset.split;
    log::info!(
        "step {step} (epoch {epoch:.2}): {split} {}  loss {}  ({} examples in {}, {:.0}% padding)",
        evaluate::shown(&scores),
        evaluation.loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}")),
        data.dataset.examples.len(),
        duration(evaluation.duration),
        100.0 * evaluation.padding,
    );
    if evaluation.loss.is_some_and(|loss| !loss.is_finite()) {
        log::warn!(
            "step {step}: the loss of {split} is not a finite number, so the weights are of no use; begin \
             anew with a lower `--learning-rate`"
        );
    }
    let (split, loss) = (split.clone(), evaluation.loss);
    Ok(Some(SplitScores { split, scores, loss, evaluation }))
}

/// What the evaluation after `step` shows beyond its scores.
pub(super) fn analyse(job: &Job<'_>, step: usize, found: &[SplitScores]) -> Result<RunAnalysis> {
    let max_length = job.settings.features.max_length;
    let splits = job.dev.iter().zip(found).map(|(data, found)| {
        let bounds = (max_length, MOST_MISTAKES);
        evaluate::analyse(job.task, data, job.labels, &found.evaluation, &found.scores, bounds)
    });
    let lengths = (0..job.train.len()).map(|feature| job.train.length(feature));
    Ok(RunAnalysis {
        step,
        train_lengths: Lengths::new(lengths, max_length, job.train.summary().truncated),
        splits: splits.collect::<Result<_>>()?,
    })
}

/// Most labels that have curves of their own.
const MOST_CURVES: usize = 30;

/// The precision-recall curves of each split. A task with two labels has one curve, for the second label; a
/// task whose examples have any number of labels has one for each label.
pub(super) fn curves(job: &Job<'_>, found: &[SplitScores]) -> Vec<(String, CurveRows)> {
    let names = job.task.shown_labels(job.labels.names());
    let first = found.first().and_then(|found| found.evaluation.predictions.first());
    let labels: Vec<usize> = match first {
        Some(Prediction::Class { .. }) if names.len() == 2 => vec![1],
        Some(Prediction::Labels { .. }) if names.len() <= MOST_CURVES => (0..names.len()).collect(),
        _ => Vec::new(),
    };
    let of_label = |(data, found): (&EncodedDataset, &SplitScores), label: usize| {
        let pairs = data.dataset.examples.iter().zip(&found.evaluation.predictions);
        let curve = PrecisionRecallCurve::new(pairs.filter_map(|(example, prediction)| {
            Some((probability(prediction, label)?, has(example.target.as_ref()?, label)?))
        }));
        (format!("{}/precision_recall/{}", found.split, names[label]), curve.rows())
    };
    let splits = job.dev.iter().zip(found);
    splits.flat_map(|split| labels.iter().map(move |&label| of_label(split, label))).collect()
}

/// The probability of a label.
fn probability(prediction: &Prediction, label: usize) -> Option<f32> {
    match prediction {
        Prediction::Class { probabilities, .. } | Prediction::Labels { probabilities, .. } => {
            probabilities.get(label).copied()
        }
        _ => None,
    }
}

/// Whether a label is right.
fn has(target: &Target, label: usize) -> Option<bool> {
    match target {
        Target::Class(gold) => Some(*gold == label),
        Target::Labels { labels, .. } => Some(labels.contains(&label)),
        _ => None,
    }
}
