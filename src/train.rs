//! Training: steps, evaluations, checkpoints, and the final model.

use std::path::Path;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use crate::batch::{Batch, Buckets, PlannedBatch, padding_share, prefetch, training_plan};
use crate::dataset::Labels;
use crate::error::{Error, Result};
use crate::evaluate::{self, InTraining, Prepared};
use crate::feature::{FeatureSizes, FeatureStore};
use crate::files::replace_folder;
use crate::model::{Model, Scalars, StepOutcome, StepSettings};
use crate::report::{Progress, duration};
use crate::run::{Best, Checkpoints, MetricsLog, RunFolder, State};
use crate::schedule::Schedule;
use crate::scores::Scores;
use crate::settings::{OnNan, TrainSettings};
use crate::task::Task;

mod final_model;
mod line;

use final_model::trained_contract;
use line::Line;

/// The time to compile a shape for training, in padding tokens that cost the same.
const SHAPE_COST: usize = 4_500;

/// The flags of `tfbert train` that make a step need less memory.
const STEP_MEMORY_HINT: &str = "memory ran out: use a smaller `--batch-size` or `--max-length`, or \
                                compute each batch in parts with `--accumulate N`";
/// The flag of `tfbert train` that makes an evaluation need less memory.
const EVALUATION_MEMORY_HINT: &str = "memory ran out: use a smaller `--eval-batch-size`";

/// What is trained on what.
pub struct Job<'a> {
    /// The task.
    pub task: &'a Task,
    /// Its labels.
    pub labels: &'a Labels,
    /// Hyper-parameters.
    pub settings: &'a TrainSettings,
    /// The training file's features.
    pub train: &'a FeatureStore,
    /// The development files, in the task's order; the first selects the best checkpoint.
    pub dev: &'a [Prepared],
    /// The run's folder.
    pub folder: &'a RunFolder,
    /// Whether to go on from the newest checkpoint.
    pub resume: bool,
    /// Checkpoints to keep beside the best.
    pub keep: usize,
    /// Time between two checkpoints, beside those by steps.
    pub save_interval: Option<Duration>,
    /// The number of a signal that asks to stop, 0 before one comes.
    pub stop: &'a AtomicI32,
}

/// What training came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// Updates of the whole run.
    pub steps: usize,
    /// The best evaluation.
    pub best: Best,
    /// Updates left out since their loss was not finite.
    pub skipped: usize,
    /// Time spent in this process.
    pub duration: Duration,
    /// Time from the start of training to the end of the first step.
    pub first_step: Duration,
    /// Time spent in training steps, after each shape's first.
    pub step_time: Duration,
    /// Time that steps waited for batches.
    pub waited: Duration,
    /// Share of padding among the tokens.
    pub padding: f64,
    /// Examples (features) trained on in this process.
    pub examples: usize,
}

/// Trains, evaluates, keeps the best, and writes the final model.
///
/// # Errors
///
/// The model or the disk fails; a loss is not finite (unless skipped); a signal came. What is
/// complete on disk stays, and the error says how to go on.
pub fn train(job: &Job<'_>, model: &mut dyn Model, scalars: &mut dyn Scalars) -> Result<Outcome> {
    Trainer::begin(job, model, scalars)?.run()
}

struct Trainer<'a> {
    job: &'a Job<'a>,
    model: &'a mut dyn Model,
    state: State,
    checkpoints: Checkpoints,
    log: MetricsLog,
    scalars: &'a mut dyn Scalars,
    schedule: Schedule,
    steps_per_epoch: usize,
    buckets: Buckets,
    layer_scale: Vec<f32>,
    started: Instant,
    timing: Timing,
    /// Step and last evaluation of the newest checkpoint.
    saved_step: Option<(usize, usize)>,
    saved_at: Instant,
}

#[derive(Default)]
struct Timing {
    first_step: Option<Duration>,
    step_time: Duration,
    waited: Duration,
    padding: f64,
    examples: usize,
}

