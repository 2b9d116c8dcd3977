//! Evaluation: every example gets a prediction, and the complete list is scored.

use std::sync::atomic::AtomicI32;
use std::time::Duration;

use crate::analysis::{Analysis, Lengths};
use crate::cluster::Cluster;
use crate::dataset::{Dataset, Labels};
use crate::error::{Error, Result};
use crate::feature::Features;
use crate::model::{BatchProfile, Predictor};
use crate::prediction::{Prediction, PredictionSettings};
use crate::scores::{Scores, label_thresholds};
use crate::stages;
use crate::task::{Head, Task};

mod work;

use work::{BatchResult, Work};

/// A dataset and its features.
pub struct EncodedDataset {
    /// The examples.
    pub dataset: Dataset,
    /// Their features.
    pub features: Features,
}

/// How a dataset is evaluated.
#[derive(Debug, Clone)]
pub struct EvaluationSettings {
    /// The most rows of a batch.
    pub rows: usize,
    /// The token id of padding.
    pub pad_token_id: i32,
    /// How the device computes batches best.
    pub profile: BatchProfile,
    /// How logits become predictions.
    pub prediction: PredictionSettings,
    /// Whether progress is printed.
    pub progress: bool,
}

/// What an evaluation found.
#[derive(Debug)]
pub struct Evaluation {
    /// One for each example, in their order.
    pub predictions: Vec<Prediction>,
    /// Mean loss of the labels, where the model computes one.
    pub loss: Option<f64>,
    /// Time spent on the model.
    pub duration: Duration,
    /// Share of padding among the tokens.
    pub padding: f64,
}

/// Predicts every example of `data` in batches of up to `settings.rows` rows, of fewer where the device
/// computes fewer in less time per token.
///
/// # Errors
///
/// The model fails, or `stop` holds a signal's number between two batches.
pub fn predict(
    head: Head,
    data: &EncodedDataset,
    model: &dyn Predictor,
    settings: &EvaluationSettings,
    stop: &AtomicI32,
) -> Result<Evaluation> {
    let work = Work::new(head, data, settings);
    let found = work.compute(model, stop, (0, 1))?;
    work.conclude(&found)
}

/// As [`predict`], the batches shared out to the workers of a cluster. The chief gets what all of them
/// found; the others get `None`. A signal is left to the next training step.
///
/// # Errors
///
/// The model or the connection fails.
pub fn predict_shared(
    head: Head,
    data: &EncodedDataset,
    model: &dyn Predictor,
    settings: &EvaluationSettings,
    cluster: &Cluster,
) -> Result<Option<Evaluation>> {
    let work = Work::new(head, data, settings);
    let (index, count) = (cluster.workers().index(), cluster.workers().count());
    let mut found = work.compute(model, &AtomicI32::new(0), (index, count))?;
    let failed = |error: postcard::Error| {
        Error::new(format!("a worker's part of an evaluation cannot be read: {error}"))
    };
    if !cluster.is_chief() {
        let part = work.part(&found, index, count);
        cluster.send_part(&postcard::to_stdvec(&part).map_err(failed)?)?;
        return Ok(None);
    }
    for bytes in cluster.receive_parts()? {
        let part: Vec<BatchResult> = postcard::from_bytes(&bytes).map_err(failed)?;
        work.merge(&mut found, part)?;
    }
    work.conclude(&found).map(Some)
}

/// Scores the predictions of a dataset whose examples have targets; `None` where none has.
///
/// # Errors
///
/// A metric does not fit the head, or only some examples have targets.
pub fn score(
    task: &Task,
    data: &EncodedDataset,
    labels: &Labels,
    evaluation: &Evaluation,
) -> Result<Option<Scores>> {
    if data.dataset.examples.iter().all(|example| example.target.is_none()) {
        return Ok(None);
    }
    stages::score(task, &data.dataset, labels, &evaluation.predictions).map(Some)
}

/// As [`score`]; where questions may have no answer, or an example any number of labels, first finds the
/// thresholds of the highest F1 and predicts by them, so that the scores are those of the model with these
/// thresholds.
///
/// # Errors
///
/// See [`score`].
pub fn score_at_best_threshold(
    task: &Task,
    data: &EncodedDataset,
    labels: &Labels,
    evaluation: &mut Evaluation,
) -> Result<Option<Scores>> {
    let scores = score(task, data, labels, evaluation)?;
    if let (true, Some(scores)) = (task.head.predicts_label_sets(), &scores) {
        let thresholds = label_thresholds(task, labels, &scores.details);
        for prediction in &mut evaluation.predictions {
            prediction.apply_label_thresholds(&thresholds);
        }
        return score(task, data, labels, evaluation);
    }
    let Some(threshold) = scores.as_ref().and_then(best_threshold) else { return Ok(scores) };
    for prediction in &mut evaluation.predictions {
        if let Prediction::Span(span) = prediction {
            span.apply_null_threshold(threshold);
        }
    }
    score(task, data, labels, evaluation)
}

