//! The boundary to whatever computes: plain types and traits, no TensorFlow.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::Result;
use crate::feature::FeatureSettings;
use crate::task::Head;

/// The contract version that this driver speaks (see `docs/contract.md`).
pub const CONTRACT_VERSION: u32 = 1;

/// Number format of the matrix products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats throughout.
    F32,
    /// bfloat16 matrix products over 32-bit weights.
    Bf16,
}

impl Precision {
    /// The name in signatures, flags and files.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What an export says of itself: `assets.extra/tfbert.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Contract {
    /// Version of the agreement; see [`CONTRACT_VERSION`].
    pub contract_version: u32,
    /// Version of the package that exported.
    pub tfbert_version: String,
    /// The head.
    pub head: Head,
    /// The encoder's sizes.
    pub encoder: Encoder,
    /// The longest sequence, special tokens included.
    pub max_length: usize,
    /// Whether the tokenizer lower-cases.
    pub do_lower_case: bool,
    /// Number formats that it has signatures for.
    pub precisions: Vec<Precision>,
    /// SHA-256 of the encoder's weights file.
    pub weights_sha256: String,
    /// The training graph's signatures.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub signatures: BTreeMap<String, Signature>,
    /// The serving graph's signatures.
    #[serde(default)]
    pub serving_signatures: BTreeMap<String, Signature>,
    /// What training added; absent from an export.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trained: Option<Trained>,
}

/// The encoder's sizes, by the names of Hugging Face's `config.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Encoder {
    pub name: String,
    pub hidden_size: usize,
    pub num_hidden_layers: usize,
    pub num_attention_heads: usize,
    pub intermediate_size: usize,
    pub vocab_size: usize,
    pub max_position_embeddings: usize,
    pub type_vocab_size: usize,
    pub hidden_act: String,
    pub layer_norm_eps: f64,
    pub initializer_range: f64,
    pub pad_token_id: i32,
}

/// One signature: its tensors by argument name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Signature {
    pub inputs: BTreeMap<String, TensorSpec>,
    pub outputs: BTreeMap<String, TensorSpec>,
}

/// Type and shape of a tensor; an open dimension is `None`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorSpec {
    /// TensorFlow's name of the type (`int32`, `float32`, …).
    pub dtype: String,
    /// The dimensions.
    pub shape: Vec<Option<i64>>,
}

/// What a trained model adds to its contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Trained {
    /// The task's row, so that the model can be used without naming it again.
    pub task: crate::task::Task,
    /// The labels in the order of the logits; empty for heads without labels.
    pub labels: Vec<String>,
    /// The precision of the development scores.
    pub precision: Precision,
    /// How training cut examples, and so prediction does.
    #[serde(flatten)]
    pub features: FeatureSettings,
    /// Development scores by split, then by metric; `null` is undefined.
    pub metrics: BTreeMap<String, BTreeMap<String, Option<f64>>>,
    /// Answers whose null score beats the best span by more than this are empty (SQuAD 2.0).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub null_threshold: Option<f64>,
}

/// What a training step takes beside its batch. All rates are those of this step.
#[derive(Debug, Clone, PartialEq)]
pub struct StepSettings {
    /// The learning rate after warm-up and decay.
    pub learning_rate: f32,
    /// A factor on the learning rate for embeddings, each layer, and the head;
    /// `num_hidden_layers + 2` values.
    pub layer_scale: Vec<f32>,
    /// Decoupled weight decay.
    pub weight_decay: f32,
    /// Adam's first decay rate.
    pub beta1: f32,
    /// Adam's second decay rate.
    pub beta2: f32,
    /// Adam's epsilon, outside the root.
    pub epsilon: f32,
    /// `beta1` to the power of the step counted from 1, or 0 for no bias correction.
    pub beta1_power: f32,
    /// `beta2` to the power of the step counted from 1, or 0 for no bias correction.
    pub beta2_power: f32,
    /// Gradients are scaled down to this global norm; 0 is off.
    pub max_grad_norm: f32,
    /// Dropout rate in [0, 1).
    pub dropout: f32,
    /// Label smoothing in [0, 1); heads without it take 0 only.
    pub label_smoothing: f32,
}

/// What a training step says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// Mean loss of the (whole, accumulated) batch.
    pub loss: f32,
    /// Global norm of the gradient before clipping. Where it is not finite, nothing was changed.
    pub grad_norm: f32,
}

/// Logits of a batch, row-major, padding rows included.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    /// The values.
    pub values: Vec<f32>,
    /// The dimensions, the first of them the batch's rows.
    pub shape: Vec<usize>,
}

