//! What Kubeflow Trainer is told of a run while it trains.

use std::time::Instant;

use super::evaluation::SplitScores;
use crate::kubeflow::{Reporter, Status};

/// The reports of a run.
pub(super) struct Reports<'a> {
    reporter: Option<&'a Reporter>,
    started: Instant,
    /// Steps that an earlier process has done.
    before: usize,
    total: usize,
    epochs: usize,
    /// The scores of the last evaluation.
    scores: Vec<(String, f64)>,
}

impl<'a> Reports<'a> {
    /// The reports of a run of `total` steps in `epochs` epochs, of which `done` steps are done.
    pub(super) fn new(
        reporter: Option<&'a Reporter>,
        total: usize,
        epochs: usize,
        done: usize,
    ) -> Self {
        let reports = Self {
            reporter,
            started: Instant::now(),
            before: done,
            total,
            epochs,
            scores: Vec::new(),
        };
        reports.send(done, Vec::new());
        reports
    }

    /// Reports that `done` steps are done, in `epoch` epochs.
    pub(super) fn step(&self, done: usize, epoch: f64, loss: Option<f64>) {
        if self.reporter.is_none() {
            return;
        }
        let metrics = loss.map(|loss| ("loss".to_owned(), loss)).into_iter();
        let epochs = [("currentEpoch", epoch), ("totalEpochs", self.epochs as f64)];
        let metrics = metrics.chain(epochs.map(|(name, value)| (name.to_owned(), value)));
        self.send(done, metrics.collect());
    }

    /// Adds an evaluation's scores to the reports. Those of the first development split have the names of
    /// the metrics.
    pub(super) fn evaluated(&mut self, found: &[SplitScores]) {
        self.scores.clear();
        for (place, SplitScores { split, scores, loss, .. }) in found.iter().enumerate() {
            let prefix = if place == 0 { String::new() } else { format!("{split}_") };
            let values = scores.values.iter();
            let metrics = values.filter_map(|(metric, value)| {
                Some((format!("{prefix}{}", metric.name()), (*value)?))
            });
            self.scores.extend(metrics);
            self.scores.extend(loss.map(|loss| (format!("{prefix}eval_loss"), loss)));
        }
    }

    /// Reports that the run is complete, however many steps it had.
    pub(super) fn complete(&self) {
        self.send(self.total, Vec::new());
    }

    fn send(&self, done: usize, mut metrics: Vec<(String, f64)>) {
        let Some(reporter) = self.reporter else { return };
        metrics.extend(self.scores.iter().cloned());
        let here = u32::try_from(done.saturating_sub(self.before)).unwrap_or(u32::MAX);
        let left = u32::try_from(self.total.saturating_sub(done)).unwrap_or(u32::MAX);
        let each = self.started.elapsed().checked_div(here);
        let remaining = each.map(|each| each.saturating_mul(left));
        reporter.report(Status { steps: (done, self.total), remaining, metrics });
    }
}
