//! Features to batches: seeded shuffle, length buckets, padding.

use crate::feature::{FeatureTarget, Features, NO_TAG};
use crate::task::Head;

mod buckets;
mod plan;
mod prefetch;
mod share;

pub use buckets::Buckets;
pub use plan::{PlannedBatch, evaluation_plan, padding_share, training_plan};
pub use prefetch::{Prefetched, prefetch};
pub use share::share;

/// The labels of a batch, row-major, one form a head.
#[derive(Debug, Clone, PartialEq)]
pub enum BatchLabels {
    /// `[rows]` (classify, choice), `[rows, 2]` (span), `[rows, length]` (tag).
    Ints(Vec<i32>),
    /// `[rows]` (regress).
    Floats(Vec<f32>),
}

/// What the model computes at once: rows of equal length, flat and row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Rows, padding rows at the end included.
    pub rows: usize,
    /// Sequences a row: the endings for `choice`, else 1.
    pub choices: usize,
    /// Length of every sequence.
    pub length: usize,
    /// `[rows, choices, length]`.
    pub input_ids: Vec<i32>,
    /// The same shape: 1 for tokens, 0 for padding.
    pub attention_mask: Vec<i32>,
    /// The same shape: 0 for the first segment, 1 for the second.
    pub token_type_ids: Vec<i32>,
    /// Labels; 0 where there is none.
    pub labels: BatchLabels,
    /// Weight of each label (`[rows]`, or `[rows, length]` for `tag`); 0 where there is none.
    pub sample_weight: Vec<f32>,
    /// The features of the rows that are not padding.
    pub features: Vec<usize>,
}

impl Batch {
    /// Lays out `features` as a batch of `rows` rows (at least as many as features) of `length`.
    ///
    /// `class_weights` multiplies the weight of each label by its class's; empty is all 1.
    pub fn new(
        head: Head,
        all: &Features,
        features: &[usize],
        rows: usize,
        length: usize,
        pad_token_id: i32,
        class_weights: &[f32],
    ) -> Self {
        assert!(features.len() <= rows, "{} features do not fit {rows} rows", features.len());
        let choices = features.first().map_or(1, |&feature| all.sequences(feature));
        let size = rows * choices * length;
        let mut batch = Self {
            rows,
            choices,
            length,
            input_ids: vec![pad_token_id; size],
            attention_mask: vec![0; size],
            token_type_ids: vec![0; size],
            labels: BatchLabels::new(head, rows, length),
            sample_weight: vec![0.0; if head == Head::Tag { rows * length } else { rows }],
            features: features.to_vec(),
        };
        for (row, &feature) in features.iter().enumerate() {
            for choice in 0..choices {
                let sequence = all.sequence(feature, choice);
                let ids = sequence.input_ids;
                let start = (row * choices + choice) * length;
                batch.input_ids[start..start + ids.len()].copy_from_slice(ids);
                batch.attention_mask[start..start + ids.len()].fill(1);
                let second = start + sequence.second_segment;
                batch.token_type_ids[second..start + ids.len()].fill(1);
            }
            batch.label(row, all.target(feature), class_weights);
        }
        batch
    }

    /// The least that a model with this head takes: a row of one token, without a label.
    pub fn smallest(head: Head) -> Self {
        let choices = if head == Head::Choice { 2 } else { 1 };
        Self {
            rows: 1,
            choices,
            length: 1,
            input_ids: vec![0; choices],
            attention_mask: vec![1; choices],
            token_type_ids: vec![0; choices],
            labels: BatchLabels::new(head, 1, 1),
            sample_weight: vec![0.0],
            features: Vec::new(),
        }
    }

    fn label(&mut self, row: usize, target: &FeatureTarget, class_weights: &[f32]) {
        let weight = |class: i32| class_weights.get(class as usize).copied().unwrap_or(1.0);
        match (target, &mut self.labels) {
            (FeatureTarget::Class(class), BatchLabels::Ints(labels)) => {
                labels[row] = *class;
                self.sample_weight[row] = weight(*class);
            }
            (FeatureTarget::Score(score), BatchLabels::Floats(labels)) => {
                labels[row] = *score;
                self.sample_weight[row] = 1.0;
            }
            (FeatureTarget::Span(start, end), BatchLabels::Ints(labels)) => {
                labels[2 * row] = *start;
                labels[2 * row + 1] = *end;
                self.sample_weight[row] = 1.0;
            }
            (FeatureTarget::Tags(tags), BatchLabels::Ints(labels)) => {
                let start = row * self.length;
                for (i, &tag) in tags.iter().enumerate() {
                    if tag != NO_TAG {
                        labels[start + i] = tag;
                        self.sample_weight[start + i] = weight(tag);
                    }
                }
            }
            // No target: the weight stays 0, so the label is never looked at.
            _ => {}
        }
    }

    /// The sum of the weights: what the loss is divided by.
    pub fn weight_sum(&self) -> f32 {
        self.sample_weight.iter().sum()
    }

    /// Tokens that are not padding.
    pub fn tokens(&self) -> usize {
        self.attention_mask.iter().filter(|&&mask| mask == 1).count()
    }
}

impl BatchLabels {
    fn new(head: Head, rows: usize, length: usize) -> Self {
        match head {
            Head::Classify | Head::Choice => Self::Ints(vec![0; rows]),
            Head::Regress => Self::Floats(vec![0.0; rows]),
            Head::Span => Self::Ints(vec![0; rows * 2]),
            Head::Tag => Self::Ints(vec![0; rows * length]),
        }
    }
}
