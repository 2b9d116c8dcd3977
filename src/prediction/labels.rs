//! Any number of labels for each example.

use super::{FeatureLogits, Prediction, PredictionSettings};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::feature::Features;

/// One prediction a feature; each example has one feature.
///
/// # Errors
///
/// Never.
pub fn label_sets(
    _dataset: &Dataset,
    features: &Features,
    logits: &FeatureLogits,
    settings: &PredictionSettings,
) -> Result<Vec<Prediction>> {
    let predictions = (0..features.len()).map(|feature| {
        let probabilities = logits.get(feature).iter().map(|&logit| sigmoid(logit)).collect();
        let mut prediction = Prediction::Labels { labels: Vec::new(), probabilities };
        prediction.apply_label_thresholds(&settings.label_thresholds);
        prediction
    });
    Ok(predictions.collect())
}

fn sigmoid(logit: f32) -> f32 {
    (1.0 / (1.0 + f64::from(-logit).exp())) as f32
}

impl Prediction {
    /// Chooses the labels of a [`Prediction::Labels`] anew: those whose probability is not below their
    /// threshold. One threshold is that of all labels, and none stands for
    /// [`DEFAULT_THRESHOLD`](crate::metric::DEFAULT_THRESHOLD). Other predictions stay as they are.
    pub fn apply_label_thresholds(&mut self, thresholds: &[f64]) {
        let Self::Labels { labels, probabilities } = self else { return };
        let threshold = |label: usize| match thresholds {
            [] => crate::metric::DEFAULT_THRESHOLD,
            [one] => *one,
            each => each.get(label).copied().unwrap_or(crate::metric::DEFAULT_THRESHOLD),
        };
        let reached =
            |(label, probability): &(usize, &f32)| f64::from(**probability) >= threshold(*label);
        *labels =
            probabilities.iter().enumerate().filter(reached).map(|(label, _)| label).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_come_from_each_logit_alone_even_where_it_is_huge() {
        assert_eq!([0.0, 1000.0, -1000.0].map(sigmoid), [0.5, 1.0, 0.0]);
    }

    #[test]
    fn a_label_is_predicted_from_its_threshold_on() {
        let chosen = |thresholds: &[f64]| {
            let probabilities = vec![0.25, 0.5, 0.75, f32::NAN];
            let mut prediction = Prediction::Labels { labels: vec![0], probabilities };
            prediction.apply_label_thresholds(thresholds);
            let Prediction::Labels { labels, .. } = prediction else { unreachable!() };
            labels
        };
        assert_eq!(chosen(&[]), [1, 2]);
        assert_eq!(chosen(&[0.25]), [0, 1, 2]);
        assert_eq!(chosen(&[0.25, 0.6, 0.8, 0.0]), [0]);
    }
}
