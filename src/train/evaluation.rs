//! Evaluations during training.

use super::Job;
use crate::error::{Error, Result};
use crate::evaluate::{self, InTraining, Prepared};
use crate::model::Model;
use crate::report::duration;
use crate::scores::Scores;

/// The flag of `tfbert train` that makes an evaluation need less memory.
const MEMORY_HINT: &str = "memory ran out: use a smaller `--eval-batch-size`";

/// What an evaluation found on one development split.
pub(super) struct SplitScores {
    /// The split's name.
    pub(super) split: String,
    pub(super) scores: Scores,
    /// Mean loss of the labels, where the model computes one.
    pub(super) loss: Option<f64>,
}

/// Evaluates every development split, in the task's order.
pub(super) fn evaluate(
    job: &Job<'_>,
    model: &dyn Model,
    step: usize,
    epoch: f64,
) -> Result<Vec<SplitScores>> {
    job.dev.iter().map(|prepared| split(job, model, prepared, step, epoch)).collect()
}

fn split(
    job: &Job<'_>,
    model: &dyn Model,
    prepared: &Prepared,
    step: usize,
    epoch: f64,
) -> Result<SplitScores> {
    let mut evaluation = evaluate::predict(
        job.task.head,
        prepared,
        &InTraining(model),
        job.settings.eval_batch_size,
        &job.settings.prediction(job.task),
        job.stop,
    )
    .map_err(|error| error.hint_if_out_of_memory(MEMORY_HINT))?;
    let scores =
        evaluate::score_at_best_threshold(job.task, prepared, job.labels, &mut evaluation)?
            .ok_or_else(|| {
                Error::new("the development file has examples without labels")
                    .at(&prepared.dataset.path)
            })?;
    let split = &prepared.dataset.split;
    log::info!(
        "step {step} (epoch {epoch:.2}): {split} {}  loss {}  ({} examples in {}, {:.0}% padding)",
        evaluate::shown(&scores),
        evaluation.loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}")),
        prepared.dataset.examples.len(),
        duration(evaluation.duration),
        100.0 * evaluation.padding,
    );
    Ok(SplitScores { split: split.clone(), scores, loss: evaluation.loss })
}
