//! The batches of an evaluation: computed by one worker or shared out to several.

use std::sync::atomic::{AtomicI32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::{EncodedDataset, Evaluation, EvaluationSettings};
use crate::batch::{
    BatchLayout, PlannedBatch, evaluation_plan, padding_share, parallel_for_each, prefetch,
};
use crate::error::{Error, Result};
use crate::feature::Features;
use crate::model::{Batch, Logits, Predictor};
use crate::prediction::FeatureLogits;
use crate::report::Progress;
use crate::stages;
use crate::task::Head;

/// What a worker found of one batch, for the chief.
#[derive(Serialize, Deserialize)]
pub(super) struct BatchResult {
    /// The batch's place in the plan.
    place: usize,
    loss: (Option<f64>, f64),
    /// Of each of its features, in the plan's order.
    logits: Vec<Vec<f32>>,
}

/// An evaluation's batches.
pub(super) struct Work<'a> {
    head: Head,
    data: &'a EncodedDataset,
    settings: &'a EvaluationSettings,
    plan: Vec<PlannedBatch>,
    start: Instant,
}

impl<'a> Work<'a> {
    pub(super) fn new(
        head: Head,
        data: &'a EncodedDataset,
        settings: &'a EvaluationSettings,
    ) -> Self {
        let start = Instant::now();
        let plan = evaluation_plan(&data.features, settings.rows, settings.profile.batch_tokens);
        Self { head, data, settings, plan, start }
    }

    /// The batches of one of `count` workers, with their places in the plan.
    fn own(&self, index: usize, count: usize) -> Vec<(usize, &PlannedBatch)> {
        self.plan.iter().enumerate().skip(index).step_by(count).collect()
    }

    /// Computes the batches of worker `index` of `count`.
    pub(super) fn compute(
        &self,
        model: &dyn Predictor,
        stop: &AtomicI32,
        (index, count): (usize, usize),
    ) -> Result<Found> {
        let Self { head, settings, .. } = *self;
        let features = &self.data.features;
        let own = self.own(index, count);
        let found = Mutex::new(Found {
            logits: FeatureLogits::new(features.len()),
            losses: vec![(None, 0.0); self.plan.len()],
        });
        let progress = settings.progress.then(|| Progress::new("evaluate", own.len(), 0));
        let progress = Mutex::new((progress, 0));
        let layout = BatchLayout {
            head,
            pad_token_id: settings.pad_token_id,
            class_weights: &[],
            mask_seed: 0,
        };
        let lay_out = |(_, planned): &(usize, &PlannedBatch)| layout.lay_out(features, planned);
        prefetch(own.iter().map(lay_out), |batches| {
            parallel_for_each(batches, settings.profile.parallel_batches, |nth, batch| {
                let signal = stop.load(Ordering::SeqCst);
                if signal != 0 {
                    return Err(Error::interrupted(signal, "during an evaluation"));
                }
                let forward = model.forward(&batch).map_err(|error| {
                    error.context(format!(
                        "evaluation (batch {} × {})",
                        batch.rows(),
                        batch.length()
                    ))
                })?;
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                keep(&mut found.logits, features, &batch, &forward.logits)?;
                found.losses[own[nth].0] = (forward.loss, f64::from(batch.weight_sum()));
                drop(found);
                let (progress, done) =
                    &mut *progress.lock().unwrap_or_else(PoisonError::into_inner);
                *done += 1;
                if let Some(progress) = progress {
                    progress.update(*done, String::new);
                }
                Ok(())
            })
        })?;
        if let Some(progress) = progress.into_inner().unwrap_or_else(PoisonError::into_inner).0 {
            progress.finish();
        }
        Ok(found.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// What a worker has to tell the chief.
    pub(super) fn part(&self, found: &Found, index: usize, count: usize) -> Vec<BatchResult> {
        let result = |(place, batch): (usize, &PlannedBatch)| {
            let logits = batch.features.iter().map(|&feature| found.logits.get(feature).to_vec());
            BatchResult { place, loss: found.losses[place], logits: logits.collect() }
        };
        self.own(index, count).into_iter().map(result).collect()
    }

    /// Adds what another worker found.
    pub(super) fn merge(&self, into: &mut Found, part: Vec<BatchResult>) -> Result<()> {
        for BatchResult { place, loss, logits } in part {
            let batch = self.plan.get(place).filter(|batch| batch.features.len() == logits.len());
            let batch = batch.ok_or_else(|| {
                Error::new("a worker's part of an evaluation is of another development file")
            })?;
            into.losses[place] = loss;
            for (&feature, values) in batch.features.iter().zip(&logits) {
                into.logits.set(feature, values);
            }
        }
        Ok(())
    }

    /// Predictions from the logits of all batches.
    pub(super) fn conclude(&self, found: &Found) -> Result<Evaluation> {
        let EncodedDataset { dataset, features } = self.data;
        let settings = &self.settings.prediction;
        Ok(Evaluation {
            predictions: stages::predictions(
                self.head,
                dataset,
                features,
                &found.logits,
                settings,
            )?,
            loss: mean_loss(&found.losses),
            duration: self.start.elapsed(),
            padding: padding_share(features, &self.plan),
        })
    }
}

/// What is known while batches are computed, which end in any order.
pub(super) struct Found {
    logits: FeatureLogits,
    /// Each batch's loss and the weight of its labels, added up in the order of the batches, so
    /// that sums repeat to the digit.
    losses: Vec<(Option<f64>, f64)>,
}

/// The mean loss of a label, where the model computes losses and a label has weight.
fn mean_loss(losses: &[(Option<f64>, f64)]) -> Option<f64> {
    let weight: f64 = losses.iter().map(|(_, weight)| weight).sum();
    let loss: f64 = losses.iter().map(|(loss, _)| *loss).sum::<Option<f64>>()?;
    (weight > 0.0).then_some(loss / weight)
}

/// Keeps the logits of the rows that are features, without those of padding.
fn keep(
    into: &mut FeatureLogits,
    features: &Features,
    batch: &Batch,
    found: &Logits,
) -> Result<()> {
    let rows = batch.rows();
    let row_size: usize = found.shape[1..].iter().product();
    if found.shape.first() != Some(&rows) || found.values.len() != rows * row_size {
        return Err(Error::new(format!(
            "the model gave logits of shape {:?} for a batch of {rows} rows",
            found.shape
        )));
    }
    for (row, &feature) in batch.features.iter().enumerate() {
        let values = &found.values[row * row_size..(row + 1) * row_size];
        let by_position = found.shape.len() == 3 && found.shape[1] == batch.length();
        let size = if by_position { features.length(feature) * found.shape[2] } else { row_size };
        into.set(feature, &values[..size]);
    }
    Ok(())
}
