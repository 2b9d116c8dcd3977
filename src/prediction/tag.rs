//! The most probable tag of every word.

use super::class::argmax;
use super::{FeatureLogits, Prediction, PredictionSettings};
use crate::dataset::{Dataset, Input};
use crate::error::{Error, Result};
use crate::feature::{Alignment, Features};

/// One prediction a sentence, with a tag for each word.
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
    let words = |input: &Input| if let Input::Words(words) = input { words.len() } else { 0 };
    let mut tags: Vec<Vec<Option<usize>>> =
        dataset.examples.iter().map(|example| vec![None; words(&example.input)]).collect();
    for feature in 0..features.len() {
        let Some(Alignment::Words { first_pieces }) = features.alignment(feature) else { continue };
        let logits = logits.get(feature);
        let width = logits.len() / features.length(feature);
        for &(word, position) in first_pieces {
            let start = position as usize * width;
            tags[features.example(feature)][word as usize] =
                Some(argmax(&logits[start..start + width]));
        }
    }
    let complete = |(example, tags): (usize, Vec<Option<usize>>)| {
        let tags: Option<Vec<usize>> = tags.into_iter().collect();
        tags.map(Prediction::Tags).ok_or_else(|| {
            let place = dataset.place(example);
            Error::new("a word of the sentence got no tag from the model")
                .at_line(&place.path, dataset.examples[example].line)
        })
    };
    tags.into_iter().enumerate().map(complete).collect()
}
