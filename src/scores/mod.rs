//! Predictions and targets to a task's metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Example, Labels, Target};
use crate::error::{Error, Result};
use crate::metric::MetricName;
use crate::prediction::Prediction;
use crate::task::{Head, Task};

mod class;
mod span;
mod tag;

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

    /// The task's metrics, each computed by `value`.
    fn of(task: &Task, mut value: impl FnMut(MetricName) -> Option<f64>) -> Self {
        let values = task.metrics.iter().map(|&metric| (metric, value(metric))).collect();
        Self { values, details: BTreeMap::new() }
    }
}

/// Scores the complete list of predictions of a dataset whose examples have targets.
///
/// # Errors
///
/// A metric that does not fit the task's head or number of labels, an example without target, or
/// not one prediction for each example.
pub fn score(
    task: &Task,
    dataset: &Dataset,
    labels: &Labels,
    predictions: &[Prediction],
) -> Result<Scores> {
    task.check_metrics(labels.names())?;
    if predictions.len() != dataset.examples.len() {
        return Err(Error::new(format!(
            "expected {} predictions, one for each example, found {}",
            dataset.examples.len(),
            predictions.len()
        ))
        .at(&dataset.path));
    }
    match task.head {
        Head::Classify | Head::Choice => class::classes(task, dataset, predictions),
        Head::Regress => class::numbers(task, dataset, predictions),
        Head::Tag => tag::scores(task, dataset, labels, predictions),
        Head::Span => span::span(task, dataset, predictions),
    }
}

/// For each example, what `pick` takes from its prediction and target.
///
/// # Errors
///
/// An example has no target, or `pick` takes nothing since one of the two is not of this head.
fn pairs<'a, T>(
    dataset: &'a Dataset,
    predictions: &'a [Prediction],
    pick: impl Fn(&'a Prediction, &'a Target) -> Option<T>,
) -> Result<Vec<T>> {
    let pair = |(example, prediction): (&'a Example, &'a Prediction)| {
        let here = |what: &str| Error::new(what).at_line(&dataset.path, example.line);
        let target = example
            .target
            .as_ref()
            .ok_or_else(|| here("the example has no target, so it cannot be scored"))?;
        pick(prediction, target)
            .ok_or_else(|| here("the prediction is not what the target asks for"))
    };
    dataset.examples.iter().zip(predictions).map(pair).collect()
}
