//! Features to the tensors of a batch.

use std::collections::BTreeMap;

use super::PlannedBatch;
use super::masking::{Masking, most_hidden};
use crate::feature::{FeatureTarget, Features, NO_TAG};
use crate::model::{
    ATTENTION_MASK, Batch, INPUT_IDS, MASKED_POSITIONS, TOKEN_TYPE_IDS, Tensor, TensorData,
};
use crate::task::{Head, LabelType};

/// How features are laid out as the tensors of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchLayout<'a> {
    /// The head, which decides the shapes.
    pub head: Head,
    /// The token id of padding.
    pub pad_token_id: i32,
    /// The weight of each label in the loss, in the order of the labels; empty is all 1. Of `multilabel`
    /// it is the weight of a label where it is right (PyTorch's `pos_weight`).
    pub class_weights: &'a [f32],
    /// The seed of which words are hidden, for heads that predict them.
    pub mask_seed: u64,
}

impl BatchLayout<'_> {
    /// The batch of planned features.
    ///
    /// # Panics
    ///
    /// The plan has more features than rows, or a feature longer than the planned length.
    pub fn lay_out(&self, features: &Features, planned: &PlannedBatch) -> Batch {
        let PlannedBatch { features: chosen, rows, length } = planned;
        let (rows, length) = (*rows, *length);
        assert!(chosen.len() <= rows, "{} features do not fit {rows} rows", chosen.len());
        let choices = chosen.first().map_or(1, |&feature| features.sequences(feature));
        let size = rows * choices * length;
        let mut input_ids = vec![self.pad_token_id; size];
        let mut attention_mask = vec![0; size];
        let mut token_type_ids = vec![0; size];
        let each = chosen.iter().map(|&feature| match features.target(feature) {
            FeatureTarget::Labels { of, .. } => *of as usize,
            _ => 1,
        });
        let mut each = each.max().unwrap_or(1);
        let mut hidden = Vec::new();
        for (row, &feature) in chosen.iter().enumerate() {
            for choice in 0..choices {
                let sequence = features.sequence(feature, choice);
                let ids = sequence.input_ids;
                let start = (row * choices + choice) * length;
                input_ids[start..start + ids.len()].copy_from_slice(ids);
                attention_mask[start..start + ids.len()].fill(1);
                let second = start + sequence.second_segment;
                token_type_ids[second..start + ids.len()].fill(1);
            }
            if let FeatureTarget::Words { words, mask_token_id, vocab_size } =
                features.target(feature)
            {
                let masking = Masking {
                    words,
                    mask_token_id: *mask_token_id,
                    vocab_size: *vocab_size as i32,
                };
                let ids = &mut input_ids[row * length..row * length + words.len()];
                hidden.push(masking.hide(ids, self.mask_seed, feature as u64));
            }
        }
        if self.head.predicts_hidden_words() {
            // A number that depends on the length alone, so that few shapes are compiled.
            let most = hidden.iter().map(Vec::len).max().unwrap_or(0);
            each = most.max(most_hidden(length));
        }
        let mut labels = Labels::zeros(self.head, rows, length, each);
        for (row, &feature) in chosen.iter().enumerate() {
            labels.set(row, features.target(feature), self.class_weights);
        }
        let shape: &[usize] =
            if self.head.has_endings() { &[rows, choices, length] } else { &[rows, length] };
        let inputs = [
            (INPUT_IDS, input_ids),
            (ATTENTION_MASK, attention_mask),
            (TOKEN_TYPE_IDS, token_type_ids),
        ];
        let mut inputs: BTreeMap<&'static str, Tensor> =
            inputs.map(|(name, ids)| (name, Tensor::from_ints(shape, ids))).into();
        if self.head.predicts_hidden_words() {
            let positions = labels.set_hidden(&hidden);
            inputs.insert(MASKED_POSITIONS, Tensor::from_ints(&[rows, each], positions));
        }
        Batch {
            inputs,
            labels: Tensor { shape: labels.shape, data: labels.values },
            sample_weight: Tensor::from_floats(&labels.weight_shape, labels.weights),
            features: chosen.clone(),
        }
    }
}

