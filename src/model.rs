//! The boundary to whatever computes: named tensors go in, logits and losses come out.
//!
//! Plain types and traits. Nothing here knows TensorFlow, or a stage of the flow.

use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::Result;

mod batch;

pub use batch::{
    ATTENTION_MASK, Batch, INPUT_IDS, LABELS, MASKED_POSITIONS, SAMPLE_WEIGHT, TOKEN_TYPE_IDS,
    Tensor, TensorData,
};

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

/// What a training step takes beside its batches.
#[derive(Debug, Clone, PartialEq)]
pub struct StepInputs {
    /// The optimiser's inputs of this step, by name.
    pub update: Vec<(&'static str, Tensor)>,
    /// The weight of all labels that the update is the mean over: the losses of the batches are
    /// divided by it. The batches may be a part of what it counts.
    pub weight_sum: f32,
    /// Dropout rate in [0, 1).
    pub dropout: f32,
    /// Two numbers that dropout is drawn from, for each batch.
    pub dropout_seeds: Vec<[i32; 2]>,
    /// Label smoothing in [0, 1); heads without it take 0 only.
    pub label_smoothing: f32,
    /// What a worker says to the others; `None` where there is only one.
    pub shared: Option<SharedInputs>,
}

/// What the workers of a cluster tell each other in a training step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedInputs {
    /// The ids of all tokens in all workers' batches, ascending; the last may be repeated.
    pub token_rows: Vec<i32>,
    /// What this worker asks for.
    pub signals: Signals,
}

/// What a worker asks all others for, and after the step what any of them asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Signals {
    /// To stop after this step.
    pub stop: bool,
    /// To write a checkpoint after this step.
    pub save: bool,
}

/// What a training step says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepOutcome {
    /// Mean loss of the (whole, accumulated) batch.
    pub loss: f32,
    /// Global norm of the gradient before clipping. Where it is not finite, nothing was changed.
    pub grad_norm: f32,
    /// What any worker asked for.
    pub signals: Signals,
    /// The part of `loss` that this worker's rows have.
    pub own_loss: f32,
}

impl StepOutcome {
    /// The outcome on the only worker.
    pub fn alone(loss: f32, grad_norm: f32) -> Self {
        Self { loss, grad_norm, signals: Signals::default(), own_loss: loss }
    }
}

/// Logits of a batch, row-major, padding rows included.
#[derive(Debug, Clone, PartialEq)]
pub struct Logits {
    /// The values.
    pub values: Vec<f32>,
    /// The dimensions, the first of them the batch's rows.
    pub shape: Vec<usize>,
}

/// What a model computes of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Forward {
    /// The logits.
    pub logits: Logits,
    /// The sum of the weighted losses of the labels; `None` from a model that computes none.
    pub loss: Option<f64>,
}

/// What batches and training must know of an encoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EncoderFacts {
    /// The longest sequence in tokens, special tokens included.
    pub max_length: usize,
    /// The number of Transformer layers.
    pub num_hidden_layers: usize,
    /// The token id of padding.
    pub pad_token_id: i32,
}

/// How batches are best laid out for the device that computes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchProfile {
    /// How many batches are evaluated at the same time.
    pub parallel_batches: usize,
    /// The most tokens of an evaluation batch, padding included; `None` is no limit. A larger batch
    /// takes more time per token.
    pub batch_tokens: Option<usize>,
    /// The time that another training shape costs, as the number of padding tokens that take as long.
    pub shape_cost: usize,
}

/// A model that computes batches, from several threads at the same time.
pub trait Predictor: Sync {
    /// The logits of a batch, and its loss where the model computes one.
    ///
    /// # Errors
    ///
    /// The computation failed, for want of memory for example.
    fn forward(&self, batch: &Batch) -> Result<Forward>;
}

/// A model that is trained.
///
/// Weights and optimiser state live inside; `save` and `restore` move both.
pub trait Model: Predictor {
    /// Draws a head for `num_labels` labels, and zeroes the optimiser's state.
    ///
    /// # Errors
    ///
    /// The head does not take that many labels.
    fn init(&mut self, num_labels: usize, seed: u64) -> Result<()>;

    /// One update from batches that together are one.
    ///
    /// # Errors
    ///
    /// The computation failed.
    fn train(&mut self, batches: &[Batch], inputs: &StepInputs) -> Result<StepOutcome>;

    /// Makes the updates that `train` left for later, before weights are used other than by `train`.
    ///
    /// # Errors
    ///
    /// The computation failed.
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// A number for each variable that changes with its values, to compare those of several workers.
    ///
    /// # Errors
    ///
    /// The computation failed.
    fn checksum(&self) -> Result<Vec<i32>> {
        Ok(Vec::new())
    }

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

    /// Writes a SavedModel of the weights alone, those of the checkpoint `prefix`, into the folder
    /// `into`, which exists and is empty. `description` is the text of its `tfbert.json`.
    ///
    /// # Errors
    ///
    /// The checkpoint cannot be read or the folder not be written.
    fn export(&mut self, prefix: &Path, into: &Path, description: &str) -> Result<()>;
}

/// Settings by name: numbers, texts, truth values.
pub type Settings = std::collections::BTreeMap<String, serde_json::Value>;

/// Where numbers over steps go. What is written after a checkpoint is cut off when a run is
/// resumed from it, so that the curves have neither gaps nor doubles.
pub trait Scalars {
    /// Goes on after the first `bytes`, what the checkpoint knows of; 0 begins anew.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    fn open(&mut self, bytes: u64) -> Result<()>;

    /// Writes what the run is made of: its settings by name, and a text of them in Markdown. It
    /// comes first in a new run.
    ///
    /// # Errors
    ///
    /// The disk is full.
    fn describe(&mut self, settings: &Settings, text: &str) -> Result<()>;

    /// Says that the run is complete; its last word.
    ///
    /// # Errors
    ///
    /// The disk is full.
    fn complete(&mut self) -> Result<()>;

    /// Writes the values that belong to a step.
    ///
    /// # Errors
    ///
    /// The disk is full.
    fn write(&mut self, step: usize, values: &[(String, f64)]) -> Result<()>;

    /// Writes the precision-recall curves of an evaluation after a step, each with its name. All curves
    /// must have the same number of thresholds.
    ///
    /// # Errors
    ///
    /// The disk is full.
    fn write_curves(&mut self, step: usize, curves: &[(String, CurveRows)]) -> Result<()>;

    /// Makes all values so far survive a power cut; how many bytes they are.
    ///
    /// # Errors
    ///
    /// The disk fails.
    fn sync(&mut self) -> Result<u64>;
}

/// A precision-recall curve. The rows are true positives, false positives, true negatives, false negatives,
/// precision and recall; each has one value per threshold.
pub type CurveRows = [Vec<f32>; 6];

/// Keeps nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoScalars;

impl Scalars for NoScalars {
    fn open(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    fn describe(&mut self, _settings: &Settings, _text: &str) -> Result<()> {
        Ok(())
    }

    fn complete(&mut self) -> Result<()> {
        Ok(())
    }

    fn write(&mut self, _step: usize, _values: &[(String, f64)]) -> Result<()> {
        Ok(())
    }

    fn write_curves(&mut self, _step: usize, _curves: &[(String, CurveRows)]) -> Result<()> {
        Ok(())
    }

    fn sync(&mut self) -> Result<u64> {
        Ok(0)
    }
}
