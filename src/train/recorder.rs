//! What a run writes as it goes: `metrics.jsonl`, TensorBoard's events, checkpoints; and the best
//! evaluation so far.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::Job;
use super::evaluation::SplitScores;
use super::line::Line;
use crate::cluster::Cluster;
use crate::error::{Error, Result};
use crate::evaluate;
use crate::model::{CurveRows, Model, Scalars, Settings, StepOutcome};
use crate::run::{
    Action, Best, Checkpoints, MetricsLog, Moment, Retention, RunFolder, State, StoppedBy, flat,
};
use crate::task::Task;

pub(super) struct Recorder<'a> {
    task: &'a Task,
    folder: &'a RunFolder,
    log_steps: usize,
    patience: Option<usize>,
    min_delta: f64,
    state: State,
    checkpoints: Checkpoints,
    retention: Retention,
    log: MetricsLog,
    scalars: &'a mut dyn Scalars,
    /// Step and last evaluation of the newest checkpoint.
    saved: Option<(usize, usize)>,
    saved_at: Instant,
    cluster: Option<&'a Cluster>,
    /// Whether the chief said that `--patience` ends the run.
    told_to_end: bool,
}

impl<'a> Recorder<'a> {
    /// Goes on after `state`, the newest checkpoint's or that of a new run; what was written after
    /// it is cut off.
    pub(super) fn open(
        job: &Job<'a>,
        checkpoints: Checkpoints,
        state: State,
        scalars: &'a mut dyn Scalars,
    ) -> Result<Self> {
        let log = MetricsLog::open(job.folder.dir(), state.log_bytes)?;
        scalars.open(state.events_bytes)?;
        if state.events_bytes == 0 {
            let settings = settings_by_name(job)?;
            scalars.describe(&settings, &settings_text(&settings))?;
        }
        Ok(Self {
            task: job.task,
            folder: job.folder,
            log_steps: job.settings.log_steps,
            patience: job.settings.patience,
            min_delta: job.settings.min_delta,
            saved: (state.step > 0).then_some((state.step, state.evaluated)),
            saved_at: Instant::now(),
            state,
            checkpoints,
            retention: Retention::new(job.options),
            log,
            scalars,
            cluster: job.cluster,
            told_to_end: false,
        })
    }

    /// Whether a checkpoint is due because of the time since the last.
    pub(super) fn is_late(&self) -> bool {
        self.retention.is_late(self.saved_at.elapsed())
    }

    /// Updates done.
    pub(super) fn step(&self) -> usize {
        self.state.step
    }

    /// The step of the last evaluation.
    pub(super) fn evaluated_step(&self) -> usize {
        self.state.evaluated
    }

    /// The step of the newest checkpoint.
    pub(super) fn saved_step(&self) -> Option<usize> {
        self.saved.map(|(step, _)| step)
    }

    /// Updates left out since their gradient was not finite.
    pub(super) fn skipped(&self) -> usize {
        self.state.skipped
    }

    /// The mean loss since the last line of `metrics.jsonl`.
    pub(super) fn mean_loss(&self) -> Option<f64> {
        let State { loss_sum, loss_count, .. } = self.state;
        (loss_count > 0).then(|| loss_sum / loss_count as f64)
    }

    /// Counts an update, or one that was left out. Writes a line every `log_steps`, and before an
    /// evaluation, so that a short run has losses too.
    pub(super) fn record_step(
        &mut self,
        outcome: StepOutcome,
        learning_rate: f32,
        epoch: f64,
        evaluates: bool,
    ) -> Result<()> {
        let StepOutcome { loss, grad_norm, .. } = outcome;
        self.state.step += 1;
        let step = self.state.step;
        if loss.is_finite() && grad_norm.is_finite() {
            self.state.loss_sum += f64::from(loss);
            self.state.loss_count += 1;
        } else {
            self.state.skipped += 1;
            log::warn!("step {step}: the loss is {loss}, the gradient's norm {grad_norm}: skipped");
        }
        if evaluates || step.is_multiple_of(self.log_steps) {
            if let Some(loss) = self.mean_loss() {
                self.write(&Line::Step { step, epoch, loss, learning_rate, grad_norm })?;
            }
            self.state.loss_sum = 0.0;
            self.state.loss_count = 0;
        }
        Ok(())
    }

