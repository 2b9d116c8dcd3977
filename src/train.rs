//! Training: the loop over steps. Evaluations are in [`evaluation`], what is written in
//! [`recorder`].

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use signal_hook::consts::SIGTERM;

use crate::batch::{BatchLayout, Buckets, PlannedBatch, padding_share, prefetch, training_plan};
use crate::cluster::Cluster;
use crate::dataset::Labels;
use crate::error::{Error, Result};
use crate::evaluate::EncodedDataset;
use crate::feature::{FeatureSizes, FeatureStore};
use crate::files::replace_folder;
use crate::kubeflow::Reporter;
use crate::model::{
    Batch, BatchProfile, EncoderFacts, Model, Scalars, Signals, StepInputs, StepOutcome,
};
use crate::report::Progress;
use crate::run::{Best, Checkpoints, RunFolder, StoppedBy, Times};
use crate::saved_model::TrainingRecord;
use crate::settings::{OnNan, RunOptions, TrainSettings};
use crate::task::Task;

mod evaluation;
mod final_model;
mod line;
mod plan;
mod recorder;
mod shared;
mod start;
mod status;
mod timing;
mod warnings;

use final_model::training_record;
pub use plan::StepPlan;
use recorder::Recorder;
use shared::StepBatches;
use status::Reports;
use timing::{Timing, timed};
pub use warnings::{Facts, warnings};

/// The flags of `tfbert train` that make a step need less memory.
const STEP_MEMORY_HINT: &str = "memory ran out: use a smaller `--batch-size` or `--max-length`, or \
                                compute each batch in parts with `--accumulate N`";

/// What is trained on what.
pub struct Job<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its labels.
    pub labels: &'a Labels,
    /// What the result depends on.
    pub settings: &'a TrainSettings,
    /// How the run is saved.
    pub options: &'a RunOptions,
    /// The training file's features.
    pub train: &'a FeatureStore,
    /// The development files, in the task's order; the first selects the best checkpoint.
    pub dev: &'a [EncodedDataset],
    /// The encoder that is trained.
    pub encoder: EncoderFacts,
    /// How the device computes batches best.
    pub profile: BatchProfile,
    /// The text of the final model's `tfbert.json`.
    pub describe: &'a (dyn Fn(TrainingRecord) -> Result<String> + Sync),
    /// The run's folder.
    pub folder: &'a RunFolder,
    /// Whether to continue from the newest checkpoint.
    pub resume: bool,
    /// The number of a signal that asks to stop, 0 before one comes.
    pub stop: &'a AtomicI32,
    /// The other workers, where there are any. The chief alone writes into the folder.
    pub cluster: Option<&'a Cluster>,
    /// Whether the run ends after an evaluation, before its last step.
    pub ends_early: Option<&'a EndsEarly<'a>>,
    /// Where the progress is reported.
    pub reporter: Option<&'a Reporter>,
}

/// Says why a run ends after an evaluation, if it does. It is given the epochs done and the best value
/// of the selecting metric so far.
pub type EndsEarly<'a> = dyn Fn(f64, f64) -> Option<String> + Sync + 'a;

impl Job<'_> {
    /// The signal that asks to stop, if one came.
    fn signal(&self) -> Option<i32> {
        Some(self.stop.load(Ordering::SeqCst)).filter(|&signal| signal != 0)
    }

    /// Whether this process writes the run's folder.
    fn is_chief(&self) -> bool {
        self.cluster.is_none_or(Cluster::is_chief)
    }
}

/// What training came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Updates of the whole run.
    pub steps: usize,
    /// The best evaluation.
    pub best: Best,
    /// Updates left out since their gradient was not finite.
    pub skipped: usize,
    /// What ended the run before its last step.
    pub stopped_by: Option<StoppedBy>,
    /// Time spent in this process.
    pub duration: Duration,
    /// Time from the start of training to the end of the first step.
    pub first_step: Duration,
    /// Time that steps waited for batches.
    pub waited: Duration,
    /// The fraction of padding among the tokens of the last epoch.
    pub padding: f64,
    /// Where the time went; the whole command completes it.
    pub times: Times,
}

/// Trains, evaluates, keeps the best, and writes the final model.
///
/// # Errors
///
/// The model or the disk fails; a loss is not finite (unless skipped); a signal came. What is
/// complete on disk stays, and the error says how to continue.
pub fn train(job: &Job<'_>, model: &mut dyn Model, scalars: &mut dyn Scalars) -> Result<Outcome> {
    let mut trainer = Trainer::begin(job, model, scalars)?;
    trainer.run()?;
    trainer.complete()
}