/// The labels of a batch and their weights, filled in row by row.
struct Labels {
    shape: Vec<usize>,
    values: TensorData,
    weight_shape: Vec<usize>,
    weights: Vec<f32>,
    /// Labels of one row, as `values` holds them.
    per_row: usize,
}

impl Labels {
    /// No label has a value or a weight.
    fn zeros(head: Head, rows: usize, length: usize, labels: usize) -> Self {
        let (shape, weight_shape) =
            (head.label_shape(rows, length, labels), head.weight_shape(rows, length, labels));
        let size = shape.iter().product();
        let values = match head.label_type() {
            LabelType::Int => TensorData::Ints(vec![0; size]),
            LabelType::Float => TensorData::Floats(vec![0.0; size]),
        };
        let weights = vec![0.0; weight_shape.iter().product()];
        let per_row = shape[1..].iter().product();
        Self { shape, values, weight_shape, weights, per_row }
    }

    /// Sets the labels of hidden tokens, and returns their positions; 0 where a row has fewer.
    fn set_hidden(&mut self, hidden: &[Vec<(usize, i32)>]) -> Vec<i32> {
        let mut positions = vec![0; self.weights.len()];
        if let TensorData::Ints(labels) = &mut self.values {
            for (row, tokens) in hidden.iter().enumerate() {
                for (i, &(position, id)) in tokens.iter().enumerate() {
                    let at = row * self.per_row + i;
                    positions[at] = position as i32;
                    labels[at] = id;
                    self.weights[at] = 1.0;
                }
            }
        }
        positions
    }

