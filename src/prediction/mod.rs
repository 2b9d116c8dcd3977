//! Logits to predictions, one for each example.

mod class;
mod hidden;
mod labels;
mod merge;
mod score;
mod span;
mod tag;
#[cfg(test)]
pub mod tagged;

pub use class::classes;
pub use hidden::{HIDDEN_WIDTH, HiddenToken, hidden_tokens};
pub use labels::label_sets;
pub use merge::{MergedAnswers, merge_answers};
pub use score::scores;
pub use span::{Candidate, SpanPrediction, spans};
pub use tag::tags;

/// What a model says of an example.
#[derive(Debug, Clone, PartialEq)]
pub enum Prediction {
    /// A label, or an ending.
    Class {
        /// The index of the most probable.
        label: usize,
        /// The probability of each.
        probabilities: Vec<f32>,
    },
    /// Any number of labels.
    Labels {
        /// The indices of those that are predicted.
        labels: Vec<usize>,
        /// The probability of each.
        probabilities: Vec<f32>,
    },
    /// A number.
    Score(f32),
    /// A stretch of the passage, or none.
    Span(SpanPrediction),
    /// A label for each word.
    Tags {
        /// The index of each word's most probable label.
        tags: Vec<usize>,
        /// Its probability.
        probabilities: Vec<f32>,
    },
    /// What was said of each hidden token.
    Hidden(Vec<HiddenToken>),
}

/// How logits become predictions.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct PredictionSettings {
    /// Longest answer in word pieces.
    pub max_answer_length: usize,
    /// Spans kept of each question.
    pub n_best_size: usize,
    /// Whether a question may have no answer.
    pub version_2_with_negative: bool,
    /// A question's answer is empty where its null odds exceed this (SQuAD 2.0).
    pub null_threshold: f64,
    /// The probability from which on each label is predicted; see
    /// [`Prediction::apply_label_thresholds`].
    pub label_thresholds: Vec<f64>,
}

/// The logits of every feature, without padding: row-major `[positions, width]` for heads that
/// look at every position, else `[width]`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FeatureLogits {
    values: Vec<f32>,
    starts: Vec<(usize, usize)>,
}

impl FeatureLogits {
    /// Room for the logits of `features` features, which come in any order.
    pub fn new(features: usize) -> Self {
        Self { values: Vec::new(), starts: vec![(0, 0); features] }
    }

    /// Keeps the logits of a feature.
    pub fn set(&mut self, feature: usize, values: &[f32]) {
        self.starts[feature] = (self.values.len(), values.len());
        self.values.extend_from_slice(values);
    }

    /// The logits of a feature; empty before they are set.
    pub fn get(&self, feature: usize) -> &[f32] {
        let (start, length) = self.starts[feature];
        &self.values[start..start + length]
    }
}