/// Trains beside the chief, which evaluates, keeps the best, and writes.
///
/// # Errors
///
/// As [`train`].
pub fn assist(job: &Job<'_>, model: &mut dyn Model, scalars: &mut dyn Scalars) -> Result<()> {
    Trainer::begin(job, model, scalars)?.run()
}

struct Trainer<'a> {
    job: &'a Job<'a>,
    model: &'a mut dyn Model,
    plan: StepPlan,
    recorder: Recorder<'a>,
    buckets: Buckets,
    started: Instant,
    timing: Timing,
    /// What any worker asked for in the last step.
    agreed: Signals,
    reports: Reports<'a>,
}

impl<'a> Trainer<'a> {
    fn begin(
        job: &'a Job<'a>,
        model: &'a mut dyn Model,
        scalars: &'a mut dyn Scalars,
    ) -> Result<Self> {
        let settings = job.settings;
        let plan = StepPlan::new(settings, job.train.len());
        let checkpoints = Checkpoints::new(job.folder.dir());
        checkpoints.clean();
        let state = start::weights(job, model, &checkpoints, plan.total())?;
        let BatchProfile { shape_cost, .. } = job.profile;
        let buckets = plan.batch_lengths(job.train, settings, shape_cost, job.encoder.max_length);
        let reports = Reports::new(job.reporter, plan.total(), settings.epochs, state.step);
        Ok(Self {
            job,
            model,
            reports,
            recorder: Recorder::open(job, checkpoints, state, scalars)?,
            plan,
            buckets,
            started: Instant::now(),
            timing: Timing::default(),
            agreed: Signals::default(),
        })
    }

    /// The signal that stops the run. Several workers stop together, after the step in which all of
    /// them know of it.
    fn signal(&self) -> Option<i32> {
        let own = self.job.signal();
        match self.job.cluster {
            None => own,
            Some(_) => self.agreed.stop.then(|| own.unwrap_or(SIGTERM)),
        }
    }

    /// All steps, evaluations and checkpoints.
    fn run(&mut self) -> Result<()> {
        let total = self.plan.total();
        let step = self.recorder.step();
        if let Some(signal) = self.signal().filter(|_| step < total) {
            return Err(self.recorder.interrupted(signal)); // Nothing was done that is not saved.
        }
        let mut progress = Progress::new("train", total, step);
        if step > 0 && self.plan.is_evaluated_after(step) {
            // A signal may have come before the evaluation of the step that is resumed from.
            self.after_step(&mut progress)?;
        }
        while self.recorder.step() < total && !self.recorder.stops_early() {
            self.epoch(&mut progress)?;
        }
        progress.finish();
        timed(&mut self.timing.saving, || self.recorder.finish(self.model))
    }

    /// Writes the final model.
    fn complete(mut self) -> Result<Outcome> {
        let best = self.recorder.best()?;
        let exporting = Instant::now();
        self.export(&best)?;
        self.reports.complete();
        self.timing.end = exporting.elapsed();
        Ok(Outcome {
            steps: self.recorder.step(),
            best,
            skipped: self.recorder.skipped(),
            stopped_by: self
                .recorder
                .stopped_by()
                .filter(|_| self.recorder.step() < self.plan.total()),
            duration: self.started.elapsed(),
            first_step: self.timing.first_step.unwrap_or_default(),
            waited: self.timing.waited,
            padding: self.timing.padding,
            times: self.timing.times(),
        })
    }

    /// The rest of the current epoch, or of the run.
    fn epoch(&mut self, progress: &mut Progress) -> Result<()> {
        let job = self.job;
        let settings = job.settings;
        let step = self.recorder.step();
        let epoch = self.plan.epoch(step);
        let batches =
            training_plan(job.train, &self.buckets, settings.batch_size, settings.seed, epoch);
        self.timing.padding = padding_share(job.train, &batches);
        let rest = &batches[self.plan.batch(step)..];
        let rest = &rest[..rest.len().min(self.plan.total() - step)];
        let lay_out = |planned| StepBatches::lay_out(job, planned, epoch);
        let waited = prefetch(rest.iter().map(lay_out), |batches| -> Result<Duration> {
            for batch in batches.by_ref() {
                self.step(&batch?)?;
                let (step, loss) = (self.recorder.step(), self.recorder.mean_loss());
                self.reports.step(step, self.plan.epochs_done(step), loss);
                progress.update(step, || {
                    loss.map_or_else(String::new, |loss| format!("loss {loss:.4}"))
                });
                self.after_step(progress)?;
                if self.recorder.stops_early() {
                    break;
                }
            }
            Ok(batches.waited())
        })?;
        self.timing.waited += waited;
        Ok(())
    }

