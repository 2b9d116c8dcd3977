//! The steps of a run: how many, which epoch they belong to, when the run is evaluated.

use crate::batch::{Buckets, training_lengths};
use crate::feature::FeatureSizes;
use crate::schedule::Schedule;
use crate::settings::TrainSettings;

/// [`StepPlan::batch_lengths`] looks at the batches of at most this many epochs. More would delay the start of a
/// long run.
const PLANNED_EPOCHS: usize = 4;

/// The seed that shuffles these epochs. It is fixed and not the run's `--seed`, so that runs with different seeds
/// have the same shapes and use the same compiled programs.
const LENGTHS_SEED: u64 = 0;

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

    /// The lengths that the run's batches are padded to. `shape_cost` is that of
    /// [`BatchProfile`](crate::model::BatchProfile).
    pub fn batch_lengths(
        &self,
        train: &impl FeatureSizes,
        settings: &TrainSettings,
        shape_cost: usize,
        max_length: usize,
    ) -> Buckets {
        let epochs = self.passes().min(PLANNED_EPOCHS);
        let rows = settings.batch_size;
        let lengths =
            (0..epochs).flat_map(|epoch| training_lengths(train, rows, LENGTHS_SEED, epoch));
        // Each of these epochs stands for its share of all.
        let rows = (rows * self.passes()).div_ceil(epochs);
        Buckets::choose(lengths, rows, shape_cost, max_length)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feature::{FeatureTarget, Features, Sequence};
    use crate::model::Precision;

    /// The padded lengths of a run whose training file has 64 rows of each length from 4 to 63. `change`
    /// changes its settings.
    fn lengths(change: impl FnOnce(&mut TrainSettings)) -> Vec<usize> {
        let mut features = Features::default();
        for example in 0..64 * 60 {
            let length = 4 + example % 60;
            let sequence = Sequence { input_ids: &vec![7; length], second_segment: length };
            features.push(example, &[sequence], FeatureTarget::None);
        }
        let task = crate::task::find("sst2").unwrap();
        let mut settings = TrainSettings::for_task(&task, Precision::F32);
        change(&mut settings);
        let plan = StepPlan::new(&settings, features.len());
        plan.batch_lengths(&features, &settings, 4_500, 128).lengths().to_vec()
    }

    #[test]
    fn runs_with_other_seeds_have_the_same_lengths() {
        let of_seed = |seed| lengths(|settings| settings.seed = seed);
        assert_eq!(of_seed(1), of_seed(2));
        assert_eq!(of_seed(1).last(), Some(&63));
    }

    #[test]
    fn a_longer_run_has_more_lengths() {
        let of_epochs = |epochs| lengths(|settings| settings.epochs = epochs).len();
        assert!(of_epochs(1) < of_epochs(4), "{} and {}", of_epochs(1), of_epochs(4));
        assert!(of_epochs(4) < of_epochs(40), "{} and {}", of_epochs(4), of_epochs(40));
    }
}