    /// Writes a line for each development split. Keeps the evaluation if it is the best, and says
    /// whether it is.
    pub(super) fn record_evaluation(&mut self, found: &[SplitScores], epoch: f64) -> Result<bool> {
        let step = self.state.step;
        self.state.evaluated = step;
        if found.is_empty() {
            self.agree_on_early_end()?;
            return Ok(false); // The chief has them.
        }
        for SplitScores { split, scores, loss, .. } in found {
            let metrics = evaluate::to_json(scores);
            self.write(&Line::Evaluation { step, epoch, split, loss: *loss, metrics })?;
        }
        let loss = found.first().and_then(|found| found.loss).filter(|loss| loss.is_finite());
        let scores =
            found.iter().map(|found| (found.split.clone(), found.scores.clone())).collect();
        let new = Best { step, scores, loss };
        self.count_improvement(selecting_value(self.task, &new));
        self.agree_on_early_end()?;
        let is_best = self.state.best.as_ref().is_none_or(|old| is_better(self.task, &new, old));
        if is_best {
            self.state.best = Some(new);
        }
        Ok(is_best)
    }

    /// Adds the curves of the evaluation after the current step to TensorBoard's events.
    pub(super) fn record_curves(&mut self, curves: &[(String, CurveRows)]) -> Result<()> {
        self.scalars.write_curves(self.state.step, curves)
    }

    /// Counts an evaluation for `--patience`.
    fn count_improvement(&mut self, value: Option<f64>) {
        let metric = self.task.selecting_metric();
        let improved = match (value, self.state.to_exceed) {
            (Some(new), Some(old)) => {
                metric.is_better(new, old) && (new - old).abs() > self.min_delta
            }
            (new, old) => new.is_some() && old.is_none(),
        };
        if improved {
            self.state.to_exceed = value;
            self.state.without_improvement = 0;
        } else {
            self.state.without_improvement += 1;
            if self.is_out_of_patience() {
                log::info!(
                    "step {}: `{}` was not better in {} evaluations in a row, so training ends",
                    self.state.step,
                    metric.name(),
                    self.state.without_improvement
                );
            }
        }
    }

    /// Has all workers end the run together where `--patience` ends it.
    fn agree_on_early_end(&mut self) -> Result<()> {
        if let (Some(cluster), Some(_)) = (self.cluster, self.patience) {
            self.told_to_end = cluster.share_early_end(self.stops_early())?;
        }
        Ok(())
    }

    fn is_out_of_patience(&self) -> bool {
        self.patience.is_some_and(|most| self.state.without_improvement >= most)
    }

    /// Ends the run after this evaluation, by the median rule of a sweep.
    pub(super) fn end_by_median_rule(&mut self) {
        self.state.stopped_by_median_rule = true;
    }

    /// What ends the run before its last step.
    pub(super) fn stopped_by(&self) -> Option<StoppedBy> {
        if self.state.stopped_by_median_rule {
            Some(StoppedBy::MedianRule)
        } else {
            self.is_out_of_patience().then_some(StoppedBy::Patience)
        }
    }

    /// Whether the run ends after its last evaluation.
    pub(super) fn stops_early(&self) -> bool {
        self.told_to_end || self.stopped_by().is_some()
    }

    /// The best value of the selecting metric so far.
    pub(super) fn best_value(&self) -> Option<f64> {
        selecting_value(self.task, self.state.best.as_ref()?)
    }

    fn write(&mut self, line: &Line<'_>) -> Result<()> {
        self.log.write(line)?;
        self.scalars.write(line.step(), &line.scalars())
    }

    /// Saves where the run's options ask for it, or the run ends.
    pub(super) fn save_if_due(
        &mut self,
        model: &mut dyn Model,
        evaluates: bool,
        ends: bool,
    ) -> Result<()> {
        let moment = Moment {
            step: self.state.step,
            best: self.state.best.as_ref().map(|best| best.step),
            evaluates,
            ends,
            // Several workers agree on what the chief's clock says.
            since_saved: match self.cluster {
                None => self.saved_at.elapsed(),
                Some(_) => Duration::ZERO,
            },
        };
        let position = (self.state.step, self.state.evaluated);
        if self.saved == Some(position) || !self.retention.is_due(moment) {
            return Ok(());
        }
        if let Some(cluster) = self.cluster {
            cluster.report_sums(self.state.step, model.checksum()?)?;
            if !cluster.is_chief() {
                self.saved = Some(position);
                return Ok(());
            }
        }
        self.folder.check_held()?;
        let actions = self.retention.actions(moment, &self.checkpoints.list()?);
        self.state.log_bytes = self.log.sync()?;
        self.state.events_bytes = self.scalars.sync()?;
        let deletions = actions.into_iter().filter_map(|action| match action {
            Action::Save => None,
            Action::Delete(step) => Some(step),
        });
        self.checkpoints.save(&self.state, deletions.collect(), |prefix| model.save(prefix))?;
        self.saved = Some(position);
        self.saved_at = Instant::now();
        Ok(())
    }

    /// Waits until the newest checkpoint is complete.
    pub(super) fn wait(&mut self) -> Result<()> {
        self.checkpoints.wait()
    }

    /// Saves the end of the run.
    pub(super) fn finish(&mut self, model: &mut dyn Model) -> Result<()> {
        self.save_if_due(model, false, true)?;
        self.wait()?;
        self.scalars.complete()
    }

