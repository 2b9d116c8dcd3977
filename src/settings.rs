//! The settings of a run: what its result depends on, and how it is saved.

use serde::{Deserialize, Serialize};

use crate::feature::FeatureSettings;
use crate::model::Precision;
use crate::prediction::PredictionSettings;
use crate::task::Task;

/// What to do when a loss or gradient is not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnNan {
    /// End the run; the last checkpoint stays.
    Stop,
    /// Leave the update out, count it, go on.
    Skip,
}

/// What a run's result depends on beside data and model. All of it must be the same when the run
/// is resumed. The names are those of the flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Passes over the training file.
    pub epochs: usize,
    /// Ends the run early (and shortens the schedule) after so many updates.
    pub max_steps: Option<usize>,
    /// Features an update.
    pub batch_size: usize,
    /// Micro-batches that an update's batch is computed in.
    pub accumulate: usize,
    /// Features an evaluation batch.
    pub eval_batch_size: usize,
    /// Peak learning rate.
    pub learning_rate: f32,
    /// Share of the steps in which the learning rate rises.
    pub warmup: f64,
    /// Decoupled weight decay, on all but biases and LayerNorm.
    pub weight_decay: f32,
    /// Adam's first decay rate.
    pub beta1: f32,
    /// Adam's second decay rate.
    pub beta2: f32,
    /// Adam's epsilon.
    pub epsilon: f32,
    /// Whether Adam corrects its moments' bias (Hugging Face does, Google's BERT does not).
    pub bias_correction: bool,
    /// Global norm that gradients are clipped to; 0 is off.
    pub max_grad_norm: f32,
    /// Dropout rate.
    pub dropout: f32,
    /// Label smoothing.
    pub label_smoothing: f32,
    /// Weight of each label in the loss, in the order of the labels; empty is all 1.
    pub class_weights: Vec<f32>,
    /// Factor on the learning rate from each layer to the one below it.
    pub layer_decay: f32,
    /// How many of the lowest parts keep their weights: 1 is the embeddings, 2 also the first layer.
    pub freeze: usize,
    /// How examples are cut.
    pub features: FeatureSettings,
    /// Number format of matrix products.
    pub precision: Precision,
    /// Seed of head, order and dropout.
    pub seed: u64,
    /// Only the first so many training examples.
    pub limit_train: Option<usize>,
    /// Only the first so many development examples.
    pub limit_dev: Option<usize>,
    /// Updates between two evaluations; by default once an epoch.
    pub eval_steps: Option<usize>,
    /// Updates between two lines of `metrics.jsonl`.
    pub log_steps: usize,
    /// Longest answer in word pieces.
    pub max_answer_length: usize,
    /// Spans kept of each question.
    pub n_best_size: usize,
}

/// How a run is saved, and what is done where it would stop: what may differ when it is resumed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOptions {
    /// Updates between two checkpoints; by default at every evaluation.
    pub save_steps: Option<usize>,
    /// Minutes between two checkpoints, beside those by steps.
    pub save_minutes: Option<usize>,
    /// Newest checkpoints to keep, beside the best and one to fall back to.
    pub keep_checkpoints: usize,
    /// What to do when a loss is not finite.
    pub on_nan: OnNan,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { save_steps: None, save_minutes: None, keep_checkpoints: 1, on_nan: OnNan::Stop }
    }
}

impl TrainSettings {
    /// A task's defaults.
    pub fn for_task(task: &Task, precision: Precision) -> Self {
        let defaults = &task.defaults;
        Self {
            epochs: defaults.epochs,
            max_steps: None,
            batch_size: defaults.batch_size,
            accumulate: 1,
            eval_batch_size: DEFAULT_EVAL_BATCH_SIZE,
            learning_rate: defaults.learning_rate,
            warmup: 0.1,
            weight_decay: 0.01,
            beta1: 0.9,
            beta2: 0.999,
            epsilon: 1e-6,
            bias_correction: true,
            max_grad_norm: 1.0,
            dropout: 0.1,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            layer_decay: 1.0,
            freeze: 0,
            features: FeatureSettings::from_task(task),
            precision,
            seed: 1,
            limit_train: None,
            limit_dev: None,
            eval_steps: None,
            log_steps: 10,
            max_answer_length: defaults.max_answer_length,
            n_best_size: defaults.n_best_size,
        }
    }

    /// How this run's logits become predictions.
    pub fn prediction(&self, task: &Task) -> PredictionSettings {
        PredictionSettings {
            max_answer_length: self.max_answer_length,
            n_best_size: self.n_best_size,
            version_2_with_negative: task.version_2_with_negative,
            null_threshold: 0.0,
        }
    }

    /// The factor on the learning rate of embeddings, each layer from the bottom, and the head.
    ///
    /// The head has 1; each part has `layer_decay` times what the part above it has; the lowest
    /// `freeze` parts have 0.
    pub fn layer_scale(&self, layers: usize) -> Vec<f32> {
        let parts = layers + 2;
        (0..parts)
            .map(|part| {
                if part < self.freeze {
                    0.0
                } else {
                    self.layer_decay.powi((parts - 1 - part) as i32)
                }
            })
            .collect()
    }
}

/// Features an evaluation batch, unless a flag says otherwise. Evaluation needs less memory than
/// training, and the same batches give the same digits.
pub const DEFAULT_EVAL_BATCH_SIZE: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layer_decay_and_freeze_scale_from_the_head_down() {
        let task = crate::task::find("sst2").unwrap();
        let mut settings = TrainSettings::for_task(&task, Precision::F32);
        settings.layer_decay = 0.5;
        settings.freeze = 2;
        assert_eq!(settings.layer_scale(2), [0.0, 0.0, 0.5, 1.0]);
    }
}
