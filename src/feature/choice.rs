//! Multiple choice: a sequence for each ending.

use rayon::prelude::*;

use super::sequence::{SequenceTemplate, TokenSequence};
use super::{CHUNK, FeatureSettings, FeatureTarget, Features, Sequence, Tokenizer};
use crate::dataset::{Dataset, Example, Input, Target};
use crate::error::{Error, Result};

/// One feature an example: `[CLS] context [SEP] start ending [SEP]` for each ending, truncated as
/// `longest_first` does, as in Hugging Face's `run_swag`.
pub fn choices(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<Features> {
    let template = SequenceTemplate::new(tokenizer, settings.max_length)?;
    let mut features = Features::default();
    let mut choices = None;
    for (chunk, examples) in dataset.examples.chunks(CHUNK).enumerate() {
        let encoded: Vec<_> = examples
            .par_iter()
            .map(|example| encode(dataset, example, tokenizer, &template))
            .collect();
        for (i, (encoded, example)) in encoded.into_iter().zip(examples).enumerate() {
            let endings = encoded?;
            let expected = *choices.get_or_insert(endings.len());
            if endings.len() != expected {
                return Err(Error::new(format!(
                    "expected {expected} endings as in the first example, found {}",
                    endings.len()
                ))
                .at_line(&dataset.path, example.line));
            }
            features.truncated += usize::from(endings.iter().any(|ending| ending.truncated));
            let target = match example.target {
                None => FeatureTarget::None,
                Some(Target::Class(ending)) if ending < expected => {
                    FeatureTarget::Class(ending as i32)
                }
                Some(_) => {
                    return Err(Error::new(format!(
                        "expected the position of an ending, 0 to {}",
                        expected - 1
                    ))
                    .at_line(&dataset.path, example.line));
                }
            };
            let sequences: Vec<_> = endings
                .iter()
                .map(|TokenSequence { input_ids, second_segment, .. }| Sequence {
                    input_ids,
                    second_segment: *second_segment,
                })
                .collect();
            features.push(chunk * CHUNK + i, &sequences, target);
        }
    }
    Ok(features)
}

fn encode(
    dataset: &Dataset,
    example: &Example,
    tokenizer: &Tokenizer,
    template: &SequenceTemplate,
) -> Result<Vec<TokenSequence>> {
    let here = |error: Error| error.at_line(&dataset.path, example.line);
    let Input::Choices { context, start, endings } = &example.input else {
        return Err(here(Error::new("expected a context with endings to choose from")));
    };
    if endings.len() < 2 || endings.len() > usize::from(u16::MAX) {
        return Err(here(Error::new(format!(
            "expected 2 to 65535 endings, found {}",
            endings.len()
        ))));
    }
    let context = tokenizer.pieces(context).map_err(here)?;
    let join = |ending: &String| {
        let ending = tokenizer.pieces(&format!("{start} {ending}")).map_err(here)?;
        Ok(template.pair(&context, &ending))
    };
    endings.iter().map(join).collect()
}
