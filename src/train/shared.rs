//! Which rows of each update a worker computes, and what all workers know of all rows.

use std::ops::Range;

use super::{Job, lay_out_parts};
use crate::batch::PlannedBatch;
use crate::error::Result;
use crate::model::{Batch, SharedInputs, Signals};

/// Numbers of token rows are rounded up, to multiples of this and by less than a quarter where they are
/// many: TensorFlow prepares a sum anew for every number that it has not seen.
const FINEST_STEP: usize = 64;

/// The batches of an update on this worker.
pub(super) struct StepBatches {
    /// Its own rows, in parts that are computed one after the other.
    pub(super) parts: Vec<Batch>,
    /// The weight of the labels of all rows, of other workers too.
    pub(super) weight_sum: f32,
    /// The ids of the tokens of all rows; none where there is one worker.
    pub(super) token_rows: Vec<i32>,
}

impl StepBatches {
    /// Lays out a planned batch, or this worker's rows of it.
    pub(super) fn lay_out(job: &Job<'_>, planned: &PlannedBatch, epoch: usize) -> Result<Self> {
        let (index, count) = worker(job);
        let settings = job.settings;
        let parts = settings.accumulate.max(1);
        if count == 1 {
            let rows = settings.batch_size.div_ceil(parts);
            let parts = lay_out_parts(job, planned, epoch, rows, usize::MAX)?;
            let weight_sum = parts.iter().map(Batch::weight_sum).sum();
            return Ok(Self { parts, weight_sum, token_rows: Vec::new() });
        }
        let whole = lay_out_parts(job, planned, epoch, planned.features.len(), 1)?;
        let own = own_rows(planned.features.len(), index, count);
        let own = PlannedBatch { features: planned.features[own].to_vec(), ..planned.clone() };
        let rows = settings.batch_size.div_ceil(count).div_ceil(parts);
        Ok(Self {
            // As many parts on every worker, since all of them update together.
            parts: lay_out_parts(job, &own, epoch, rows, parts)?,
            weight_sum: whole.iter().map(Batch::weight_sum).sum(),
            token_rows: token_rows(&whole, job.encoder.pad_token_id),
        })
    }

    /// What this worker tells the others, where there are any.
    pub(super) fn shared(&self, job: &Job<'_>, signals: Signals) -> Option<SharedInputs> {
        job.cluster.map(|_| SharedInputs { token_rows: self.token_rows.clone(), signals })
    }
}

/// Which worker this is, and of how many.
pub(super) fn worker(job: &Job<'_>) -> (usize, usize) {
    job.cluster.map_or((0, 1), |cluster| (cluster.workers().index(), cluster.workers().count()))
}

/// The rows of a batch of `rows` that a worker computes: the same number on each, or one more.
fn own_rows(rows: usize, index: usize, count: usize) -> Range<usize> {
    index * rows / count..(index + 1) * rows / count
}

/// The ids of all tokens in batches, and of padding, in ascending order; the last is repeated so that
/// there are few different numbers of them.
fn token_rows(batches: &[Batch], pad_token_id: i32) -> Vec<i32> {
    let ids = batches.iter().flat_map(|batch| batch.input_ids().ints().iter().copied());
    let mut rows: Vec<i32> = ids.chain([pad_token_id]).collect();
    rows.sort_unstable();
    rows.dedup();
    let step = (rows.len().next_power_of_two() / 8).max(FINEST_STEP);
    if let Some(&last) = rows.last() {
        rows.resize(rows.len().next_multiple_of(step), last);
    }
    rows
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_row_is_computed_by_exactly_one_worker(rows in 0usize..200, count in 1usize..20) {
            let mut seen = Vec::new();
            for index in 0..count {
                let own = own_rows(rows, index, count);
                prop_assert!(own.len() <= rows.div_ceil(count));
                seen.extend(own);
            }
            prop_assert_eq!(seen, (0..rows).collect::<Vec<_>>());
        }
    }

    #[test]
    fn numbers_of_token_rows_are_few_and_hold_every_token() {
        let mut lengths = std::collections::BTreeSet::new();
        for tokens in 1..3000 {
            let batch = crate::model::Batch {
                inputs: [(
                    crate::model::INPUT_IDS,
                    crate::model::Tensor::from_ints(&[1, tokens], (0..tokens as i32).collect()),
                )]
                .into(),
                labels: crate::model::Tensor::from_ints(&[1], vec![0]),
                sample_weight: crate::model::Tensor::from_floats(&[1], vec![1.0]),
                features: vec![0],
            };
            let rows = token_rows(&[batch], 0);
            assert!(rows.is_sorted() && rows.len() >= tokens, "{tokens}");
            assert!(rows.len() < tokens + FINEST_STEP.max(tokens / 4), "{tokens}");
            assert_eq!(rows.last(), Some(&(tokens as i32 - 1)));
            lengths.insert(rows.len());
        }
        assert!(lengths.len() < 40, "{}", lengths.len());
    }
}
