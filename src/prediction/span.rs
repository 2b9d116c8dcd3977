//! The answer to a question, chosen among the spans of all windows of its passage.
//!
//! The rules are those of Google's `run_squad.py`: start and end lie in the passage, the end not
//! before the start and not more than `max_answer_length` pieces on; of the windows that hold the
//! start, only the one with the most context around it may begin there (`token_is_max_context`);
//! spans are ranked by the sum of their two logits; a text counts once, with its best span; null
//! is scored by the smallest sum of `[CLS]`'s logits over the windows. Unlike there, the n best are
//! exact: not only starts and ends that are among the n best by themselves are paired.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, HashSet};
use std::ops::Range;

use rayon::prelude::*;

use super::{FeatureLogits, Prediction, PredictionSettings};
use crate::dataset::{Dataset, Example, Input};
use crate::error::{Error, Result};
use crate::feature::{Alignment, Features};

/// A question's answer.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SpanPrediction {
    /// The answer, cut from the passage; empty for none.
    pub text: String,
    /// The best spans, most probable first; with them "no answer" (an empty text) where questions
    /// may have none, or where the passage has no pieces.
    pub n_best: Vec<Candidate>,
    /// How much "no answer" scores above the best span (SQuAD 2.0). A passage without pieces has
    /// no span; its score then counts as 0.
    pub null_odds: Option<f64>,
}

/// One of the best spans.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Candidate {
    /// Cut from the passage; empty for no answer.
    pub text: String,
    /// Where it stands in the passage, in Unicode characters; `None` for no answer.
    pub start: Option<usize>,
    /// The window of the passage in which it was found, counted from 0; `None` for no answer.
    pub window: Option<usize>,
    /// Soft-max of the scores (sums of the logits) of the question's candidates.
    pub probability: f32,
    /// Logit of the start.
    pub start_logit: f32,
    /// Logit of the end.
    pub end_logit: f32,
}

impl SpanPrediction {
    /// The best span, whatever the null odds; `None` where the passage has no pieces.
    pub fn best_span(&self) -> Option<&Candidate> {
        self.n_best.iter().find(|candidate| candidate.start.is_some())
    }

    /// Chooses the answer anew: none where the null odds exceed `null_threshold`.
    pub fn apply_null_threshold(&mut self, null_threshold: f64) {
        let is_null = self.null_odds.is_some_and(|odds| odds > null_threshold);
        let best = if is_null { None } else { self.best_span() };
        self.text = best.map(|best| best.text.clone()).unwrap_or_default();
    }
}

/// One answer for each question, in the order of the questions.
///
/// # Errors
///
/// A logit that is not finite; features or logits of another dataset.
pub fn spans(
    dataset: &Dataset,
    features: &Features,
    logits: &FeatureLogits,
    settings: &PredictionSettings,
) -> Result<Vec<Prediction>> {
    // Windows of a question follow one another.
    let mut windows_of = vec![0..0; dataset.examples.len()];
    for feature in 0..features.len() {
        let windows = windows_of
            .get_mut(features.example(feature))
            .ok_or_else(|| Error::new("the features are not of this dataset"))?;
        let first = if windows.end == 0 { feature } else { windows.start };
        *windows = first..feature + 1;
    }
    let answers: Vec<_> = dataset
        .examples
        .par_iter()
        .zip(windows_of)
        .map(|(example, windows)| {
            answer(example, windows, features, logits, settings)
                .map(Prediction::Span)
                .map_err(|error| error.at_line(&dataset.path, example.line))
        })
        .collect();
    answers.into_iter().collect()
}

/// A window's pieces of the passage and their logits.
struct Window<'a> {
    /// Where each piece stands in the passage, in bytes.
    offsets: &'a [(u32, u32)],
    /// Pieces at which an answer may start.
    starts: Range<usize>,
    /// Start and end logit of `[CLS]`.
    null: (f32, f32),
    /// Start and end logits of the pieces, one after the other.
    logits: &'a [f32],
}

