//! A number as the model says it.

use super::{FeatureLogits, Prediction};
use crate::feature::Features;

/// One prediction a feature; each example has one feature.
pub(super) fn predictions(features: &Features, logits: &FeatureLogits) -> Vec<Prediction> {
    (0..features.len()).map(|feature| Prediction::Score(logits.get(feature)[0])).collect()
}