    /// The best evaluation; warns where the metric could not choose it.
    pub(super) fn best(&self) -> Result<Best> {
        let best = self.state.best.clone();
        let best = best.ok_or_else(|| Error::new("the run was never evaluated"))?;
        if selecting_value(self.task, &best).is_none() {
            let chosen_by =
                if best.loss.is_some() { "the lowest loss" } else { "the last weights" };
            log::warn!(
                "{} was undefined at every evaluation: the model has {chosen_by} (step {})",
                self.task.selecting_metric(),
                best.step
            );
        }
        Ok(best)
    }

    /// The prefix of the best evaluation's weights. Its files are compared with their checksums, unless it
    /// is the newest checkpoint: saving it, or resuming from it, read the same files a moment ago.
    pub(super) fn best_weights(&self, best: &Best) -> Result<PathBuf> {
        self.folder.check_held()?;
        if self.saved_step() != Some(best.step) {
            self.checkpoints.check(best.step).map_err(|error| {
                Error::new(format!(
                    "the best checkpoint, of which the final model is made, is damaged: {error}"
                ))
                .hint("the same command with `--resume` trains it again from an earlier one")
            })?;
        }
        Ok(self.checkpoints.weights(best.step))
    }

    /// The error of a run that a signal ends.
    pub(super) fn interrupted(&self, signal: i32) -> Error {
        let when = match self.saved_step() {
            Some(step) => format!("after step {step}; its checkpoint is complete"),
            None => "before the first step".to_owned(),
        };
        Error::interrupted(signal, when)
            .at(self.folder.dir())
            .hint("continue with the same command and `--resume`")
    }
}

/// What TensorBoard shows of a run: the task, its settings, the labels' number.
fn settings_by_name(job: &Job<'_>) -> Result<Settings> {
    let mut settings = flat(job.settings)?;
    settings.insert("task".into(), job.task.name.as_str().into());
    Ok(settings)
}

/// The settings as a table in Markdown.
fn settings_text(settings: &Settings) -> String {
    let mut text = String::from("| setting | value |\n| --- | --- |\n");
    for (name, value) in settings {
        text += &format!("| {name} | {} |\n", value.to_string().replace('|', "\\|"));
    }
    text
}

/// The value that chooses the best: the task's first metric on the first development split.
fn selecting_value(task: &Task, of: &Best) -> Option<f64> {
    of.scores.first().and_then(|(_, scores)| scores.get(task.selecting_metric()))
}

/// Whether an evaluation is better than an earlier one. Of two with the same metric, the one of the
/// lower loss is better, else the earlier. One whose metric is undefined is worse than any other; of
/// two such, the one of the lower loss is better, and without losses the later one.
fn is_better(task: &Task, new: &Best, old: &Best) -> bool {
    match (selecting_value(task, new), selecting_value(task, old)) {
        (Some(value), Some(known)) if value == known => {
            matches!((new.loss, old.loss), (Some(new), Some(old)) if new < old)
        }
        (Some(new), Some(old)) => task.selecting_metric().is_better(new, old),
        (Some(_), None) => true,
        (None, Some(_)) => false,
        (None, None) => match (new.loss, old.loss) {
            (Some(new), Some(old)) => new < old,
            _ => true,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::Scores;

    fn evaluation(task: &Task, value: Option<f64>, loss: Option<f64>) -> Best {
        let scores = Scores { values: vec![(task.selecting_metric(), value)], ..Scores::default() };
        Best { step: 1, scores: vec![("dev".into(), scores)], loss }
    }

    #[test]
    fn the_best_has_the_highest_metric_else_the_lowest_loss_else_it_is_the_last() {
        let task = crate::task::find("stsb").unwrap();
        let better = |new: (Option<f64>, Option<f64>), old: (Option<f64>, Option<f64>)| {
            is_better(&task, &evaluation(&task, new.0, new.1), &evaluation(&task, old.0, old.1))
        };
        assert!(better((Some(0.2), Some(9.0)), (Some(0.1), Some(1.0))));
        assert!(better((Some(0.1), Some(1.0)), (Some(0.1), Some(9.0))), "the lower loss");
        assert!(!better((Some(0.1), Some(9.0)), (Some(0.1), Some(1.0))));
        assert!(!better((Some(0.1), Some(1.0)), (Some(0.1), Some(1.0))), "the first of equals");
        assert!(!better((Some(0.1), None), (Some(0.1), Some(1.0))), "the first of equals");
        assert!(better((Some(-0.5), Some(9.0)), (None, Some(1.0))));
        assert!(!better((None, Some(1.0)), (Some(-0.5), Some(9.0))));
        assert!(better((None, Some(1.0)), (None, Some(2.0))));
        assert!(!better((None, Some(2.0)), (None, Some(2.0))));
        assert!(better((None, None), (None, None)), "the last");
    }
}