impl<'a> Trainer<'a> {
    fn begin(
        job: &'a Job<'a>,
        model: &'a mut dyn Model,
        scalars: &'a mut dyn Scalars,
    ) -> Result<Self> {
        let settings = job.settings;
        let contract = model.contract();
        let (max_length, layers) = (contract.max_length, contract.encoder.num_hidden_layers);
        let steps_per_epoch = job.train.len().div_ceil(settings.batch_size);
        let total = settings.max_steps.unwrap_or(usize::MAX).min(steps_per_epoch * settings.epochs);
        let checkpoints = Checkpoints::new(job.folder.dir(), job.keep);
        checkpoints.clean();
        let mut state = State::default();
        if job.resume {
            let (found, warnings) = checkpoints.newest()?;
            warnings.iter().for_each(|warning| log::warn!("{warning}"));
            match found {
                Some(found) => {
                    found
                        .check(total)
                        .map_err(|error| error.at(&checkpoints.weights(found.step)))?;
                    model.restore(&checkpoints.weights(found.step))?;
                    log::info!("resuming after step {} of {total}", found.step);
                    state = found;
                }
                None => log::info!("no checkpoint to resume from: starting at step 0"),
            }
        }
        if state.step == 0 {
            let labels = job.task.head.logits_width(job.labels.len());
            model.init(labels, settings.seed)?;
        }
        let lengths = (0..job.train.len()).map(|feature| job.train.length(feature));
        let passes = total.div_ceil(steps_per_epoch.max(1)).max(1);
        let buckets = Buckets::choose(lengths, passes, SHAPE_COST, max_length);
        let log = MetricsLog::open(job.folder.dir(), state.log_bytes)?;
        scalars.open(state.events_bytes)?;
        Ok(Self {
            job,
            model,
            scalars,
            saved_at: Instant::now(),
            saved_step: (state.step > 0).then_some((state.step, state.evaluated)),
            state,
            checkpoints,
            log,
            schedule: Schedule::with_warmup_ratio(settings.learning_rate, settings.warmup, total),
            steps_per_epoch,
            buckets,
            layer_scale: settings.layer_scale(layers),
            started: Instant::now(),
            timing: Timing::default(),
        })
    }

    fn run(mut self) -> Result<Outcome> {
        let total = self.schedule.total;
        let signal = self.job.stop.load(Ordering::SeqCst);
        if signal != 0 && self.state.step < total {
            // Nothing is lost: what there is was saved before.
            return Err(interrupted(signal, self.saved_step, self.job.folder.dir()));
        }
        let mut progress = Progress::new("train", total, self.state.step);
        if self.state.step > 0 && self.is_evaluated_at(self.state.step) {
            // A signal may have come before the evaluation of the step that is resumed from.
            self.after_step(&mut progress)?;
        }
        while self.state.step < total {
            self.epoch(&mut progress)?;
        }
        progress.finish();
        self.save()?;
        self.checkpoints.wait()?;
        let best = self.best()?;
        self.export(&best)?;
        Ok(Outcome {
            steps: total,
            best,
            skipped: self.state.skipped,
            duration: self.started.elapsed(),
            first_step: self.timing.first_step.unwrap_or_default(),
            step_time: self.timing.step_time,
            waited: self.timing.waited,
            padding: self.timing.padding,
            examples: self.timing.examples,
        })
    }

    /// The rest of the current epoch, or of the run.
    fn epoch(&mut self, progress: &mut Progress) -> Result<()> {
        let job = self.job;
        let settings = job.settings;
        let plan = training_plan(
            job.train,
            &self.buckets,
            settings.batch_size,
            settings.seed,
            self.state.step / self.steps_per_epoch,
        );
        self.timing.padding = padding_share(job.train, &plan);
        let steps_left = self.schedule.total - self.state.step;
        let head = job.task.head;
        let pad = self.model.contract().encoder.pad_token_id;
        let micro_rows = settings.batch_size.div_ceil(settings.accumulate.max(1));
        let lay_out = |planned: &PlannedBatch| -> Result<Vec<Batch>> {
            let features = job.train.load(&planned.features)?;
            let indices: Vec<usize> = (0..features.len()).collect();
            let batches = indices.chunks(micro_rows).map(|part| {
                let weights = &settings.class_weights;
                let mut batch =
                    Batch::new(head, &features, part, micro_rows, planned.length, pad, weights);
                // Their numbers in the training file, not in what was loaded of it.
                batch.features = part.iter().map(|&index| planned.features[index]).collect();
                batch
            });
            Ok(batches.collect())
        };
        let todo = &plan[self.state.step % self.steps_per_epoch..];
        let todo = &todo[..todo.len().min(steps_left)];
        let waited = prefetch(todo.iter().map(lay_out), |batches| -> Result<Duration> {
            let mut shapes_seen = std::collections::HashSet::new();
            for batch in batches.by_ref() {
                let batch = batch?;
                let step_start = Instant::now();
                self.step(&batch)?;
                if self.timing.first_step.is_none() {
                    self.timing.first_step = Some(self.started.elapsed());
                }
                if !shapes_seen.insert(batch[0].length) {
                    self.timing.step_time += step_start.elapsed();
                }
                self.timing.examples += batch.iter().map(|part| part.features.len()).sum::<usize>();
                let loss = self.mean_loss();
                progress.update(self.state.step, || {
                    loss.map_or_else(String::new, |loss| format!("loss {loss:.4}"))
                });
                self.after_step(progress)?;
            }
            Ok(batches.waited())
        })?;
        self.timing.waited += waited;
        Ok(())
    }

