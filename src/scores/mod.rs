//! Predictions and targets to a task's metrics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::dataset::{Dataset, Example, Target};
use crate::error::{Error, Result};
use crate::metric::{Metric, MetricInput, MetricName};
use crate::prediction::Prediction;
use crate::task::Task;

mod answer;
mod class;
mod hidden;
mod labels;
mod tag;

pub use answer::answers;
pub use class::{classes, endings, numbers};
pub use hidden::hidden;
pub use labels::{label_sets, label_thresholds};
pub use tag::tags;

/// The metrics of one split.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scores {
    /// Value by metric, in the task's order; `None` is undefined.
    pub values: Vec<(MetricName, Option<f64>)>,
    /// More to know, for the report: F1 by entity type, thresholds, counts.
    pub details: Details,
}

/// Values by name that are reported beside the metrics; `None` is undefined.
pub type Details = BTreeMap<String, Option<f64>>;

impl Scores {
    /// The task's metrics, computed from `input`.
    ///
    /// # Errors
    ///
    /// A metric of the task is not computed from such an input.
    pub fn compute(task: &Task, input: &MetricInput, details: Details) -> Result<Self> {
        let value = |&name: &MetricName| match Metric::find(name, input.kind()) {
            Some(metric) => Ok((name, metric.value(input))),
            None => Err(Error::usage(format!(
                "task `{}`: the metric `{name}` does not fit the head `{}`",
                task.name, task.head
            ))),
        };
        Ok(Self { values: task.metrics.iter().map(value).collect::<Result<_>>()?, details })
    }

    /// The value of a metric; `None` where it is undefined or not of this task.
    pub fn get(&self, name: MetricName) -> Option<f64> {
        self.values.iter().find(|(known, _)| *known == name).and_then(|(_, value)| *value)
    }

    /// The values by the metrics' names, for JSON.
    pub fn by_name(&self) -> BTreeMap<String, Option<f64>> {
        self.values.iter().map(|(name, value)| (name.name().to_owned(), *value)).collect()
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
