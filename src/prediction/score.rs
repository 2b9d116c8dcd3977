//! A number: the logit itself.

use super::{FeatureLogits, Prediction, PredictionSettings};
use crate::dataset::Dataset;
use crate::error::Result;
use crate::feature::Features;

/// One prediction a feature; each example has one feature.
///
/// # Errors
///
/// Never.
pub fn scores(
    _dataset: &Dataset,
    features: &Features,
    logits: &FeatureLogits,
    _settings: &PredictionSettings,
) -> Result<Vec<Prediction>> {
    Ok((0..features.len()).map(|feature| Prediction::Score(logits.get(feature)[0])).collect())
}