    fn step(&mut self, batch: &[Batch]) -> Result<()> {
        let settings = self.job.settings;
        let step = self.state.step;
        let learning_rate = self.schedule.learning_rate(step);
        let power = |beta: f32| {
            if settings.bias_correction {
                f64::from(beta).powi(step as i32 + 1) as f32
            } else {
                0.0
            }
        };
        let step_settings = StepSettings {
            learning_rate,
            layer_scale: self.layer_scale.clone(),
            weight_decay: settings.weight_decay,
            beta1: settings.beta1,
            beta2: settings.beta2,
            epsilon: settings.epsilon,
            beta1_power: power(settings.beta1),
            beta2_power: power(settings.beta2),
            max_grad_norm: settings.max_grad_norm,
            dropout: settings.dropout,
            label_smoothing: settings.label_smoothing,
        };
        let seeds: Vec<_> =
            (0..batch.len()).map(|micro| dropout_seed(settings.seed, step, micro)).collect();
        let StepOutcome { loss, grad_norm } =
            self.model.train(batch, &step_settings, &seeds).map_err(|error| {
                let (rows, length) = (batch[0].rows, batch[0].length);
                error
                    .context(format!("step {} (batch {rows} × {length})", step + 1))
                    .hint_if_out_of_memory(STEP_MEMORY_HINT)
            })?;
        self.state.step += 1;
        if loss.is_finite() && grad_norm.is_finite() {
            self.state.loss_sum += f64::from(loss);
            self.state.loss_count += 1;
        } else if settings.on_nan == OnNan::Skip && !grad_norm.is_finite() {
            // The graph leaves an update out by the gradient's norm alone (`docs/contract.md`).
            self.state.skipped += 1;
            log::warn!(
                "step {}: the loss is {loss}, the gradient's norm {grad_norm}: skipped",
                step + 1
            );
        } else {
            self.checkpoints.wait()?;
            return Err(self.not_finite(loss, grad_norm, learning_rate, batch));
        }
        if self.state.step.is_multiple_of(settings.log_steps) {
            if let Some(loss) = self.mean_loss() {
                let epoch = self.epochs_done();
                let step = self.state.step;
                self.write(&Line::Step { step, epoch, loss, learning_rate, grad_norm })?;
            }
            self.state.loss_sum = 0.0;
            self.state.loss_count = 0;
        }
        Ok(())
    }

    fn not_finite(&self, loss: f32, grad_norm: f32, learning_rate: f32, batch: &[Batch]) -> Error {
        let step = self.state.step - 1; // Counted from 0, as epoch and batch are.
        let kept = match self.saved_step {
            Some((step, _)) => format!("the checkpoint after step {step} is kept"),
            None => "no checkpoint was written yet".to_owned(),
        };
        Error::new(format!(
            "step {}: the loss is {loss}, the gradient's norm {grad_norm}, at learning rate \
             {learning_rate:e}, batch {} of epoch {} ({} × {}); {kept}",
            self.state.step,
            step % self.steps_per_epoch + 1,
            step / self.steps_per_epoch + 1,
            batch[0].rows,
            batch[0].length
        ))
        .at(self.job.folder.dir())
        .hint(if grad_norm.is_finite() {
            "the gradient was finite, so the update was made and cannot be skipped; begin anew with \
             a lower `--learning-rate`, or `--precision f32`"
        } else {
            "`--resume --on-nan skip` leaves such updates out; or begin anew with a lower \
             `--learning-rate`, or `--precision f32`"
        })
    }

    fn write(&mut self, line: &Line<'_>) -> Result<()> {
        self.log.write(line)?;
        self.scalars.write(line.step(), &line.scalars())
    }

    /// Whether the run is evaluated after this step.
    fn is_evaluated_at(&self, step: usize) -> bool {
        step == self.schedule.total
            || step.is_multiple_of(self.job.settings.eval_steps.unwrap_or(self.steps_per_epoch))
    }

    /// Evaluation, checkpoint and signals between two steps.
    fn after_step(&mut self, progress: &mut Progress) -> Result<()> {
        let step = self.state.step;
        let evaluates = self.is_evaluated_at(step) && self.state.evaluated != step;
        let signal = || self.job.stop.load(Ordering::SeqCst);
        if evaluates && signal() == 0 {
            match progress.suspend(|| self.evaluate()) {
                Err(_) if signal() != 0 => {} // Repeated when the run is resumed.
                result => result?,
            }
        }
        let saves = evaluates
            || self.job.settings.save_steps.is_some_and(|steps| step.is_multiple_of(steps))
            || self.job.save_interval.is_some_and(|interval| self.saved_at.elapsed() >= interval);
        if saves || signal() != 0 {
            self.save()?;
        }
        if signal() != 0 && !(step == self.schedule.total && self.state.evaluated == step) {
            self.checkpoints.wait()?;
            return Err(interrupted(signal(), self.saved_step, self.job.folder.dir()));
        }
        Ok(())
    }