    /// One update, from the parts of a batch.
    fn step(&mut self, batches: &StepBatches) -> Result<()> {
        let step = self.recorder.step();
        let learning_rate = self.plan.schedule.learning_rate(step);
        let inputs = self.step_inputs(batches, step, learning_rate);
        let batch = &batches.parts;
        log::trace!("step {}: features {:?}", step + 1, features_of(batch));
        let computing = Instant::now();
        let outcome = self.model.train(batch, &inputs).map_err(|error| {
            if let Some(cluster) = self.job.cluster {
                cluster.wait_for_cause();
            }
            let (rows, length) = (batch[0].rows(), batch[0].length());
            error
                .context(format!("step {} (batch {rows} × {length})", step + 1))
                .hint_if_out_of_memory(STEP_MEMORY_HINT)
        })?;
        self.timing.step(batch, computing.elapsed());
        let StepOutcome { loss, grad_norm, signals, own_loss } = outcome;
        self.agreed = signals;
        if let Some(cluster) = self.job.cluster {
            cluster.report_norm(step + 1, grad_norm)?;
            if signals.stop {
                cluster.set_stops();
            }
        }
        let finite = loss.is_finite() && grad_norm.is_finite();
        // The graph leaves an update out by the gradient's norm alone (`docs/contract.md`).
        let skips = self.job.options.on_nan == OnNan::Skip && !grad_norm.is_finite();
        if !finite && !skips {
            self.recorder.wait()?;
            if let Some(cluster) = self.job.cluster
                && !loss.is_finite()
                && own_loss.is_finite()
            {
                // The worker whose rows are the cause ends this one, and is named.
                cluster.wait_for_cause();
            }
            return Err(self.not_finite(outcome, learning_rate, &batch[0]));
        }
        self.timing.first_step.get_or_insert_with(|| self.started.elapsed());
        let epoch = self.plan.epochs_done(step + 1);
        let evaluates = self.plan.is_evaluated_after(step + 1);
        self.recorder.record_step(outcome, learning_rate, epoch, evaluates)
    }

    fn step_inputs(&self, batches: &StepBatches, step: usize, learning_rate: f32) -> StepInputs {
        let settings = self.job.settings;
        let layers = self.job.encoder.num_hidden_layers;
        let parts = batches.parts.len();
        // No two parts of a step draw the same masks, on whichever workers they are.
        let first = shared::worker(self.job).0 * parts;
        let seeds = (first..first + parts).map(|part| dropout_seed(settings.seed, step, part));
        let signals = Signals {
            stop: self.job.signal().is_some(),
            save: self.job.is_chief() && self.recorder.is_late(),
        };
        StepInputs {
            update: settings.adamw.inputs(learning_rate, step, layers),
            weight_sum: batches.weight_sum,
            dropout: settings.dropout,
            dropout_seeds: seeds.collect(),
            label_smoothing: settings.label_smoothing,
            shared: batches.shared(self.job, signals),
        }
    }

    fn not_finite(&self, outcome: StepOutcome, learning_rate: f32, part: &Batch) -> Error {
        let StepOutcome { loss, grad_norm, own_loss, .. } = outcome;
        let step = self.recorder.step();
        let own = match self.job.cluster {
            Some(_) => format!(" ({own_loss} of this worker's rows)"),
            None => String::new(),
        };
        let kept = match self.recorder.saved_step() {
            Some(step) => format!("the checkpoint after step {step} is kept"),
            None => "no checkpoint was written yet".to_owned(),
        };
        let error = Error::not_finite(format!(
            "step {}: the loss is {loss}{own}, the gradient's norm {grad_norm}, at learning rate \
             {learning_rate:e}, batch {} of epoch {} ({} × {}); {kept}",
            step + 1,
            self.plan.batch(step) + 1,
            self.plan.epoch(step) + 1,
            part.rows(),
            part.length()
        ));
        // The folder of a worker that is not the chief is removed.
        let error = if self.job.is_chief() { error.at(self.job.folder.dir()) } else { error };
        error.hint(if grad_norm.is_finite() {
            "the gradient was finite, so the update was made and cannot be skipped; start over with \
             `--overwrite` and a lower `--learning-rate` or `--precision f32`"
        } else {
            "`--resume --on-nan skip` leaves out such updates; or start over with `--overwrite` and a \
             lower `--learning-rate` or `--precision f32`"
        })
    }

