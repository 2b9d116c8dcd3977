//! The most probable label or ending.

use super::{FeatureLogits, Prediction, PredictionSettings};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::feature::Features;

/// One prediction a feature; each example has one feature.
///
/// # Errors
///
/// Never.
pub fn classes(
    _dataset: &Dataset,
    features: &Features,
    logits: &FeatureLogits,
    _settings: &PredictionSettings,
) -> Result<Vec<Prediction>> {
    let predictions = (0..features.len())
        .map(|feature| {
            let probabilities = softmax(logits.get(feature));
            Prediction::Class { label: argmax(&probabilities), probabilities }
        })
        .collect();
    Ok(predictions)
}

/// Probabilities from logits, computed from the largest down so that nothing overflows.
pub(super) fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f64> = logits.iter().map(|&logit| f64::from(logit - max).exp()).collect();
    let sum: f64 = exps.iter().sum();
    exps.iter().map(|exp| (exp / sum) as f32).collect()
}

/// The index of the largest value, the first among equals.
pub(super) fn argmax(values: &[f32]) -> usize {
    let mut best = 0;
    for (i, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = i;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_one_even_for_huge_logits() {
        let probabilities = softmax(&[1000.0, 1000.0, -1000.0]);
        assert_eq!(probabilities, [0.5, 0.5, 0.0]);
    }

    #[test]
    fn the_first_of_equal_labels_wins() {
        assert_eq!(argmax(&[0.25, 0.5, 0.5]), 1);
    }
}
