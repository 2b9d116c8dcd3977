//! Questions about passages: `[CLS] question [SEP] window of the passage [SEP]`.
//!
//! A passage is tokenised once for all its questions, and its pieces are then cut to windows; ids,
//! offsets and windows are those of Hugging Face's
//! `tokenizer(question, context, truncation="only_second", stride=…, return_overflowing_tokens=True)`.
//!
//! Memory: the features take 4 bytes a token and some 100 a window, and 8 a piece of each passage
//! once. On the way, the passages of one chunk ([`CHUNK`] questions, or a passage if it has more)
//! are held as ids and offsets, 12 bytes a piece, and one passage a thread as the tokenizer's own
//! encoding. With the texts of SQuAD 1.1's 87,599 training questions the process peaks at 173 MB.

use std::ops::Range;
use std::sync::Arc;

use rayon::prelude::*;

use super::sequence::{SequenceTemplate, TokenSequence};
use super::{Alignment, FeatureSettings, FeatureTarget, Features, Sequence, Tokenizer};
use crate::dataset::{Dataset, Example, Input, Target, byte_offset};
use crate::error::{Error, Result};

/// Questions tokenised between two appends to the features.
const CHUNK: usize = 4096;

/// The windows of all questions. Those of a question follow one another, in the order of the
/// passage; questions come in the order of the dataset.
///
/// Every window of a question with known answers has a target: the first answer's positions, or
/// none (`[CLS]`) if the window does not hold it whole.
pub fn questions(
    dataset: &Dataset,
    tokenizer: &Tokenizer,
    settings: &FeatureSettings,
) -> Result<Features> {
    let template = SequenceTemplate::new(tokenizer, settings.max_length)?;
    let least_room = template.second_room(settings.max_query_length);
    if least_room <= settings.doc_stride {
        return Err(Error::usage(format!(
            "a question of {} word pieces leaves {least_room} of the {} to the passage, but \
             neighbouring windows must share {}",
            settings.max_query_length, settings.max_length, settings.doc_stride
        ))
        .hint(
            "raise `--max-length`, or lower `--doc-stride`, or lower `max_query_length` under \
             `defaults` in a task file",
        ));
    }
    let mut features = Features::default();
    let mut first = 0;
    for chunk in chunks(&dataset.examples) {
        let passages: Vec<&[Example]> = chunk.chunk_by(Example::same_passage).collect();
        let encoded: Vec<_> = passages
            .par_iter()
            .map(|examples| Passage::encode(dataset, examples, tokenizer, settings))
            .collect();
        for passage in encoded {
            first += passage?.append(first, &template, settings, &mut features);
        }
    }
    Ok(features)
}

/// A passage and its questions as word pieces.
struct Passage {
    ids: Vec<i32>,
    offsets: Vec<(u32, u32)>,
    questions: Vec<Question>,
}

struct Question {
    ids: Vec<i32>,
    truncated: bool,
    answer: Gold,
}

/// The first answer in the pieces of the whole passage.
enum Gold {
    Unknown,
    None,
    Pieces { first: usize, last: usize },
}

impl Passage {
    /// Tokenises one passage and all `examples`, whose passage it is.
    fn encode(
        dataset: &Dataset,
        examples: &[Example],
        tokenizer: &Tokenizer,
        settings: &FeatureSettings,
    ) -> Result<Self> {
        let at = |example: &Example| {
            let line = example.line;
            move |error: Error| error.at_line(&dataset.path, line)
        };
        let first = &examples[0];
        let (_, context) = parts(first).map_err(at(first))?;
        let encoding = tokenizer.encode(&**context, false).map_err(at(first))?;
        let offsets = encoding
            .get_offsets()
            .iter()
            .map(|&(start, end)| {
                // A unigram tokenizer (SentencePiece) counts the space before a word to the word.
                let piece = context.get(start..end).unwrap_or_default();
                let start = if piece.is_empty() { start } else { end - piece.trim_start().len() };
                Ok((u32::try_from(start)?, u32::try_from(end)?))
            })
            .collect::<std::result::Result<Vec<_>, std::num::TryFromIntError>>()
            .map_err(|_| at(first)(Error::new("the passage is longer than 4 GiB")))?;
        let ids = encoding.get_ids().iter().map(|&id| id as i32).collect();
        let questions: Vec<Result<Question>> = examples
            .par_iter()
            .with_min_len(16)
            .map(|example| {
                let (text, context) = parts(example).map_err(at(example))?;
                let mut ids = tokenizer.pieces(text).map_err(at(example))?;
                let truncated = ids.len() > settings.max_query_length;
                ids.truncate(settings.max_query_length);
                Ok(Question {
                    ids,
                    truncated,
                    answer: gold(example, context, &offsets).map_err(at(example))?,
                })
            })
            .collect();
        // The first failure in the order of the file, not in that of the threads.
        let questions = questions.into_iter().collect::<Result<_>>()?;
        Ok(Self { ids, offsets, questions })
    }

