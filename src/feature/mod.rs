//! Examples to features: token ids, segments, targets, and what maps them back to the text.
//!
//! Most examples give one feature with one sequence. A long passage gives several features
//! (windows); a multiple-choice example gives one feature with a sequence for each ending.

use std::ops::Range;

use crate::task::Task;

mod choice;
mod masked;
mod question;
mod sequence;
mod store;
mod tag;
mod text;
mod tokenizer;

pub use choice::choices;
pub use masked::{masked_texts, typed_masked};
pub use question::questions;
pub use store::{Cache, CacheKey, FeatureStore, StoreWriter, Summary};
pub use tag::{typed_sentence, words};
pub use text::texts;
pub use tokenizer::Tokenizer;

/// How examples are cut to the model's size, in word pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeatureSettings {
    /// Longest sequence, special tokens included.
    pub max_length: usize,
    /// Pieces that two neighbouring windows of a passage share.
    pub doc_stride: usize,
    /// Longest question.
    pub max_query_length: usize,
}

impl FeatureSettings {
    /// A task's defaults.
    pub fn from_task(task: &Task) -> Self {
        Self {
            max_length: task.defaults.max_length,
            doc_stride: task.defaults.doc_stride,
            max_query_length: task.defaults.max_query_length,
        }
    }
}

/// The target of a feature.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub enum FeatureTarget {
    /// Not known.
    #[default]
    None,
    /// A label's or an ending's index.
    Class(i32),
    /// A number.
    Score(f32),
    /// First and last position of the answer in the sequence; both 0 (`[CLS]`) for none.
    Span(i32, i32),
    /// A label's index for each position, or [`NO_TAG`].
    Tags(Box<[i32]>),
    /// The indices of the labels that are right, of so many.
    Labels {
        /// The indices.
        labels: Box<[u32]>,
        /// How many labels there are.
        of: u32,
    },
    /// The sequence itself, some of whose words are hidden when a batch is laid out.
    Words {
        /// The number of each position's word, or [`NO_TAG`] for special tokens.
        words: Box<[i32]>,
        /// The id of the mask token.
        mask_token_id: i32,
        /// The number of ids.
        vocab_size: u32,
    },
}

/// Examples tokenised at a time; bounds the memory of the tokenizer's encodings.
const CHUNK: usize = 4096;

/// A position without a tag: special tokens and all but the first piece of a word.
pub const NO_TAG: i32 = -1;

/// What maps a feature's positions back to its example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alignment {
    /// A window of a passage.
    Window {
        /// The position of the window's first piece of the passage.
        context_start: usize,
        /// The window's pieces of the passage, for [`Features::offsets`].
        pieces: Range<usize>,
        /// The pieces, counted from the window's first, that have more context in this window than in
        /// any other that holds them (Google's `is_max_context`).
        max_context: Range<usize>,
    },
    /// A window of words.
    Words {
        /// For each word that this feature predicts: its index in the sentence and the position of
        /// its first piece.
        first_pieces: Box<[(u32, u32)]>,
    },
}

/// One feature: its sequences.
#[derive(Debug, Clone, PartialEq)]
struct FeatureEntry {
    example: u32,
    first_sequence: u32,
    sequences: u16,
}

/// Where one sequence stands in [`Features::ids`].
#[derive(Debug, Clone, Copy, PartialEq)]
struct SequenceRange {
    start: usize,
    length: u32,
    /// Ids from here on belong to the second segment.
    second: u32,
}

/// All features of a dataset, their ids in one list.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    ids: Vec<i32>,
    ranges: Vec<SequenceRange>,
    entries: Vec<FeatureEntry>,
    targets: Vec<FeatureTarget>,
    alignments: Vec<Alignment>,
    /// First and last byte of each piece of each passage; windows and questions of a passage share
    /// them.
    offsets: Vec<(u32, u32)>,
    /// How many examples lost word pieces to the length limit.
    pub truncated: usize,
}