    /// Evaluation, checkpoint and signals between two steps.
    fn after_step(&mut self, progress: &mut Progress) -> Result<()> {
        let step = self.recorder.step();
        let evaluates =
            self.plan.is_evaluated_after(step) && self.recorder.evaluated_step() != step;
        if evaluates && self.signal().is_none() {
            let evaluating = Instant::now();
            let found = progress.suspend(|| self.evaluate());
            self.timing.evaluation += evaluating.elapsed();
            match found {
                Err(_) if self.signal().is_some() => {} // Repeated when the run is resumed.
                result => result?,
            }
        }
        let signal = self.signal();
        let ends = signal.is_some() || self.agreed.save;
        timed(&mut self.timing.saving, || self.recorder.save_if_due(self.model, evaluates, ends))?;
        let is_last = step == self.plan.total() || self.recorder.stops_early();
        let complete = is_last && self.recorder.evaluated_step() == step;
        match signal {
            Some(signal) if !complete => {
                self.recorder.wait()?;
                Err(self.recorder.interrupted(signal))
            }
            _ => Ok(()),
        }
    }

    fn evaluate(&mut self) -> Result<()> {
        let step = self.recorder.step();
        let epoch = self.plan.epochs_done(step);
        self.model.flush()?;
        let found = evaluation::evaluate(self.job, self.model, step, epoch)?;
        self.reports.evaluated(&found);
        self.recorder.record_curves(&evaluation::curves(self.job, &found))?;
        if self.recorder.record_evaluation(&found, epoch)? {
            self.job.folder.check_held()?;
            evaluation::analyse(self.job, step, &found)?.write(self.job.folder.dir())?;
        }
        if let (Some(rule), Some(best)) = (self.job.ends_early, self.recorder.best_value())
            && step < self.plan.total()
            && let Some(reason) = rule(epoch, best)
        {
            log::info!("step {step}: {reason}, so training ends");
            self.recorder.end_by_median_rule();
        }
        Ok(())
    }

    fn export(&mut self, best: &Best) -> Result<()> {
        let job = self.job;
        let weights = self.recorder.best_weights(best)?;
        let description = (job.describe)(training_record(job, best))?;
        replace_folder(&job.folder.model(), |into| self.model.export(&weights, into, &description))
    }
}

/// The features of a step, by their numbers in the training file.
fn features_of(batch: &[Batch]) -> Vec<usize> {
    batch.iter().flat_map(|part| part.features.iter().copied()).collect()
}

/// The parts of a planned batch, of `rows` rows each, one after the other computed as one update.
/// Where a number of `parts` is given, parts without features make up for those that are missing.
fn lay_out_parts(
    job: &Job<'_>,
    planned: &PlannedBatch,
    epoch: usize,
    rows: usize,
    parts: usize,
) -> Result<Vec<Batch>> {
    let settings = job.settings;
    let features = job.train.load(&planned.features)?;
    // Other words are hidden in each epoch; a batch is known by its first feature.
    let first = planned.features.first().copied().unwrap_or(0);
    let mask_seed = mix(mix(mix(settings.seed) ^ epoch as u64) ^ first as u64);
    let layout = BatchLayout {
        head: job.task.head,
        pad_token_id: job.encoder.pad_token_id,
        class_weights: &settings.class_weights,
        mask_seed,
    };
    let indices: Vec<usize> = (0..features.len()).collect();
    let missing = match parts {
        usize::MAX => 0,
        parts => parts.saturating_sub(indices.len().div_ceil(rows)),
    };
    let parts = indices.chunks(rows.max(1)).chain(std::iter::repeat_n(&[][..], missing));
    let batches = parts.map(|part| {
        let part = PlannedBatch { features: part.to_vec(), rows, length: planned.length };
        let mut batch = layout.lay_out(&features, &part);
        // Their numbers in the training file, not in what was loaded of it.
        batch.features = part.features.iter().map(|&index| planned.features[index]).collect();
        batch
    });
    Ok(batches.collect())
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Two numbers that no other part of a batch in any run with another seed is likely to have.
///
/// SplitMix64 over seed, step and part.
fn dropout_seed(seed: u64, step: usize, part: usize) -> [i32; 2] {
    let bits = mix(mix(mix(seed) ^ step as u64) ^ part as u64);
    [bits as u32 as i32, (bits >> 32) as u32 as i32]
}
