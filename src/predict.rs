//! Prediction of a user's own texts, as JSON lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use serde_json::Value;

use crate::dataset::{Dataset, Example, TypedText};
use crate::error::Result;
use crate::evaluate::{self, EncodedDataset, EvaluationSettings};
use crate::feature::Tokenizer;
use crate::model::{BatchProfile, Predictor};
use crate::saved_model::TrainedModel;
use crate::stages;

/// What texts are predicted with.
pub struct Request<'a> {
    /// The description of the trained model.
    pub trained: &'a TrainedModel,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The passage that questions are about.
    pub context: Option<&'a str>,
    /// The most rows of a batch.
    pub rows: usize,
    /// How the device computes batches best.
    pub profile: BatchProfile,
    /// Holds a signal's number once one came.
    pub stop: &'a AtomicI32,
}

/// Predicts texts; a JSON object for each, in their order.
///
/// A text is what the model's head reads: a text, two texts with a tab between (where the task has
/// pairs), a question (with `context`), a sentence to find entities in, or a context and its endings
/// with tabs between.
///
/// # Errors
///
/// A text does not fit the head (the error names its line), or the model fails.
pub fn predict(
    request: &Request<'_>,
    texts: &[String],
    path: Option<&Path>,
    model: &dyn Predictor,
) -> Result<Vec<Value>> {
    let TrainedModel { model: description, training } = request.trained;
    let head = description.head;
    let context = request.context.map(Arc::from);
    let path = path.map_or_else(|| PathBuf::from("argument"), Path::to_owned);
    let is_pair = training.task.columns.text_pair.is_some();
    let examples = texts
        .iter()
        .enumerate()
        .map(|(i, text)| {
            let typed = TypedText { line: text, is_pair, context: context.as_ref() };
            let input = stages::typed_input(head, typed, request.tokenizer)
                .map_err(|error| error.at_line(&path, i + 1))?;
            Ok(Example { id: i.to_string(), line: i + 1, input, target: None })
        })
        .collect::<Result<Vec<_>>>()?;
    let dataset = Dataset { path, examples, split: "predict".into() };
    let settings = training.features;
    let features = stages::features(head, &dataset, request.tokenizer, &settings)?;
    let texts = dataset.examples.len();
    if let Some(message) = stages::cut_message(head, features.truncated, texts, &settings) {
        log::warn!("{message}");
    }
    let data = EncodedDataset { dataset, features };
    let settings = EvaluationSettings {
        rows: request.rows.min(data.features.len()),
        pad_token_id: description.encoder.pad_token_id,
        profile: request.profile,
        prediction: training.prediction(&training.task),
    };
    let evaluation = evaluate::predict(head, &data, model, &settings, request.stop)?;
    let labels = training.task.shown_labels(&training.labels);
    let examples = data.dataset.examples.iter().zip(&evaluation.predictions);
    examples
        .map(|(example, prediction)| {
            stages::prediction_object(head, example, prediction, labels)
                .map_err(|error| error.at_line(&data.dataset.path, example.line))
        })
        .collect()
}
