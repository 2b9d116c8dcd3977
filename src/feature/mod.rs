//! Examples to features: token ids, segments, targets, and the way back to the text.
//!
//! Most examples give one feature with one sequence. A long passage gives several features
//! (windows); a multiple-choice example gives one feature with a sequence for each ending.

use std::ops::Range;

use crate::task::Task;

mod choice;
mod question;
mod sequence;
mod store;
mod tag;
mod text;
mod tokenizer;

pub use choice::choices;
pub use question::questions;
pub use store::{Cache, CacheKey, FeatureStore, StoreWriter, Summary};
pub use tag::words;
pub use text::texts;
pub use tokenizer::Tokenizer;

/// How examples are cut to the model's size. All in word pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FeatureSettings {
    /// Longest sequence, special tokens included.
    pub max_length: usize,
    /// What two neighbouring windows of a passage share.
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

/// What the model should say of a feature.
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
}

/// Examples tokenised between two appends to the arena; bounds the encodings held at once.
const CHUNK: usize = 4096;

/// A position without a tag: special tokens and all but the first piece of a word.
pub const NO_TAG: i32 = -1;

/// The way from a feature's positions back to its example.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alignment {
    /// A window of a passage.
    Window {
        /// The position of the window's first piece of the passage.
        context_start: usize,
        /// The window's pieces of the passage, for [`Features::offsets`].
        pieces: Range<usize>,
        /// Those of the pieces, counted from the window's first, of which the window, among those
        /// that hold the piece, has the most context around it (Google's `is_max_context`).
        max_context: Range<usize>,
    },
    /// A window of words.
    Words {
        /// For each word that this feature answers for: its index in the sentence and the
        /// position of its first piece.
        first_pieces: Box<[(u32, u32)]>,
    },
}

/// One row of a batch.
#[derive(Debug, Clone, PartialEq)]
struct Item {
    example: u32,
    first_sequence: u32,
    sequences: u16,
}

/// One sequence: a stretch of the arena of ids.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Stretch {
    start: usize,
    length: u32,
    /// Ids from here on belong to the second segment.
    second: u32,
}

/// All features of a dataset, their ids in one arena.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Features {
    ids: Vec<i32>,
    stretches: Vec<Stretch>,
    items: Vec<Item>,
    targets: Vec<FeatureTarget>,
    alignments: Vec<Alignment>,
    /// Where the pieces of all passages stand; windows and questions of a passage share them.
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
        self.items.push(Item {
            example: u32::try_from(example).expect("fewer than 2^32 examples"),
            first_sequence: u32::try_from(self.stretches.len()).expect("fewer than 2^32 sequences"),
            sequences: u16::try_from(sequences.len()).expect("fewer than 2^16 choices"),
        });
        for sequence in sequences {
            self.stretches.push(Stretch {
                start: self.ids.len(),
                length: sequence.input_ids.len() as u32,
                second: sequence.second_segment as u32,
            });
            self.ids.extend_from_slice(sequence.input_ids);
        }
        self.targets.push(target);
    }

    /// Adds a feature with the way back to its example.
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

    /// Adds the pieces of a passage: where each begins and ends in it, in bytes. Windows name them
    /// by their places in the list, of which the first is returned.
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
        self.items.len()
    }

    /// Tokens of all sequences.
    pub fn tokens(&self) -> usize {
        self.ids.len()
    }

    /// Sequences of every feature: the endings for `choice`, else 1.
    pub fn choices(&self) -> usize {
        self.items.first().map_or(1, |item| item.sequences as usize)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The index of a feature's example.
    pub fn example(&self, feature: usize) -> usize {
        self.items[feature].example as usize
    }

    /// How many sequences a feature has.
    pub fn sequences(&self, feature: usize) -> usize {
        self.items[feature].sequences as usize
    }

    /// A feature's sequence.
    pub fn sequence(&self, feature: usize, sequence: usize) -> Sequence<'_> {
        let stretch = self.stretches[self.items[feature].first_sequence as usize + sequence];
        let end = stretch.start + stretch.length as usize;
        Sequence {
            input_ids: &self.ids[stretch.start..end],
            second_segment: stretch.second as usize,
        }
    }

    /// The length of a feature's longest sequence.
    pub fn length(&self, feature: usize) -> usize {
        let item = &self.items[feature];
        let first = item.first_sequence as usize;
        self.stretches[first..first + item.sequences as usize]
            .iter()
            .map(|stretch| stretch.length as usize)
            .max()
            .unwrap_or(0)
    }

    /// What the model should say of a feature.
    pub fn target(&self, feature: usize) -> &FeatureTarget {
        &self.targets[feature]
    }

    /// The way back to the example, for heads that need it (span, tag).
    pub fn alignment(&self, feature: usize) -> Option<&Alignment> {
        self.alignments.get(feature)
    }
}

/// The sizes that batches are planned by.
pub trait FeatureSizes {
    /// How many features there are.
    fn len(&self) -> usize;

    /// Whether there is none.
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
