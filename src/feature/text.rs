//! Single texts and pairs.

use rayon::prelude::*;

use super::sequence::{SequenceTemplate, TokenSequence};
use super::{CHUNK, FeatureSettings, FeatureTarget, Features, Sequence, Tokenizer};
use crate::dataset::{Dataset, Example, Input, Target};
use crate::error::{Error, Result};

/// One feature an example, over-long ones truncated as `longest_first` does.
pub fn texts(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<Features> {
    let template = SequenceTemplate::new(tokenizer, settings.max_length)?;
    let mut features = Features::default();
    for (chunk, examples) in dataset.examples.chunks(CHUNK).enumerate() {
        let encoded: Vec<_> = examples
            .par_iter()
            .map(|example| encode(dataset, example, tokenizer, &template))
            .collect();
        for (i, encoded) in encoded.into_iter().enumerate() {
            let TokenSequence { input_ids, second_segment, truncated } = encoded?;
            features.truncated += usize::from(truncated);
            let target = match &examples[i].target {
                None => FeatureTarget::None,
                Some(Target::Class(class)) => FeatureTarget::Class(*class as i32),
                Some(Target::Score(score)) => FeatureTarget::Score(*score),
                Some(Target::Labels { labels, of }) => FeatureTarget::Labels {
                    labels: labels.iter().map(|&label| label as u32).collect(),
                    of: *of as u32,
                },
                Some(_) => return Err(misfit(dataset, &examples[i])),
            };
            let sequence = Sequence { input_ids: &input_ids, second_segment };
            features.push(chunk * CHUNK + i, &[sequence], target);
        }
    }
    Ok(features)
}

fn encode(
    dataset: &Dataset,
    example: &Example,
    tokenizer: &Tokenizer,
    template: &SequenceTemplate,
) -> Result<TokenSequence> {
    let Input::Text { text, text_pair } = &example.input else {
        return Err(misfit(dataset, example));
    };
    let pieces =
        |text| tokenizer.pieces(text).map_err(|error| error.at_line(&dataset.path, example.line));
    Ok(match text_pair {
        Some(pair) => template.pair(&pieces(text)?, &pieces(pair)?),
        None => template.single(&pieces(text)?),
    })
}

fn misfit(dataset: &Dataset, example: &Example) -> Error {
    Error::new("expected a text or a pair of texts").at_line(&dataset.path, example.line)
}
