//! What a model says of hidden tokens.

use super::{FeatureLogits, Prediction, PredictionSettings};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::feature::Features;

/// The likeliest entries that the model lists for a position (`TOP` in `python_export/masked.py`).
const TOP: usize = 5;

/// The numbers that the model gives for a position: the log probability of the label, and for each of
/// the likeliest entries its id and its log probability.
pub const HIDDEN_WIDTH: usize = 1 + 2 * TOP;

/// What a model says of a hidden token.
#[derive(Debug, Clone, PartialEq)]
pub struct HiddenToken {
    /// The log probability of what stood there.
    pub log_probability: f32,
    /// The likeliest ids, each with its log probability.
    pub likeliest: Vec<(u32, f32)>,
}

impl HiddenToken {
    fn read(numbers: &[f32]) -> Option<Self> {
        let (label, pairs) = numbers.split_first()?;
        // A position that is padding has an id below 0.
        if pairs.first().is_none_or(|&id| id < 0.0) {
            return None;
        }
        let likeliest = pairs.chunks_exact(2).map(|pair| (pair[0] as u32, pair[1])).collect();
        Some(Self { log_probability: *label, likeliest })
    }

    /// Whether what stood there is the likeliest.
    pub fn is_right(&self) -> bool {
        self.likeliest.first().is_some_and(|&(_, most)| self.log_probability >= most)
    }
}

/// The hidden tokens of each text, in their order.
///
/// # Errors
///
/// The model gave numbers of another form.
pub fn hidden_tokens(
    dataset: &Dataset,
    features: &Features,
    logits: &FeatureLogits,
    _settings: &PredictionSettings,
) -> Result<Vec<Prediction>> {
    let mut found: Vec<Vec<HiddenToken>> = vec![Vec::new(); dataset.examples.len()];
    for feature in 0..features.len() {
        let numbers = logits.get(feature);
        let example = features.example(feature);
        if numbers.is_empty()
            || !numbers.len().is_multiple_of(HIDDEN_WIDTH)
            || example >= found.len()
        {
            return Err(Error::new(format!(
                "the model gave {} numbers for a text; expected {HIDDEN_WIDTH} for each position",
                numbers.len()
            )));
        }
        found[example].extend(numbers.chunks_exact(HIDDEN_WIDTH).filter_map(HiddenToken::read));
    }
    Ok(found.into_iter().map(Prediction::Hidden).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_is_no_token_and_a_token_is_right_where_nothing_is_likelier() {
        let padding = [-1.0; HIDDEN_WIDTH];
        assert_eq!(HiddenToken::read(&padding), None);
        let numbers = [-0.5, 7.0, -0.5, 9.0, -1.5, 3.0, -2.0, 4.0, -3.0, 5.0, -4.0];
        let token = HiddenToken::read(&numbers).unwrap();
        assert_eq!(token.likeliest[..2], [(7, -0.5), (9, -1.5)]);
        assert!(token.is_right());
        assert!(!HiddenToken { log_probability: -0.6, ..token }.is_right());
    }
}
