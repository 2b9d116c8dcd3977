//! Prediction of a user's own texts, as JSON lines.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use serde_json::Value;

use crate::dataset::{Dataset, Example, TypedText};
use crate::error::{Error, Result};
use crate::evaluate::{self, Prepared, Trained};
use crate::feature::Tokenizer;
use crate::model::{Contract, Predictor};
use crate::prediction::PredictionSettings;
use crate::stages;

/// What texts are predicted with.
pub struct Request<'a> {
    /// The trained model's contract.
    pub contract: &'a Contract,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The passage that questions are about.
    pub context: Option<&'a str>,
    /// Rows of a batch.
    pub rows: usize,
    /// Holds a signal's number once one came.
    pub stop: &'a AtomicI32,
}

/// Predicts texts; a JSON object for each, in their order.
///
/// A text is what the model's head reads: a text, two texts with a tab between (where the task has
/// pairs), a question (with `context`), words with spaces between, or a context and its endings
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
    let trained = request.contract.trained.as_ref().ok_or_else(|| {
        Error::new("this SavedModel is an export that has not been trained")
            .hint("train it with `tfbert train --task NAME`")
    })?;
    let head = request.contract.head;
    let context = request.context.map(Arc::from);
    let path = path.map_or_else(|| PathBuf::from("argument"), Path::to_owned);
    let is_pair = trained.task.columns.text_pair.is_some();
    let examples = texts
        .iter()
        .enumerate()
        .map(|(i, text)| {
            let typed = TypedText { line: text, is_pair, context: context.as_ref() };
            let input =
                stages::typed_input(head, typed).map_err(|error| error.at_line(&path, i + 1))?;
            Ok(Example { id: i.to_string(), line: i + 1, input, target: None })
        })
        .collect::<Result<Vec<_>>>()?;
    let dataset = Dataset { path, examples, split: "predict".into() };
    let settings = trained.features;
    let features = stages::features(head, &dataset, request.tokenizer, &settings)?;
    if features.truncated > 0 {
        log::warn!("{} texts were cut to {} word pieces", features.truncated, settings.max_length);
    }
    let prepared = Prepared { dataset, features };
    let defaults = &trained.task.defaults;
    let decode = PredictionSettings {
        max_answer_length: defaults.max_answer_length,
        n_best_size: defaults.n_best_size,
        version_2_with_negative: trained.task.version_2_with_negative,
        null_threshold: trained.null_threshold.unwrap_or(0.0),
    };
    let rows = request.rows.min(prepared.features.len());
    let evaluation =
        evaluate::predict(head, &prepared, &Trained(model), rows, &decode, request.stop)?;
    let labels = trained.task.shown_labels(&trained.labels);
    let examples = prepared.dataset.examples.iter().zip(&evaluation.predictions);
    examples
        .map(|(example, prediction)| {
            stages::prediction_object(head, example, prediction, labels)
                .map_err(|error| error.at_line(&prepared.dataset.path, example.line))
        })
        .collect()
}
