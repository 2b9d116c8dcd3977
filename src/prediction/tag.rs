//! The most probable tag of every word.

use super::class::{argmax, softmax};
use super::{FeatureLogits, Prediction, PredictionSettings};
use crate::dataset::{Dataset, Example};
use crate::error::{Error, Result};
use crate::feature::{Alignment, Features};

/// One prediction a sentence, with a tag and its probability for each word.
///
/// # Errors
///
/// A word that no feature answers for.
pub fn tags(
    dataset: &Dataset,
    features: &Features,
    logits: &FeatureLogits,
    _settings: &PredictionSettings,
) -> Result<Vec<Prediction>> {
    let words = |example: &Example| example.input.words().map_or(0, |words| words.len());
    let mut found: Vec<Vec<Option<(usize, f32)>>> =
        dataset.examples.iter().map(|example| vec![None; words(example)]).collect();
    for feature in 0..features.len() {
        let Some(Alignment::Words { first_pieces }) = features.alignment(feature) else { continue };
        let logits = logits.get(feature);
        let width = logits.len() / features.length(feature);
        for &(word, position) in first_pieces {
            let start = position as usize * width;
            let probabilities = softmax(&logits[start..start + width]);
            let tag = argmax(&probabilities);
            found[features.example(feature)][word as usize] = Some((tag, probabilities[tag]));
        }
    }
    let complete = |(example, words): (usize, Vec<Option<(usize, f32)>>)| {
        let words: Option<(Vec<usize>, Vec<f32>)> = words.into_iter().collect();
        words.map(|(tags, probabilities)| Prediction::Tags { tags, probabilities }).ok_or_else(
            || {
                let place = dataset.place(example);
                Error::new("a word of the sentence got no tag from the model")
                    .at_line(&place.path, dataset.examples[example].line)
            },
        )
    };
    found.into_iter().enumerate().map(complete).collect()
}