/// What a scored evaluation shows beyond its metrics, with the `most` worst mistakes. `max_length` is
/// the longest sequence that is not cut.
///
/// # Errors
///
/// See [`score`].
pub fn analyse(
    task: &Task,
    data: &EncodedDataset,
    labels: &Labels,
    evaluation: &Evaluation,
    scores: &Scores,
    (max_length, most): (usize, usize),
) -> Result<Analysis> {
    let features = &data.features;
    let lengths = (0..features.len()).map(|feature| features.length(feature));
    let predictions = &evaluation.predictions;
    Ok(Analysis {
        split: data.dataset.split.clone(),
        examples: data.dataset.examples.len(),
        metrics: scores.by_name(),
        lengths: Lengths::new(lengths, max_length, features.truncated),
        findings: stages::findings(task, &data.dataset, labels, predictions, most)?,
    })
}

/// The null threshold of the highest F1, for a task whose questions may have no answer.
pub fn best_threshold(scores: &Scores) -> Option<f64> {
    scores.details.get("best_f1_threshold").copied().flatten()
}

/// Scores as JSON: an object by metric, `null` for what is undefined.
pub fn to_json(scores: &Scores) -> serde_json::Value {
    let values =
        scores.values.iter().map(|(name, value)| (name.name().to_owned(), (*value).into()));
    serde_json::Value::Object(values.collect())
}

/// Scores for people: `accuracy 0.8853  f1 undefined`.
pub fn shown(scores: &Scores) -> String {
    let shown = |value: &Option<f64>| {
        value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"))
    };
    let values: Vec<String> = scores
        .values
        .iter()
        .map(|(name, value)| format!("{} {}", name.name(), shown(value)))
        .collect();
    values.join("  ")
}

#[cfg(test)]
mod tests {
    use std::thread::sleep;

    use super::*;
    use crate::dataset::{Example, Input};
    use crate::feature::{FeatureTarget, Sequence};
    use crate::model::{Batch, Forward, Logits};

    const EXAMPLES: usize = 101;

    /// Computes from a row's first id alone; every second batch takes long.
    struct Uneven {
        slow: usize,
    }

    impl Predictor for Uneven {
        fn forward(&self, batch: &Batch) -> Result<Forward> {
            if batch.features[0] % 2 == self.slow {
                sleep(Duration::from_millis(2));
            }
            let ids = batch.input_ids().ints();
            let first = |row: usize| f64::from(ids[row * batch.length()]);
            let rows = batch.rows();
            let values = (0..rows).flat_map(|row| [0.5, first(row) as f32]).collect();
            let loss = (0..rows).map(|row| (first(row) + 0.1).sqrt()).sum();
            Ok(Forward { logits: Logits { values, shape: vec![rows, 2] }, loss: Some(loss) })
        }
    }

    fn evaluate(slow: usize) -> Evaluation {
        evaluate_until(slow, &AtomicI32::new(0)).unwrap()
    }

    fn evaluate_until(slow: usize, stop: &AtomicI32) -> Result<Evaluation> {
        let mut features = Features::default();
        let mut examples = Vec::new();
        for i in 0..EXAMPLES {
            let ids = vec![(i % 3 == 0) as i32; 1 + i * 7 % 50];
            let sequence = Sequence { input_ids: &ids, second_segment: ids.len() };
            features.push(i, &[sequence], FeatureTarget::Class(0));
            let input = Input::Text { text: String::new(), text_pair: None };
            examples.push(Example { id: i.to_string(), line: i, input, target: None });
        }
        let dataset = Dataset { path: "dev".into(), split: "dev".into(), examples };
        let settings = EvaluationSettings {
            rows: 4,
            pad_token_id: 0,
            profile: BatchProfile { parallel_batches: 2, batch_tokens: None, shape_cost: 0 },
            prediction: PredictionSettings {
                max_answer_length: 30,
                n_best_size: 20,
                version_2_with_negative: false,
                null_threshold: 0.0,
                label_thresholds: Vec::new(),
            },
            progress: true,
        };
        let data = EncodedDataset { dataset, features };
        predict(Head::Classify, &data, &Uneven { slow }, &settings, stop)
    }

    #[test]
    fn a_signal_ends_an_evaluation_with_the_exit_code_of_that_signal() {
        for (signal, code) in [(2, 130), (15, 143)] {
            let error = evaluate_until(0, &AtomicI32::new(signal)).unwrap_err();
            assert_eq!(error.exit_code(), code);
        }
    }

    #[test]
    fn whichever_batch_ends_first_predictions_are_their_examples_and_losses_add_up_alike() {
        let [one, other] = [0, 1].map(evaluate);
        assert_eq!(one.predictions, other.predictions);
        assert_eq!(one.loss.unwrap().to_bits(), other.loss.unwrap().to_bits());
        for (i, prediction) in one.predictions.iter().enumerate() {
            let Prediction::Class { label, .. } = prediction else { panic!("{prediction:?}") };
            assert_eq!(*label, usize::from(i % 3 == 0), "{i}");
        }
    }
}