    /// Sets a row's labels; one without a target keeps the weight 0, so that it takes part in nothing.
    fn set(&mut self, row: usize, target: &FeatureTarget, class_weights: &[f32]) {
        let weight = |class: i32| class_weights.get(class as usize).copied().unwrap_or(1.0);
        let start = row * self.per_row;
        match (target, &mut self.values) {
            (FeatureTarget::None | FeatureTarget::Words { .. }, _) => {}
            (FeatureTarget::Class(class), TensorData::Ints(labels)) => {
                labels[start] = *class;
                self.weights[row] = weight(*class);
            }
            (FeatureTarget::Score(score), TensorData::Floats(labels)) => {
                labels[start] = *score;
                self.weights[row] = 1.0;
            }
            (FeatureTarget::Span(first, last), TensorData::Ints(labels)) => {
                labels[start] = *first;
                labels[start + 1] = *last;
                self.weights[row] = 1.0;
            }
            (FeatureTarget::Tags(tags), TensorData::Ints(labels)) => {
                for (i, &tag) in tags.iter().enumerate() {
                    if tag != NO_TAG {
                        labels[start + i] = tag;
                        self.weights[start + i] = weight(tag);
                    }
                }
            }
            (FeatureTarget::Labels { labels: right, of }, TensorData::Floats(labels)) => {
                self.weights[start..start + *of as usize].fill(1.0);
                for &label in right {
                    labels[start + label as usize] = 1.0;
                    self.weights[start + label as usize] = weight(label as i32);
                }
            }
            (
                FeatureTarget::Class(_) | FeatureTarget::Span(..) | FeatureTarget::Tags(_),
                TensorData::Floats(_),
            )
            | (FeatureTarget::Score(_) | FeatureTarget::Labels { .. }, TensorData::Ints(_)) => {
                unreachable!("a feature's target is of its head")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::Sequence;

    fn features(target: FeatureTarget) -> Features {
        let mut features = Features::default();
        let sequence = Sequence { input_ids: &[5, 6, 7], second_segment: 2 };
        features.push(0, &[sequence], target);
        features
    }

    fn laid_out(head: Head, target: FeatureTarget, class_weights: &[f32]) -> Batch {
        let planned = PlannedBatch { features: vec![0], rows: 2, length: 4 };
        BatchLayout { head, pad_token_id: 9, class_weights, mask_seed: 0 }
            .lay_out(&features(target), &planned)
    }

    #[test]
    fn ids_are_padded_and_tokens_and_segments_are_marked() {
        let batch = laid_out(Head::Classify, FeatureTarget::Class(1), &[]);
        assert_eq!(batch.inputs[INPUT_IDS].ints(), [5, 6, 7, 9, 9, 9, 9, 9]);
        assert_eq!(batch.inputs[ATTENTION_MASK].ints(), [1, 1, 1, 0, 0, 0, 0, 0]);
        assert_eq!(batch.inputs[TOKEN_TYPE_IDS].ints(), [0, 0, 1, 0, 0, 0, 0, 0]);
        assert_eq!((batch.rows(), batch.length(), batch.sequences()), (2, 4, 2));
        assert_eq!(batch.tokens(), 3);
    }

    #[test]
    fn labels_have_the_shape_of_their_head_and_padding_has_no_weight() {
        let class = laid_out(Head::Classify, FeatureTarget::Class(1), &[1.0, 3.0]);
        assert_eq!(class.labels, Tensor::from_ints(&[2], vec![1, 0]));
        assert_eq!(class.sample_weight, Tensor::from_floats(&[2], vec![3.0, 0.0]));
        let score = laid_out(Head::Regress, FeatureTarget::Score(2.5), &[]);
        assert_eq!(score.labels, Tensor::from_floats(&[2], vec![2.5, 0.0]));
        let span = laid_out(Head::Span, FeatureTarget::Span(1, 2), &[]);
        assert_eq!(span.labels, Tensor::from_ints(&[2, 2], vec![1, 2, 0, 0]));
        assert_eq!(span.sample_weight, Tensor::from_floats(&[2], vec![1.0, 0.0]));
        let sets = FeatureTarget::Labels { labels: [2].into(), of: 3 };
        let sets = laid_out(Head::Multilabel, sets, &[1.0, 1.0, 3.0]);
        let hot = vec![0.0, 0.0, 1.0, 0.0, 0.0, 0.0];
        assert_eq!(sets.labels, Tensor::from_floats(&[2, 3], hot));
        let weights = vec![1.0, 1.0, 3.0, 0.0, 0.0, 0.0];
        assert_eq!(sets.sample_weight, Tensor::from_floats(&[2, 3], weights));
        let tags = FeatureTarget::Tags([NO_TAG, 1, 0].into());
        let tag = laid_out(Head::Tag, tags, &[1.0, 3.0]);
        assert_eq!(tag.labels, Tensor::from_ints(&[2, 4], vec![0, 1, 0, 0, 0, 0, 0, 0]));
        let weights = vec![0.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(tag.sample_weight, Tensor::from_floats(&[2, 4], weights));
        assert_eq!(laid_out(Head::Tag, FeatureTarget::None, &[]).weight_sum(), 0.0);
    }

    #[test]
    fn a_head_that_chooses_has_a_sequence_for_each_choice() {
        let mut features = Features::default();
        let ends: [&[i32]; 2] = [&[1, 2], &[3]];
        let sequences = ends.map(|input_ids| Sequence { input_ids, second_segment: 1 });
        features.push(0, &sequences, FeatureTarget::Class(1));
        let planned = PlannedBatch { features: vec![0], rows: 1, length: 2 };
        let layout =
            BatchLayout { head: Head::Choice, pad_token_id: 0, class_weights: &[], mask_seed: 0 };
        let batch = layout.lay_out(&features, &planned);
        assert_eq!(batch.input_ids(), &Tensor::from_ints(&[1, 2, 2], vec![1, 2, 3, 0]));
        assert_eq!((batch.rows(), batch.sequences(), batch.length()), (1, 2, 2));
    }
}