impl<'a> Window<'a> {
    fn new(features: &'a Features, logits: &'a FeatureLogits, feature: usize) -> Option<Self> {
        let Some(Alignment::Window { context_start, pieces, max_context }) =
            features.alignment(feature)
        else {
            return None;
        };
        let offsets = features.offsets(pieces.clone());
        let logits = logits.get(feature);
        Some(Self {
            offsets,
            starts: max_context.clone(),
            null: (*logits.first()?, *logits.get(1)?),
            logits: logits.get(2 * context_start..2 * (context_start + offsets.len()))?,
        })
    }

    fn start_logit(&self, piece: usize) -> f32 {
        self.logits[2 * piece]
    }

    fn end_logit(&self, piece: usize) -> f32 {
        self.logits[2 * piece + 1]
    }
}

/// The best span from one start to any of a range of ends, with what orders spans: the score, and
/// among equal ones the place in the passage.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Span {
    score: Score,
    /// Bytes of the passage.
    place: Reverse<(u32, u32)>,
    window: Reverse<usize>,
    start: Reverse<usize>,
    end: Reverse<usize>,
    /// First and last of the ends.
    ends: (usize, usize),
}

/// A sum of logits; ordered as numbers are, so that equal bits are equal.
#[derive(Debug, Clone, Copy)]
struct Score(f64);

impl PartialEq for Score {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Span {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Span {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.score, self.place, self.window, self.start, self.end).cmp(&(
            other.score,
            other.place,
            other.window,
            other.start,
            other.end,
        ))
    }
}

impl Span {
    /// The best span from `start` to one of `first..=last`; the shortest of equal ones.
    fn best(
        windows: &[Window<'_>],
        window: usize,
        start: usize,
        first: usize,
        last: usize,
    ) -> Self {
        let it = &windows[window];
        let mut end = first;
        for piece in first + 1..=last {
            if it.end_logit(piece).total_cmp(&it.end_logit(end)).is_gt() {
                end = piece;
            }
        }
        Self {
            score: Score(f64::from(it.start_logit(start)) + f64::from(it.end_logit(end))),
            place: Reverse((it.offsets[start].0, it.offsets[end].1)),
            window: Reverse(window),
            start: Reverse(start),
            end: Reverse(end),
            ends: (first, last),
        }
    }

    /// The bytes of the passage.
    fn bytes(&self) -> Range<usize> {
        let Reverse((start, end)) = self.place;
        start as usize..end as usize
    }
}

/// Spans from the best down. A heap holds the best span of every start; taking one puts the best
/// of its start's other ends in its place, so that only spans that are taken are ever made.
struct Spans<'a> {
    windows: &'a [Window<'a>],
    heap: BinaryHeap<Span>,
}

impl<'a> Spans<'a> {
    fn new(windows: &'a [Window<'a>], max_answer_length: usize) -> Self {
        let mut spans = Vec::new();
        if max_answer_length > 0 {
            for (index, window) in windows.iter().enumerate() {
                let pieces = window.offsets.len();
                spans.extend(window.starts.clone().map(|start| {
                    let last = start.saturating_add(max_answer_length).min(pieces) - 1;
                    Span::best(windows, index, start, start, last)
                }));
            }
        }
        Self { windows, heap: spans.into() }
    }
}

impl Iterator for Spans<'_> {
    type Item = Span;

    fn next(&mut self) -> Option<Span> {
        let span = self.heap.pop()?;
        let (Reverse(window), Reverse(start), Reverse(end)) = (span.window, span.start, span.end);
        let (first, last) = span.ends;
        if first < end {
            self.heap.push(Span::best(self.windows, window, start, first, end - 1));
        }
        if end < last {
            self.heap.push(Span::best(self.windows, window, start, end + 1, last));
        }
        Some(span)
    }
}