/// How batches are best given to a model that predicts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// How many are computed at a time.
    pub at_a_time: usize,
    /// The most tokens of one, padding included, where more would only take longer each.
    pub tokens: Option<usize>,
}

impl Default for Batching {
    /// Two: what is serial in one leaves cores free for the other.
    fn default() -> Self {
        Self { at_a_time: 2, tokens: None }
    }
}

/// Something that predicts, several batches at a time if it is asked to.
pub trait Predictor: Sync {
    /// What the model says of itself.
    fn contract(&self) -> &Contract;

    /// The logits of a batch. Its labels are not looked at.
    ///
    /// # Errors
    ///
    /// The computation failed, for want of memory for example.
    fn predict(&self, batch: &Batch) -> Result<Logits>;

    /// How batches are best given to it.
    fn batching(&self) -> Batching {
        Batching::default()
    }
}

/// Something that learns.
///
/// Weights and optimiser state live inside; `save` and `restore` move both.
pub trait Model: Predictor {
    /// Draws a head for `num_labels` labels, and zeroes the optimiser's state.
    ///
    /// # Errors
    ///
    /// The head does not take that many labels.
    fn init(&mut self, num_labels: usize, seed: u64) -> Result<()>;

    /// One update from micro-batches that together are one batch.
    ///
    /// `dropout_seeds` has a pair for each of them.
    ///
    /// # Errors
    ///
    /// The computation failed.
    fn train(
        &mut self,
        batches: &[Batch],
        settings: &StepSettings,
        dropout_seeds: &[[i32; 2]],
    ) -> Result<StepOutcome>;

    /// Logits, and the sum of the (weighted) losses of the batch's elements.
    ///
    /// # Errors
    ///
    /// The computation failed.
    fn evaluate(&self, batch: &Batch) -> Result<(Logits, f64)>;

    /// Writes weights and optimiser state as a TensorFlow checkpoint with this prefix.
    ///
    /// # Errors
    ///
    /// The disk is full, the folder is gone.
    fn save(&mut self, prefix: &Path) -> Result<()>;

    /// Reads weights and optimiser state back.
    ///
    /// # Errors
    ///
    /// The checkpoint is missing, damaged or of another model.
    fn restore(&mut self, prefix: &Path) -> Result<()>;

    /// Writes the SavedModel of the weights in the checkpoint `prefix` alone into the folder
    /// `into`, which exists and is empty. `contract` becomes its `tfbert.json`.
    ///
    /// # Errors
    ///
    /// The checkpoint cannot be read or the folder not be written.
    fn export(&mut self, prefix: &Path, into: &Path, contract: &Contract) -> Result<()>;
}

/// Where numbers over steps go. What is written after a checkpoint is cut off when a run is
/// resumed from it, so that the curves have neither gaps nor doubles.
pub trait Scalars {
    /// Goes on after the first `bytes`, what the checkpoint knows of; 0 begins anew.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    fn open(&mut self, bytes: u64) -> Result<()>;

    /// Writes the values that belong to a step.
    ///
    /// # Errors
    ///
    /// The disk is full.
    fn write(&mut self, step: usize, values: &[(String, f64)]) -> Result<()>;

    /// Makes all values so far survive a power cut; how many bytes they are.
    ///
    /// # Errors
    ///
    /// The disk fails.
    fn sync(&mut self) -> Result<u64>;
}

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoScalars;

impl Scalars for NoScalars {
    fn open(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _step: usize, _values: &[(String, f64)]) -> Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> Result<u64> {
        Ok(0)
    }
}

#[cfg(test)]
impl Encoder {
    /// The least of encoders, for tests that compute nothing with it.
    pub(crate) fn toy() -> Self {
        Self {
            name: "toy".into(),
            hidden_size: 2,
            num_hidden_layers: 1,
            num_attention_heads: 1,
            intermediate_size: 8,
            vocab_size: 50,
            max_position_embeddings: 16,
            type_vocab_size: 2,
            hidden_act: "gelu".into(),
            layer_norm_eps: 1e-12,
            initializer_range: 0.02,
            pad_token_id: 0,
        }
    }
}

#[cfg(test)]
impl Contract {
    /// An export of [`Encoder::toy`] without a graph.
    pub(crate) fn toy(head: Head) -> Self {
        Self {
            contract_version: CONTRACT_VERSION,
            tfbert_version: "0".into(),
            head,
            encoder: Encoder::toy(),
            max_length: 16,
            do_lower_case: true,
            precisions: Vec::new(),
            weights_sha256: String::new(),
            signatures: BTreeMap::new(),
            serving_signatures: BTreeMap::new(),
            trained: None,
        }
    }
}
