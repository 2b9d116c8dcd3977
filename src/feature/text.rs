//! Single texts and pairs.

use rayon::prelude::*;

use super::tokenizer::Truncation;
use super::{FeatureSettings, FeatureTarget, Features, Sequence, Tokenizer};
use crate::dataset::{Dataset, Example, Input, Target};
use crate::error::{Error, Result};

/// Examples tokenised between two appends to the arena; bounds the encodings held at once.
const CHUNK: usize = 4096;

/// One feature an example, over-long ones truncated as `longest_first` does.
pub(super) fn features(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<Features> {
    let tokenizer = tokenizer.truncating(settings.max_length, Truncation::LongestFirst)?;
    let mut features = Features::default();
    for (chunk, examples) in dataset.examples.chunks(CHUNK).enumerate() {
        let encoded: Vec<_> =
            examples.par_iter().map(|example| encode(dataset, example, &tokenizer)).collect();
        for (i, encoded) in encoded.into_iter().enumerate() {
            let (ids, second_segment, truncated) = encoded?;
            features.truncated += usize::from(truncated);
            let target = match examples[i].target {
                None => FeatureTarget::None,
                Some(Target::Class(class)) => FeatureTarget::Class(class as i32),
                Some(Target::Score(score)) => FeatureTarget::Score(score),
                Some(_) => return Err(misfit(dataset, &examples[i])),
            };
            let sequence = Sequence { input_ids: &ids, second_segment };
            features.push(chunk * CHUNK + i, &[sequence], target);
        }
    }
    Ok(features)
}

fn encode(
    dataset: &Dataset,
    example: &Example,
    tokenizer: &Tokenizer,
) -> Result<(Vec<i32>, usize, bool)> {
    let Input::Text { text, text_pair } = &example.input else {
        return Err(misfit(dataset, example));
    };
    let encoding = match text_pair {
        Some(pair) => tokenizer.encode_ids((text.as_str(), pair.as_str())),
        None => tokenizer.encode_ids(text.as_str()),
    }
    .map_err(|error| error.at_line(&dataset.path, example.line))?;
    let ids: Vec<i32> = encoding.get_ids().iter().map(|&id| id as i32).collect();
    let second = encoding.get_type_ids().iter().position(|&kind| kind == 1).unwrap_or(ids.len());
    Ok((ids, second, !encoding.get_overflowing().is_empty()))
}

fn misfit(dataset: &Dataset, example: &Example) -> Error {
    Error::new("expected a text or a pair of texts").at_line(&dataset.path, example.line)
}
