//! Predictions and targets to a task's metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Labels};
use crate::error::Result;
use crate::metric::MetricName;
use crate::prediction::Prediction;
use crate::task::Task;

/// The metrics of one split.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// Value by metric, in the task's order; `None` is undefined.
    pub values: Vec<(MetricName, Option<f64>)>,
    /// More to know, for the report: F1 by entity type, thresholds, counts.
    pub details: BTreeMap<String, Option<f64>>,
}

impl Scores {
    /// The value of a metric; `None` where it is undefined or not of this task.
    pub fn get(&self, name: MetricName) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value)
    }
}

/// Scores the complete list of predictions of a dataset whose examples have targets.
///
/// # Errors
///
/// A metric that does not fit the task's head.
pub fn score(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
) -> Result<Scores> {
    let _ = (task, dataset, labels, predictions);
    unimplemented!()
}
