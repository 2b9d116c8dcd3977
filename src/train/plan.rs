//! The steps of a run: how many, which epoch they belong to, when the run is evaluated.

use crate::schedule::Schedule;
use crate::settings::TrainSettings;

/// The steps of a run. A step is one update; steps count from 0, so that `step` updates are done
/// when step `step` comes next.
#[derive(Debug, Clone, PartialEq)]
pub struct StepPlan {
    /// Steps of an epoch.
    pub per_epoch: usize,
    /// The learning rate of each step, and how many there are.
    pub schedule: Schedule,
    eval_steps: usize,
}

impl StepPlan {
    /// The plan for a training file of so many features.
    pub fn new(settings: &TrainSettings, features: usize) -> Self {
        let per_epoch = features.div_ceil(settings.batch_size);
        let all = per_epoch * settings.epochs;
        let total = settings.max_steps.map_or(all, |most| most.min(all));
        Self {
            per_epoch,
            schedule: Schedule {
                peak: settings.learning_rate,
                warmup: settings.warmup_in(total),
                total,
                decay: settings.lr_scheduler.decay(),
            },
            eval_steps: settings.eval_steps.unwrap_or(per_epoch),
        }
    }

    /// Steps of the run.
    pub fn total(&self) -> usize {
        self.schedule.total
    }

    /// The epoch of a step, from 0.
    pub fn epoch(&self, step: usize) -> usize {
        step / self.per_epoch
    }

    /// The place of a step in its epoch, from 0.
    pub fn batch(&self, step: usize) -> usize {
        step % self.per_epoch
    }

    /// Epochs that `step` updates make.
    pub fn epochs_done(&self, step: usize) -> f64 {
        step as f64 / self.per_epoch as f64
    }

    /// How many epochs the run begins, at least 1.
    pub fn passes(&self) -> usize {
        self.total().div_ceil(self.per_epoch.max(1)).max(1)
    }

    /// How many evaluations the run makes.
    pub fn evaluations(&self) -> usize {
        self.total().div_ceil(self.eval_steps.max(1))
    }

    /// Whether the run is evaluated once `step` updates are done.
    pub fn is_evaluated_after(&self, step: usize) -> bool {
        step == self.total() || step.is_multiple_of(self.eval_steps)
    }
}
