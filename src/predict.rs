//! Prediction of a user's own texts: a few at once, or a file as a stream.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicI32;

use serde_json::{Map, Value};

use crate::dataset::{Dataset, Example, Input, TypedText};
use crate::error::Result;
use crate::evaluate::{self, EncodedDataset, EvaluationSettings};
use crate::feature::Tokenizer;
use crate::model::{BatchProfile, Predictor};
use crate::prediction::{Prediction, merge_answers};
use crate::report::{self, Shown};
use crate::saved_model::TrainedModel;
use crate::stages;
use crate::task::Head;

mod output;
mod stream;

pub use output::{OutputMode, RowFile};
pub use stream::{Window, stream};

/// A passage that questions are about.
#[derive(Debug, Clone)]
pub struct Passage {
    /// The file it comes from.
    pub file: PathBuf,
    /// Its text.
    pub text: Arc<str>,
}

/// What texts are predicted with.
pub struct Request<'a> {
    /// The description of the trained model.
    pub trained: &'a TrainedModel,
    /// Its tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The passages that questions are about; none where each question brings its own.
    pub passages: &'a [Passage],
    /// Which part of a prediction is shown.
    pub shown: Shown,
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
/// pairs), a question (with passages), a sentence to find entities in, or a context and its endings
/// with tabs between.
///
/// # Errors
///
/// A text does not fit the head (the error names its number among several), or the model fails.
pub fn predict(
    request: &Request<'_>,
    texts: &[String],
    model: &dyn Predictor,
) -> Result<Vec<Value>> {
    let TrainedModel { model: description, training, .. } = request.trained;
    let is_pair = training.task.columns.text_pair.is_some();
    let context = request.passages.first().map(|passage| &passage.text);
    let mut examples = Vec::new();
    for (i, text) in texts.iter().enumerate() {
        let typed = TypedText { line: text, is_pair, context };
        let input =
            stages::typed_input(description.head, typed, request.tokenizer).map_err(|error| {
                match texts.len() {
                    1 => error,
                    _ => error.context(format!("text {}", i + 1)),
                }
            })?;
        let example = Example { id: i.to_string(), line: i + 1, input, target: None };
        examples.extend(request.about_each_passage(example));
    }
    let dataset = Dataset { path: PathBuf::from("text"), examples, split: "predict".into() };
    let data = request.encode(dataset)?;
    let cut = data.features.truncated;
    request.warn_of_cut(cut, texts.len());
    let objects = request.objects(&data, model)?;
    Ok(objects.into_iter().map(Value::Object).collect())
}

impl Request<'_> {
    /// The examples that a row becomes: a question has one for each passage.
    fn about_each_passage(&self, example: Example) -> Vec<Example> {
        let Input::Question { question, .. } = &example.input else { return vec![example] };
        if self.passages.is_empty() {
            return vec![example];
        }
        let about = |passage: &Passage| {
            let (question, context) = (question.clone(), Arc::clone(&passage.text));
            Example { input: Input::Question { question, context }, ..example.clone() }
        };
        self.passages.iter().map(about).collect()
    }

    /// Examples of a row.
    fn examples_of_a_row(&self) -> usize {
        self.passages.len().max(1)
    }

    fn encode(&self, dataset: Dataset) -> Result<EncodedDataset> {
        let TrainedModel { model, training, .. } = self.trained;
        let features = stages::features(model.head, &dataset, self.tokenizer, &training.features)?;
        Ok(EncodedDataset { dataset, features })
    }

    fn warn_of_cut(&self, cut: usize, of: usize) {
        let TrainedModel { model, training, .. } = self.trained;
        if let Some(message) = stages::cut_message(model.head, cut, of, &training.features) {
            log::warn!("{message}");
        }
    }

    /// An object for each row of the data.
    fn objects(
        &self,
        data: &EncodedDataset,
        model: &dyn Predictor,
    ) -> Result<Vec<Map<String, Value>>> {
        let TrainedModel { model: description, training, .. } = self.trained;
        let mut prediction = training.prediction(&training.task);
        if let Some(threshold) = self.shown.null_threshold {
            prediction.null_threshold = threshold;
        }
        if let (Some(threshold), true) =
            (self.shown.threshold, description.head == Head::Multilabel)
        {
            prediction.label_thresholds = vec![f64::from(threshold)];
        }
        let null_threshold = prediction.null_threshold;
        let settings = EvaluationSettings {
            rows: self.rows,
            pad_token_id: description.encoder.pad_token_id,
            profile: self.profile,
            prediction,
            // The file as a whole has one.
            progress: false,
        };
        let found = evaluate::predict(description.head, data, model, &settings, self.stop)?;
        // Hidden words are entries of the vocabulary.
        let entries = match description.head.predicts_hidden_words() {
            true => self.entries_of(&found.predictions)?,
            false => Vec::new(),
        };
        let labels = match entries.as_slice() {
            [] => training.task.shown_labels(&training.labels),
            entries => entries,
        };
        let of_a_row = self.examples_of_a_row();
        let rows = data.dataset.examples.chunks(of_a_row).zip(found.predictions.chunks(of_a_row));
        rows.map(|(examples, predictions)| {
            self.object(examples, predictions, labels, null_threshold)
                .map_err(|error| error.at_line(&data.dataset.path, examples[0].line))
        })
        .collect()
    }

    /// The text of each entry of the vocabulary that is predicted, by its id; others are empty.
    fn entries_of(&self, predictions: &[Prediction]) -> Result<Vec<String>> {
        let mut entries = vec![String::new(); self.trained.model.encoder.vocab_size];
        for prediction in predictions {
            let Prediction::Hidden(tokens) = prediction else { continue };
            for &(id, _) in tokens.iter().flat_map(|token| &token.likeliest) {
                match entries.get_mut(id as usize) {
                    Some(entry) if entry.is_empty() => *entry = self.tokenizer.entry_text(id)?,
                    _ => {}
                }
            }
        }
        Ok(entries)
    }

    /// The object of one row.
    fn object(
        &self,
        examples: &[Example],
        predictions: &[Prediction],
        labels: &[String],
        null_threshold: f64,
    ) -> Result<Map<String, Value>> {
        let head = self.trained.model.head;
        if let Input::Question { question, .. } = &examples[0].input {
            let spans = predictions.iter().filter_map(|prediction| match prediction {
                Prediction::Span(span) => Some(span),
                _ => None,
            });
            let answers = merge_answers(&spans.collect::<Vec<_>>());
            let files: Vec<String> =
                self.passages.iter().map(|passage| passage.file.display().to_string()).collect();
            return Ok(report::answers_object(
                question,
                &answers,
                &files,
                null_threshold,
                &self.shown,
            ));
        }
        let object = stages::prediction_object(head, &examples[0], &predictions[0], labels)?;
        let Value::Object(mut object) = object else { return Ok(Map::new()) };
        if let (Some(scheme), Some(Value::Array(tags))) =
            (self.trained.training.scheme, object.get_mut("tags"))
        {
            // In the scheme of the training data, as users know the tags.
            let names: Vec<&str> = tags.iter().filter_map(Value::as_str).collect();
            *tags = scheme.write(&names).into_iter().map(Value::from).collect();
        }
        self.shown.apply(&mut object, &predictions[0], labels);
        Ok(object)
    }
}