/// A sequence without padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sequence<'a> {
    /// Token ids, special tokens included.
    pub input_ids: &'a [i32],
    /// Ids from here on belong to the second segment; the length where there is one segment.
    pub second_segment: usize,
}

impl Features {
    /// Adds a feature of `example` with a sequence for each of `sequences`.
    pub fn push(&mut self, example: usize, sequences: &[Sequence<'_>], target: FeatureTarget) {
        self.entries.push(FeatureEntry {
            example: u32::try_from(example).expect("fewer than 2^32 examples"),
            first_sequence: u32::try_from(self.ranges.len()).expect("fewer than 2^32 sequences"),
            sequences: u16::try_from(sequences.len()).expect("fewer than 2^16 choices"),
        });
        for sequence in sequences {
            self.ranges.push(SequenceRange {
                start: self.ids.len(),
                length: sequence.input_ids.len() as u32,
                second: sequence.second_segment as u32,
            });
            self.ids.extend_from_slice(sequence.input_ids);
        }
        self.targets.push(target);
    }

    /// Adds a feature with its alignment.
    pub fn push_aligned(
        &mut self,
        example: usize,
        sequence: Sequence<'_>,
        target: FeatureTarget,
        alignment: Alignment,
    ) {
        self.push(example, &[sequence], target);
        self.alignments.push(alignment);
    }

    /// Adds the pieces of a passage: where each begins and ends in it, in bytes. Returns the index of
    /// the first, by which windows name them.
    pub fn push_offsets(&mut self, offsets: &[(u32, u32)]) -> usize {
        let first = self.offsets.len();
        self.offsets.extend_from_slice(offsets);
        first
    }

    /// Where pieces begin and end in their passage, in bytes.
    pub fn offsets(&self, pieces: Range<usize>) -> &[(u32, u32)] {
        &self.offsets[pieces]
    }

    /// How many features there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Sequences of every feature: the endings for `choice`, else 1.
    pub fn choices(&self) -> usize {
        self.entries.first().map_or(1, |entry| entry.sequences as usize)
    }

    /// Whether there are no features.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The index of a feature's example.
    pub fn example(&self, feature: usize) -> usize {
        self.entries[feature].example as usize
    }

    /// How many sequences a feature has.
    pub fn sequences(&self, feature: usize) -> usize {
        self.entries[feature].sequences as usize
    }

    /// A feature's sequence.
    pub fn sequence(&self, feature: usize, sequence: usize) -> Sequence<'_> {
        let range = self.ranges[self.entries[feature].first_sequence as usize + sequence];
        let end = range.start + range.length as usize;
        Sequence { input_ids: &self.ids[range.start..end], second_segment: range.second as usize }
    }

    /// The length of a feature's longest sequence.
    pub fn length(&self, feature: usize) -> usize {
        let entry = &self.entries[feature];
        let first = entry.first_sequence as usize;
        self.ranges[first..first + entry.sequences as usize]
            .iter()
            .map(|range| range.length as usize)
            .max()
            .unwrap_or(0)
    }

    /// The target of a feature.
    pub fn target(&self, feature: usize) -> &FeatureTarget {
        &self.targets[feature]
    }

    /// What maps a feature back to its example, for heads that need it (span, tag).
    pub fn alignment(&self, feature: usize) -> Option<&Alignment> {
        self.alignments.get(feature)
    }
}

/// The sizes by which batches are planned.
pub trait FeatureSizes {
    /// How many features there are.
    fn len(&self) -> usize;

    /// Whether there are no features.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The length of a feature's longest sequence.
    fn length(&self, feature: usize) -> usize;

    /// Tokens of all sequences.
    fn tokens(&self) -> usize;

    /// Sequences of every feature: the endings for `choice`, else 1.
    fn choices(&self) -> usize;
}

impl FeatureSizes for Features {
    fn len(&self) -> usize {
        self.len()
    }

    fn length(&self, feature: usize) -> usize {
        self.length(feature)
    }

    fn tokens(&self) -> usize {
        self.tokens()
    }

    fn choices(&self) -> usize {
        self.choices()
    }
}