    /// Cuts the windows of all questions, of which the first is example `first`; returns how many
    /// questions there are.
    fn append(
        &self,
        first: usize,
        template: &SequenceTemplate,
        settings: &FeatureSettings,
        features: &mut Features,
    ) -> usize {
        let shared = features.push_offsets(&self.offsets);
        for (i, question) in self.questions.iter().enumerate() {
            features.truncated += usize::from(question.truncated);
            let context_start = template.second_start(question.ids.len());
            let room = template.second_room(question.ids.len());
            let windows = windows(self.ids.len(), room, settings.doc_stride);
            for (index, window) in windows.iter().enumerate() {
                let TokenSequence { input_ids, second_segment, .. } =
                    template.pair(&question.ids, &self.ids[window.clone()]);
                features.push_aligned(
                    first + i,
                    Sequence { input_ids: &input_ids, second_segment },
                    question.answer.in_window(window, context_start),
                    Alignment::Window {
                        context_start,
                        pieces: shared + window.start..shared + window.end,
                        max_context: max_context(&windows, index),
                    },
                );
            }
        }
        self.questions.len()
    }
}

impl Gold {
    fn in_window(&self, window: &Range<usize>, context_start: usize) -> FeatureTarget {
        match *self {
            Self::Unknown => FeatureTarget::None,
            Self::Pieces { first, last } if window.contains(&first) && window.contains(&last) => {
                let position = |piece: usize| (context_start + piece - window.start) as i32;
                FeatureTarget::Span(position(first), position(last))
            }
            Self::Pieces { .. } | Self::None => FeatureTarget::Span(0, 0),
        }
    }
}

/// The pieces that overlap the example's first answer.
///
/// `run_qa.py` of transformers finds the same ones, but where several pieces share a character (a
/// Korean syllable, taken apart) at an end of the answer it leaves out all but the innermost.
fn gold(example: &Example, context: &str, offsets: &[(u32, u32)]) -> Result<Gold> {
    let answer = match &example.target {
        None => return Ok(Gold::Unknown),
        Some(Target::Answers(answers)) => match answers.first() {
            None => return Ok(Gold::None),
            Some(answer) => answer,
        },
        Some(_) => return Err(Error::new("expected the answers of a question")),
    };
    let start = byte_offset(context, answer.start)
        .filter(|&start| context[start..].starts_with(&answer.text))
        .ok_or_else(|| {
            Error::new(format!("question `{}`: the answer is not in its passage", example.id))
        })?;
    let end = start + answer.text.len();
    let touches = |&(from, to): &(u32, u32)| (to as usize) > start && (from as usize) < end;
    // No piece is touched where the tokenizer drops the answer's characters.
    Ok(match (offsets.iter().position(touches), offsets.iter().rposition(touches)) {
        (Some(first), Some(last)) => Gold::Pieces { first, last },
        _ => Gold::None,
    })
}

/// Windows of at most `room` pieces over `pieces`, of which neighbours share `shared` (fewer than
/// `room`); one even if there is no piece.
fn windows(pieces: usize, room: usize, shared: usize) -> Vec<Range<usize>> {
    let mut windows = Vec::new();
    let mut start = 0;
    loop {
        let end = pieces.min(start + room);
        windows.push(start..end);
        if end == pieces {
            return windows;
        }
        start += room - shared;
    }
}

/// The pieces of a window, counted from its first, that have more context in it than in any other
/// window (equally much: than in any earlier one).
///
/// Google's `_check_is_max_context` (run_squad.py): the context of a piece in a window is the
/// smaller of the numbers of pieces left and right of it, plus 0.01 times the window's length. They
/// are always consecutive: from piece to piece, the later of two windows gains context.
fn max_context(windows: &[Range<usize>], index: usize) -> Range<usize> {
    let context = |window: &Range<usize>, piece: usize| {
        let nearest = (piece - window.start).min(window.end - 1 - piece);
        nearest as f64 + 0.01 * window.len() as f64
    };
    let window = &windows[index];
    let mut best = window.clone().filter(|&piece| {
        let here = context(window, piece);
        let earlier = windows[..index].iter().rev().take_while(|other| other.contains(&piece));
        let later = windows[index + 1..].iter().take_while(|other| other.contains(&piece));
        earlier.map(|other| context(other, piece)).all(|there| there < here)
            && later.map(|other| context(other, piece)).all(|there| there <= here)
    });
    let Some(first) = best.next() else { return 0..0 };
    let last = best.next_back().unwrap_or(first);
    first - window.start..last + 1 - window.start
}

/// Groups of about [`CHUNK`] examples; all questions about a passage are in one group.
fn chunks(examples: &[Example]) -> impl Iterator<Item = &[Example]> {
    let mut rest = examples;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = rest.len().min(CHUNK);
        while end < rest.len() && rest[end - 1].same_passage(&rest[end]) {
            end += 1;
        }
        let (chunk, others) = rest.split_at(end);
        rest = others;
        Some(chunk)
    })
}

/// The question and the passage.
fn parts(example: &Example) -> Result<(&str, &Arc<str>)> {
    match &example.input {
        Input::Question { question, context } => Ok((question, context)),
        _ => Err(Error::new("expected a question about a passage")),
    }
}

#[cfg(test)]
mod tests;
