//! Sentences cut into words, a tag for each word.
//!
//! The first piece of a word carries its tag. A sentence that exceeds the maximum length is read in
//! windows of whole words that overlap. Each word is predicted in exactly one of them: the one with
//! the most context around it.

use std::ops::Range;

use rayon::prelude::*;

use super::sequence::{SequenceTemplate, TokenSequence};
use super::{
    Alignment, CHUNK, FeatureSettings, FeatureTarget, Features, NO_TAG, Sequence, Tokenizer,
};
use crate::dataset::{Dataset, Example, Input, Target, TypedText};
use crate::error::{Error, Result};

/// One feature a sentence, several for one that is over-long.
///
/// Neighbouring windows share `doc_stride` pieces, or half a window if that is less.
pub fn words(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<Features> {
    let template = SequenceTemplate::new(tokenizer, settings.max_length)?;
    let room = template.single_room();
    let overlap = settings.doc_stride.min(room / 2);
    let mut features = Features::default();
    for (chunk, examples) in dataset.examples.chunks(CHUNK).enumerate() {
        let split: Vec<_> = examples
            .par_iter()
            .map(|example| {
                Pieces::encode(example, tokenizer, room)
                    .map_err(|error| error.at_line(&dataset.path, example.line))
            })
            .collect();
        for (i, (pieces, example)) in split.into_iter().zip(examples).enumerate() {
            let pieces = pieces?;
            features.truncated += usize::from(pieces.truncated);
            let tags = match &example.target {
                None => None,
                Some(Target::Tags(tags)) if tags.len() == pieces.words() => Some(tags.as_slice()),
                Some(_) => {
                    return Err(Error::new(format!(
                        "expected a tag for each of {} words",
                        pieces.words()
                    ))
                    .at_line(&dataset.path, example.line));
                }
            };
            for window in windows(&pieces.starts, room, overlap) {
                pieces.push(&mut features, chunk * CHUNK + i, &window, tags, &template);
            }
        }
    }
    Ok(features)
}

/// A text as it is written, cut into words by the tokenizer's own rules: BERT's split punctuation off
/// and take each Chinese character by itself.
///
/// # Errors
///
/// The tokenizer's own.
pub fn typed_sentence(typed: TypedText<'_>, tokenizer: &Tokenizer) -> Result<Input> {
    let words = tokenizer.words(typed.line)?;
    Ok(Input::SplitText { text: typed.line.to_owned(), words })
}

/// The word pieces of a sentence.
struct Pieces {
    ids: Vec<i32>,
    /// Where each word begins in `ids`, and their number. Every word has a piece.
    starts: Vec<usize>,
    /// Whether a word lost pieces, since it has more than a window holds.
    truncated: bool,
}

impl Pieces {
    fn encode(example: &Example, tokenizer: &Tokenizer, room: usize) -> Result<Self> {
        let Some(words) = example.input.words() else {
            return Err(Error::new("expected a sentence cut into words"));
        };
        let mut pieces = Self {
            ids: Vec::with_capacity(2 * words.len()),
            starts: Vec::with_capacity(words.len() + 1),
            truncated: false,
        };
        for word in words {
            // Each word alone, as the tokenizer does with text that is cut into words.
            let ids = tokenizer.word_pieces(word)?;
            pieces.starts.push(pieces.ids.len());
            pieces.truncated |= ids.len() > room;
            match ids.as_slice() {
                // Of control characters alone, say. It is a word, so it gets a prediction.
                [] => pieces.ids.push(tokenizer.unknown_id()?),
                ids => pieces.ids.extend_from_slice(&ids[..ids.len().min(room)]),
            }
        }
        pieces.starts.push(pieces.ids.len());
        Ok(pieces)
    }

    fn words(&self) -> usize {
        self.starts.len() - 1
    }

    fn push(
        &self,
        features: &mut Features,
        example: usize,
        window: &Window,
        tags: Option<&[usize]>,
        template: &SequenceTemplate,
    ) {
        let start = self.starts[window.words.start];
        let TokenSequence { input_ids, second_segment, .. } =
            template.single(&self.ids[start..self.starts[window.words.end]]);
        let position = |word: usize| template.single_start() + self.starts[word] - start;
        let first_pieces =
            window.predicted.clone().map(|word| (word as u32, position(word) as u32)).collect();
        let target = tags.map_or(FeatureTarget::None, |tags| {
            let mut target = vec![NO_TAG; input_ids.len()];
            // Words that another window predicts carry no tag here, so that each counts once.
            for word in window.predicted.clone() {
                target[position(word)] = tags[word] as i32;
            }
            FeatureTarget::Tags(target.into())
        });
        let sequence = Sequence { input_ids: &input_ids, second_segment };
        features.push_aligned(example, sequence, target, Alignment::Words { first_pieces });
    }
}

/// A stretch of a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Window {
    /// The words that it holds.
    words: Range<usize>,
    /// The words that it predicts.
    predicted: Range<usize>,
}