fn answer(
    example: &Example,
    windows: Range<usize>,
    features: &Features,
    logits: &FeatureLogits,
    settings: &PredictionSettings,
) -> Result<SpanPrediction> {
    let Input::Question { context, .. } = &example.input else {
        return Err(Error::new("expected a question about a passage"));
    };
    let windows: Vec<Window<'_>> = windows
        .map(|feature| Window::new(features, logits, feature))
        .collect::<Option<_>>()
        .filter(|windows: &Vec<_>| !windows.is_empty())
        .ok_or_else(|| Error::new(format!("question `{}` has no logits", example.id)))?;

    let is_finite = |window: &Window<'_>| {
        let (start, end) = window.null;
        window.logits.iter().chain([&start, &end]).all(|logit| logit.is_finite())
    };
    if !windows.iter().all(is_finite) {
        return Err(Error::new(format!(
            "question `{}`: a logit is not a finite number",
            example.id
        ))
        .hint("the model's weights are damaged; train it again or take an earlier checkpoint"));
    }

    let mut n_best: Vec<Candidate> = Vec::new();
    let mut texts = HashSet::new();
    for span in Spans::new(&windows, settings.max_answer_length) {
        let bytes = whole_characters(context, span.bytes());
        let text = &context[bytes.clone()];
        if text.is_empty() || !texts.insert(text) {
            continue;
        }
        let (Reverse(window), Reverse(start), Reverse(end)) = (span.window, span.start, span.end);
        n_best.push(Candidate {
            text: text.to_owned(),
            start: Some(context[..bytes.start].chars().count()),
            window: Some(window),
            probability: 0.0,
            start_logit: windows[window].start_logit(start),
            end_logit: windows[window].end_logit(end),
        });
        if n_best.len() >= settings.n_best_size {
            break;
        }
    }
    let best_score = n_best.first().map_or(0.0, score);
    let mut null_odds = None;
    if settings.version_2_with_negative {
        let null = null(&windows);
        null_odds = Some(score(&null) - best_score);
        let rank = n_best.partition_point(|candidate| score(candidate) >= score(&null));
        n_best.insert(rank, null);
    } else if n_best.is_empty() {
        n_best.push(Candidate::default());
    }
    set_probabilities(&mut n_best.iter_mut().collect::<Vec<_>>());
    let mut prediction = SpanPrediction { text: String::new(), n_best, null_odds };
    prediction.apply_null_threshold(settings.null_threshold);
    Ok(prediction)
}

/// "No answer", by the window that believes in it least.
fn null(windows: &[Window<'_>]) -> Candidate {
    let sum = |(start, end): (f32, f32)| f64::from(start) + f64::from(end);
    let least = windows
        .iter()
        .map(|window| window.null)
        .min_by(|&one, &other| sum(one).total_cmp(&sum(other)))
        .unwrap_or_default();
    Candidate { start_logit: least.0, end_logit: least.1, ..Candidate::default() }
}

pub(super) fn score(candidate: &Candidate) -> f64 {
    f64::from(candidate.start_logit) + f64::from(candidate.end_logit)
}

/// Soft-max over the scores, from the largest down so that nothing overflows.
pub(super) fn set_probabilities(candidates: &mut [&mut Candidate]) {
    let max = candidates.iter().map(|it| score(it)).fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = candidates.iter().map(|it| (score(it) - max).exp()).sum();
    for candidate in candidates {
        candidate.probability = ((score(candidate) - max).exp() / sum) as f32;
    }
}

/// The bytes, widened to whole characters of the text.
fn whole_characters(text: &str, bytes: Range<usize>) -> Range<usize> {
    let end = bytes.end.min(text.len());
    let start = bytes.start.min(end);
    let start = (0..=start).rev().find(|&byte| text.is_char_boundary(byte)).unwrap_or(0);
    let end = (end..text.len()).find(|&byte| text.is_char_boundary(byte)).unwrap_or(text.len());
    start..end
}

#[cfg(test)]
mod tests;
