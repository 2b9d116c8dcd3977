//! The input of the metrics of hidden words.

use super::{Details, pairs};
use crate::dataset::{Dataset, Labels, Target};
use crate::error::Result;
use crate::metric::{HiddenTokens, MetricInput};
use crate::prediction::Prediction;
use crate::task::Task;

/// What the model said of every hidden token.
///
/// # Errors
///
/// An example without a target, or a prediction of another head.
pub fn hidden(
    _task: &Task,
    dataset: &Dataset,
    _labels: &Labels,
    predictions: &[Prediction],
) -> Result<(MetricInput, Details)> {
    let of_texts = pairs(dataset, predictions, |prediction, target| match (prediction, target) {
        (Prediction::Hidden(tokens), Target::Text) => Some(tokens),
        _ => None,
    })?;
    let mut all = HiddenTokens::default();
    for token in of_texts.into_iter().flatten() {
        all.log_probabilities.push(f64::from(token.log_probability));
        all.right.push(token.is_right());
    }
    let count = all.right.len() as f64;
    let details = Details::from([("hidden_tokens".to_owned(), Some(count))]);
    Ok((MetricInput::Hidden(all), details))
}