/// Windows of whole words, at least one, over a sentence whose word `i` has the pieces
/// `starts[i]..starts[i + 1]`, none more than `room`.
///
/// Each window holds at most `room` pieces, has at least one word that the windows before it lack,
/// and shares with the one before at most `overlap` pieces, less where a long word follows.
fn windows(starts: &[usize], room: usize, overlap: usize) -> Vec<Window> {
    let words = starts.len() - 1;
    let mut held: Vec<Range<usize>> = Vec::new();
    let mut next = 0;
    while next < words {
        // Back from the first new word, while the overlap allows it and that word still fits.
        let mut first = next;
        while first > 0
            && starts[next] - starts[first - 1] <= overlap
            && starts[next + 1] - starts[first - 1] <= room
        {
            first -= 1;
        }
        let mut end = next + 1;
        while end < words && starts[end + 1] - starts[first] <= room {
            end += 1;
        }
        held.push(first..end);
        next = end;
    }

    let mut windows: Vec<Window> =
        held.iter().map(|words| Window { words: words.clone(), predicted: 0..0 }).collect();
    let mut window = 0;
    for word in 0..words {
        // Along a sentence the best window only moves on: of two windows, the later one shows less
        // before the word and more behind it.
        while let Some(later) = held.get(window + 1)
            && later.start <= word
            && (held[window].end <= word
                || context(starts, later, word) > context(starts, &held[window], word))
        {
            window += 1;
        }
        let predicted = &mut windows[window].predicted;
        if predicted.start == predicted.end {
            predicted.start = word;
        }
        predicted.end = word + 1;
    }
    windows.retain(|window| !window.predicted.is_empty());
    if windows.is_empty() {
        // A sentence without words is an example as well.
        windows.push(Window { words: 0..0, predicted: 0..0 });
    }
    windows
}

/// How many pieces of context a window has on that side of a word where it has fewer. A side on which
/// the sentence ends does not count.
fn context(starts: &[usize], window: &Range<usize>, word: usize) -> usize {
    let before = starts[word] - starts[window.start];
    let behind = starts[window.end] - starts[word + 1];
    let before = if window.start == 0 { usize::MAX } else { before };
    let behind = if window.end == starts.len() - 1 { usize::MAX } else { behind };
    before.min(behind)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn starts(lengths: &[usize]) -> Vec<usize> {
        let mut starts = vec![0];
        for length in lengths {
            starts.push(starts[starts.len() - 1] + length);
        }
        starts
    }

    fn window(words: Range<usize>, predicted: Range<usize>) -> Window {
        Window { words, predicted }
    }

    #[test]
    fn a_sentence_that_fits_is_one_window() {
        assert_eq!(windows(&starts(&[1, 2, 3]), 6, 3), [window(0..3, 0..3)]);
        assert_eq!(windows(&starts(&[]), 6, 3), [window(0..0, 0..0)]);
    }

    #[test]
    fn windows_share_words_and_the_one_with_more_context_answers() {
        // 12 words of one piece, windows of 8 that share 4: the words 4 and 5 have more before
        // them in the first, 6 and 7 more behind them in the second.
        let expected = [window(0..8, 0..6), window(4..12, 6..12)];
        assert_eq!(windows(&starts(&[1; 12]), 8, 4), expected);
        assert_eq!(windows(&starts(&[1; 8]), 4, 0), [window(0..4, 0..4), window(4..8, 4..8)]);
    }

    #[test]
    fn the_overlap_shrinks_where_a_long_word_follows() {
        assert_eq!(windows(&starts(&[1, 1, 1, 3]), 4, 2), [window(0..3, 0..3), window(2..4, 3..4)]);
        assert_eq!(
            windows(&starts(&[4, 4, 4]), 4, 2),
            [window(0..1, 0..1), window(1..2, 1..2), window(2..3, 2..3)]
        );
    }

    proptest! {
        #[test]
        fn each_word_is_answered_by_exactly_the_window_with_most_context(
            (lengths, room) in (1usize..12).prop_flat_map(|room| {
                (prop::collection::vec(1..=room, 0..40), Just(room))
            }),
            overlap in 0usize..12,
        ) {
            let (starts, overlap) = (starts(&lengths), overlap.min(room / 2));
            let windows = windows(&starts, room, overlap);
            let mut answered = vec![0; lengths.len()];
            for window in &windows {
                prop_assert!(starts[window.words.end] - starts[window.words.start] <= room);
                prop_assert!(!window.predicted.is_empty() || lengths.is_empty());
                for word in window.predicted.clone() {
                    prop_assert!(window.words.contains(&word));
                    answered[word] += 1;
                    let here = context(&starts, &window.words, word);
                    for other in windows.iter().filter(|other| other.words.contains(&word)) {
                        prop_assert!(context(&starts, &other.words, word) <= here);
                    }
                }
            }
            prop_assert_eq!(answered, vec![1; lengths.len()]);
            for pair in windows.windows(2) {
                prop_assert!(pair[0].words.start < pair[1].words.start);
                let shared = pair[0].words.end.saturating_sub(pair[1].words.start);
                let shared = starts[pair[1].words.start + shared] - starts[pair[1].words.start];
                prop_assert!(shared <= overlap);
            }
        }
    }
}
