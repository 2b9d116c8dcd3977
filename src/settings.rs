//! The settings of a run: what its result depends on, and how it is saved.

use serde::{Deserialize, Serialize};

use crate::feature::FeatureSettings;
use crate::model::Precision;
use crate::optimizer::AdamW;
use crate::prediction::PredictionSettings;
use crate::schedule::{Decay, Schedule};
use crate::task::Task;

/// What to do when a loss or gradient is not a finite number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum OnNan {
    /// End the run; the last checkpoint stays.
    Stop,
    /// Leave the update out, count it, and continue.
    Skip,
}

/// How the learning rate goes on after the warm-up, by Hugging Face's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
#[clap(rename_all = "snake_case")]
pub enum LrScheduler {
    /// It falls in a line to 0.
    #[default]
    Linear,
    /// It falls to 0 as half a cosine.
    Cosine,
    /// It is the same from the first step on, without warm-up.
    Constant,
    /// It stays at the peak.
    ConstantWithWarmup,
}

impl LrScheduler {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// What follows the warm-up.
    pub fn decay(self) -> Decay {
        match self {
            Self::Linear => Decay::Linear,
            Self::Cosine => Decay::Cosine,
            Self::Constant | Self::ConstantWithWarmup => Decay::None,
        }
    }
}

fn is_zero(number: &f64) -> bool {
    *number == 0.0
}

/// What a run's result depends on, apart from data and model. All of it must be the same when the run
/// is resumed. The names are those of the flags.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Passes over the training file.
    pub epochs: usize,
    /// Ends the run early (and shortens the schedule) after so many updates.
    pub max_steps: Option<usize>,
    /// Features (rows) per update.
    pub batch_size: usize,
    /// Parts that an update's batch is computed in, one after the other.
    pub accumulate: usize,
    /// Most features (rows) per evaluation batch.
    pub eval_batch_size: usize,
    /// Peak learning rate.
    pub learning_rate: f32,
    /// The fraction of the steps in which the learning rate rises from 0.
    pub warmup: f64,
    /// Steps in which the learning rate rises from 0, where they are not a fraction of all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup_steps: Option<usize>,
    /// How the learning rate goes on after that.
    #[serde(default, skip_serializing_if = "LrScheduler::is_default")]
    pub lr_scheduler: LrScheduler,
    /// Ends the run once so many evaluations in a row were no better than the best before them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
    /// How much better an evaluation must be to count as better for that.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub min_delta: f64,
    /// The optimiser's numbers.
    #[serde(flatten)]
    pub adamw: AdamW,
    /// Dropout rate.
    pub dropout: f32,
    /// Label smoothing.
    pub label_smoothing: f32,
    /// Weight of each label in the loss, in the order of the labels; empty is all 1.
    pub class_weights: Vec<f32>,
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
    /// Updates between two lines of `metrics.jsonl`; a line comes also before each evaluation.
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
    /// A checkpoint is written also when so many minutes have passed since the last.
    pub save_minutes: Option<usize>,
    /// Number of newest checkpoints to keep, besides the best one and one to fall back to. 0 is as 1
    /// until the run is complete, and then none is kept.
    pub keep_checkpoints: usize,
    /// What to do when a loss is not finite.
    pub on_nan: OnNan,
}

impl Default for RunOptions {
    fn default() -> Self {
        Self { save_steps: None, save_minutes: None, keep_checkpoints: 0, on_nan: OnNan::Stop }
    }
}

impl TrainSettings {
    /// Steps of warm-up in a run of `total` steps.
    pub fn warmup_in(&self, total: usize) -> usize {
        match (self.lr_scheduler, self.warmup_steps) {
            (LrScheduler::Constant, _) => 0,
            (_, Some(steps)) => steps,
            (_, None) => Schedule::warmup_steps(self.warmup, total),
        }
    }

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
            warmup_steps: None,
            lr_scheduler: LrScheduler::default(),
            patience: None,
            min_delta: 0.0,
            adamw: AdamW::default(),
            dropout: 0.1,
            label_smoothing: 0.0,
            class_weights: Vec::new(),
            features: FeatureSettings::from_task(task),
            precision,
            seed: 1,
            limit_train: None,
            limit_dev: None,
            eval_steps: None,
            log_steps: DEFAULT_LOG_STEPS,
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
            label_thresholds: Vec::new(),
        }
    }
}

/// Updates between two lines of `metrics.jsonl`, unless a flag says otherwise.
pub const DEFAULT_LOG_STEPS: usize = 10;

/// Most features per evaluation batch, unless a flag says otherwise. Evaluation needs less memory than
/// training, and the same batches give the same digits.
pub const DEFAULT_EVAL_BATCH_SIZE: usize = 32;
