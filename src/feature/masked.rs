//! Plain texts whose words are hidden when batches are laid out.
//!
//! A text that exceeds the maximum length is read in pieces of whole words, one after the other.

use rayon::prelude::*;

use super::sequence::{SequenceTemplate, TokenSequence};
use super::{CHUNK, FeatureSettings, FeatureTarget, Features, NO_TAG, Sequence, Tokenizer};
use crate::dataset::{Dataset, Example, Input, TypedText};
use crate::error::{Error, Result};

/// One feature a text, several for one that is over-long.
pub fn masked_texts(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<Features> {
    let template = SequenceTemplate::new(tokenizer, settings.max_length)?;
    let mask_token_id = tokenizer.mask_token_id()?;
    let vocab_size = tokenizer.vocab_size() as u32;
    let mut features = Features::default();
    for (chunk, examples) in dataset.examples.chunks(CHUNK).enumerate() {
        let encoded: Vec<_> = examples
            .par_iter()
            .map(|example| {
                pieces(example, tokenizer)
                    .map_err(|error| error.at_line(&dataset.path, example.line))
            })
            .collect();
        for (i, encoded) in encoded.into_iter().enumerate() {
            let (ids, words) = encoded?;
            if examples[i].target.is_some() && ids.contains(&mask_token_id) {
                return Err(Error::new("the text has the mask token, which is for what is hidden")
                    .at_line(&dataset.path, examples[i].line)
                    .hint("leave the line out, or write the token in another way"));
            }
            for part in parts(&words, template.single_room()) {
                let TokenSequence { input_ids, second_segment, .. } =
                    template.single(&ids[part.clone()]);
                let start = template.single_start();
                let mut of_positions = vec![NO_TAG; input_ids.len()];
                of_positions[start..start + part.len()].copy_from_slice(&words[part]);
                let target =
                    FeatureTarget::Words { words: of_positions.into(), mask_token_id, vocab_size };
                let sequence = Sequence { input_ids: &input_ids, second_segment };
                features.push(chunk * CHUNK + i, &[sequence], target);
            }
        }
    }
    Ok(features)
}

/// A text with mask tokens where words are asked for.
///
/// # Errors
///
/// It has none.
pub fn typed_masked(typed: TypedText<'_>, tokenizer: &Tokenizer) -> Result<Input> {
    let mask = tokenizer.mask_token_id()?;
    if !tokenizer.pieces(typed.line)?.contains(&mask) {
        let token = tokenizer.vocabulary().swap_remove(mask as usize);
        return Err(Error::usage("the text has no hidden word")
            .hint(format!("write `{token}` where a word is to be found")));
    }
    Ok(Input::Text { text: typed.line.to_owned(), text_pair: None })
}

/// The ids of a text and the number of each one's word.
fn pieces(example: &Example, tokenizer: &Tokenizer) -> Result<(Vec<i32>, Vec<i32>)> {
    let Input::Text { text, text_pair: None } = &example.input else {
        return Err(Error::new("expected a single text"));
    };
    let encoding = tokenizer.encode(text.as_str(), false)?;
    let ids: Vec<i32> = encoding.get_ids().iter().map(|&id| id as i32).collect();
    let mut words = Vec::with_capacity(ids.len());
    let (mut last, mut number) = (None, -1);
    for &word in encoding.get_word_ids() {
        // A token that the user typed, such as `[MASK]`, is of no word: it is one by itself.
        if word.is_none() || word != last {
            number += 1;
        }
        last = word;
        words.push(number);
    }
    Ok((ids, words))
}

/// Cuts a text into parts of at most `room` tokens, between words where it can be.
fn parts(words: &[i32], room: usize) -> Vec<std::ops::Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    while words.len() - start > room {
        let full = start + room;
        let begins = |&at: &usize| words[at] != words[at - 1];
        let end = (start + 1..=full).rev().find(begins).unwrap_or(full);
        found.push(start..end);
        start = end;
    }
    found.push(start..words.len());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_text_is_cut_between_words_and_a_long_word_inside() {
        assert_eq!(parts(&[0, 1, 1, 2, 2, 3], 4), [0..3, 3..6]);
        assert_eq!(parts(&[0, 0, 0, 0, 0], 2), [0..2, 2..4, 4..5]);
        for words in [&[0, 1][..], &[]] {
            assert!(parts(words, 2).iter().eq(&[0..words.len(); 1]), "{words:?}");
        }
    }

    #[test]
    fn every_position_knows_its_word_and_special_tokens_have_none() {
        let json = include_bytes!("../../tests/golden/question_tokenizer.json");
        let tokenizer = Tokenizer::from_bytes(json).unwrap();
        let text = "The unbelievable cat";
        let input = Input::Text { text: text.into(), text_pair: None };
        let example = Example { id: "0".into(), line: 1, input, target: None };
        let dataset =
            Dataset { path: "a.txt".into(), examples: vec![example], split: "dev".into() };
        let settings = FeatureSettings { max_length: 64, doc_stride: 0, max_query_length: 0 };
        let features = masked_texts(&dataset, &tokenizer, &settings).unwrap();
        let FeatureTarget::Words { words, .. } = features.target(0) else { panic!() };
        let ids = features.sequence(0, 0).input_ids;
        assert_eq!((words.len(), words[0], words[ids.len() - 1]), (ids.len(), NO_TAG, NO_TAG));
        assert_eq!(words.iter().max(), Some(&2));
    }
}