    fn mean_loss(&self) -> Option<f64> {
        (self.state.loss_count > 0).then(|| self.state.loss_sum / self.state.loss_count as f64)
    }

    fn epochs_done(&self) -> f64 {
        self.state.step as f64 / self.steps_per_epoch as f64
    }

    fn evaluate(&mut self) -> Result<()> {
        let job = self.job;
        let (step, epoch) = (self.state.step, self.epochs_done());
        let mut found: Vec<(String, Scores)> = Vec::new();
        let mut losses = Vec::new();
        for prepared in job.dev {
            let mut evaluation = evaluate::predict(
                job.task.head,
                prepared,
                &InTraining(self.model),
                job.settings.eval_batch_size,
                &job.settings.prediction(job.task),
                job.stop,
            )
            .map_err(|error| error.hint_if_out_of_memory(EVALUATION_MEMORY_HINT))?;
            let scores =
                evaluate::score_at_best_threshold(job.task, prepared, job.labels, &mut evaluation)?
                    .ok_or_else(|| {
                        Error::new("the development file has examples without labels")
                            .at(&prepared.dataset.path)
                    })?;
            let split = prepared.dataset.split.as_str();
            log::info!(
                "step {step} (epoch {epoch:.2}): {split} {}  loss {}  ({} examples in {}, {:.0}% padding)",
                evaluate::shown(&scores),
                evaluation.loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}")),
                prepared.dataset.examples.len(),
                duration(evaluation.duration),
                100.0 * evaluation.padding,
            );
            found.push((split.to_owned(), scores));
            losses.push(evaluation.loss);
        }
        for ((split, scores), loss) in found.iter().zip(losses) {
            let metrics = evaluate::to_json(scores);
            self.write(&Line::Evaluation { step, epoch, split, loss, metrics })?;
        }
        let metric = job.task.selecting_metric();
        let value = |scores: &[(String, Scores)]| scores.first().and_then(|(_, s)| s.get(metric));
        let better = match (&self.state.best, value(&found)) {
            (None, _) => true,
            (Some(best), Some(now)) => {
                value(&best.scores).is_none_or(|known| metric.is_better(now, known))
            }
            (Some(_), None) => false,
        };
        if better {
            self.state.best = Some(Best { step, scores: found });
        }
        self.state.evaluated = step;
        Ok(())
    }

    fn save(&mut self) -> Result<()> {
        if self.saved_step == Some((self.state.step, self.state.evaluated)) {
            return Ok(());
        }
        self.job.folder.check_held()?;
        self.state.log_bytes = self.log.sync()?;
        self.state.events_bytes = self.scalars.sync()?;
        self.checkpoints.save(&self.state, |prefix| self.model.save(prefix))?;
        self.saved_step = Some((self.state.step, self.state.evaluated));
        self.saved_at = Instant::now();
        Ok(())
    }

    fn best(&self) -> Result<Best> {
        self.state.best.clone().ok_or_else(|| Error::new("the run was never evaluated"))
    }

    fn export(&mut self, best: &Best) -> Result<()> {
        let job = self.job;
        job.folder.check_held()?;
        self.checkpoints.check(best.step).map_err(|error| {
            Error::new(format!(
                "the best checkpoint, of which the final model is made, is damaged: {error}"
            ))
            .hint("the same command with `--resume` trains it again from an earlier one")
        })?;
        let contract = trained_contract(self.model.contract(), job, best);
        let weights = self.checkpoints.weights(best.step);
        replace_folder(&job.folder.model(), |into| self.model.export(&weights, into, &contract))
    }
}

fn interrupted(signal: i32, saved: Option<(usize, usize)>, dir: &Path) -> Error {
    let when = match saved {
        Some((step, _)) => format!("after step {step}; its checkpoint is complete"),
        None => "before the first step".to_owned(),
    };
    Error::interrupted(signal, when).at(dir).hint("continue with the same command and `--resume`")
}

/// Two numbers that no other (micro-)batch of any run with another seed is likely to have.
///
/// SplitMix64 (Steele, Lea, Flood 2014) over seed, step and micro-batch.
fn dropout_seed(seed: u64, step: usize, micro: usize) -> [i32; 2] {
    let mix = |value: u64| {
        let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    let bits = mix(mix(mix(seed) ^ step as u64) ^ micro as u64);
    [bits as u32 as i32, (bits >> 32) as u32 as i32]
}
