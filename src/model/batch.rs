//! A batch as named tensors.

use std::collections::BTreeMap;

/// Token ids; padding is the encoder's `pad_token_id`.
pub const INPUT_IDS: &str = "input_ids";
/// 1 for a token, 0 for padding.
pub const ATTENTION_MASK: &str = "attention_mask";
/// 0 for the first segment, 1 for the second.
pub const TOKEN_TYPE_IDS: &str = "token_type_ids";
/// The positions of hidden tokens; 0 is padding.
pub const MASKED_POSITIONS: &str = "masked_positions";
/// The labels' name in a signature.
pub const LABELS: &str = "labels";
/// The name in a signature of the labels' weights in the loss.
pub const SAMPLE_WEIGHT: &str = "sample_weight";

/// Values of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
pub enum TensorData {
    /// int32.
    Ints(Vec<i32>),
    /// float32.
    Floats(Vec<f32>),
}

/// Values with a shape.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    /// The dimensions.
    pub shape: Vec<usize>,
    /// As many values as the product of the dimensions.
    pub data: TensorData,
}

impl Tensor {
    /// Integers of a shape.
    ///
    /// # Panics
    ///
    /// The number of values is not the product of the dimensions.
    pub fn from_ints(shape: &[usize], values: Vec<i32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{shape:?}");
        Self { shape: shape.to_vec(), data: TensorData::Ints(values) }
    }

    /// Floats of a shape.
    ///
    /// # Panics
    ///
    /// The number of values is not the product of the dimensions.
    pub fn from_floats(shape: &[usize], values: Vec<f32>) -> Self {
        assert_eq!(shape.iter().product::<usize>(), values.len(), "{shape:?}");
        Self { shape: shape.to_vec(), data: TensorData::Floats(values) }
    }

    /// The values of a tensor of integers.
    ///
    /// # Panics
    ///
    /// It is a tensor of floats.
    pub fn ints(&self) -> &[i32] {
        match &self.data {
            TensorData::Ints(values) => values,
            TensorData::Floats(_) => panic!("a tensor of floats was read as integers"),
        }
    }

    /// The values of a tensor of floats.
    ///
    /// # Panics
    ///
    /// It is a tensor of integers.
    pub fn floats(&self) -> &[f32] {
        match &self.data {
            TensorData::Floats(values) => values,
            TensorData::Ints(_) => panic!("a tensor of integers was read as floats"),
        }
    }
}

/// What a model computes at once: rows of equal length.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// The encoder's inputs by name: [`INPUT_IDS`], [`ATTENTION_MASK`], [`TOKEN_TYPE_IDS`], all of the
    /// shape `[rows, length]`, or `[rows, choices, length]` for a head that chooses among
    /// sequences. A model takes those that its signature names.
    pub inputs: BTreeMap<&'static str, Tensor>,
    /// The labels, in the shape that the head gives them; 0 where there is none.
    pub labels: Tensor,
    /// The weight of each label in the loss, floats; 0 where there is no label.
    pub sample_weight: Tensor,
    /// The dataset's features that the rows hold; rows after them are padding.
    pub features: Vec<usize>,
}

impl Batch {
    /// A tensor by its name in a signature.
    pub fn tensor(&self, name: &str) -> Option<&Tensor> {
        match name {
            LABELS => Some(&self.labels),
            SAMPLE_WEIGHT => Some(&self.sample_weight),
            _ => self.inputs.get(name),
        }
    }

    /// The token ids.
    ///
    /// # Panics
    ///
    /// There are none, which no function that lays out batches leaves out.
    pub fn input_ids(&self) -> &Tensor {
        &self.inputs[INPUT_IDS]
    }

    /// Rows, padding rows included.
    pub fn rows(&self) -> usize {
        self.input_ids().shape[0]
    }

    /// Sequences of all rows: the rows, or rows × choices.
    pub fn sequences(&self) -> usize {
        self.input_ids().shape.iter().rev().skip(1).product()
    }

    /// The length of every sequence in tokens.
    pub fn length(&self) -> usize {
        *self.input_ids().shape.last().expect("token ids have at least two dimensions")
    }

    /// The sum of the labels' weights, by which the loss is divided.
    pub fn weight_sum(&self) -> f32 {
        self.sample_weight.floats().iter().sum()
    }

    /// Tokens that are not padding.
    pub fn tokens(&self) -> usize {
        self.inputs[ATTENTION_MASK].ints().iter().filter(|&&mask| mask == 1).count()
    }
}
