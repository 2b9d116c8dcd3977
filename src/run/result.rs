//! What a complete run came to.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::times::Times;
use crate::error::{Error, Result};
use crate::model::Precision;
use crate::settings::TrainSettings;
use crate::task::Task;

/// Value by the name of a metric; `None` is undefined.
pub type Metrics = BTreeMap<String, Option<f64>>;

/// What ended a run before its last step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StoppedBy {
    /// `--patience`.
    Patience,
    /// The median rule of `tfbert sweep`.
    MedianRule,
}

/// The result of a complete run: `result.json`, and the last line of `tfbert train --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// The task's name.
    pub task: String,
    /// The development split that selected the best checkpoint.
    pub split: String,
    /// Its number of examples.
    pub examples: usize,
    /// Its metrics at the best step.
    pub metrics: Metrics,
    /// The metrics of every development split at the best step.
    pub splits: BTreeMap<String, Metrics>,
    /// More to know of the selecting split: F1 by entity type, thresholds, counts.
    pub details: BTreeMap<String, Option<f64>>,
    /// Updates of the whole run.
    pub steps: usize,
    /// What ended the run before its last step, after `steps`; `None` where nothing did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_by: Option<StoppedBy>,
    /// The step after which the best weights were evaluated.
    pub best_step: usize,
    /// Updates left out because the gradient was not finite.
    pub skipped: usize,
    /// The run's folder.
    pub output: PathBuf,
    /// Training features (for `span`, windows).
    pub train_examples: usize,
    /// Seconds of the process that completed the run.
    pub seconds: f64,
    /// Seconds of training in that process, evaluations included.
    pub train_seconds: f64,
    /// Seconds of tokenising the training file; `None` where its features were in the cache.
    pub tokenise_seconds: Option<f64>,
    /// Seconds from the start of training to the end of the first step.
    pub first_step_seconds: f64,
    /// The fraction of the training time in which steps waited for batches.
    pub input_wait: f64,
    /// The fraction of padding among the tokens.
    pub padding: f64,
    /// Where the time went; results of earlier versions do not say it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
    /// The seed.
    pub seed: u64,
    /// The number format of matrix products.
    pub precision: Precision,
    /// The hyper-parameters; older versions did not keep them here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<TrainSettings>,
    /// The export that training started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<PathBuf>,
    /// Values of the selecting split by class, type or answer length, such as `per_class`.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub tables: Map<String, Value>,
}

impl RunResult {
    /// One line of JSON, keys in alphabetical order.
    ///
    /// # Errors
    ///
    /// It cannot be written as JSON.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_value(self)
            .map(|value| value.to_string())
            .map_err(|error| Error::new(format!("could not write JSON: {error}")))
    }

    /// A line for each development split, metrics in the task's order: `sst2 dev: accuracy 0.8933
    /// (step 2105)`.
    pub fn lines(&self, task: &Task) -> Vec<String> {
        let of_split = |split: &String| {
            let metrics = self.splits.get(split)?;
            let values: Vec<String> = task
                .metrics
                .iter()
                .filter_map(|name| {
                    let value = metrics.get(name.name())?;
                    let value = value.map_or("undefined".to_owned(), |value| format!("{value:.4}"));
                    Some(format!("{} {value}", name.name()))
                })
                .collect();
            Some(format!("{} {split}: {} (step {})", self.task, values.join("  "), self.best_step))
        };
        task.dev.iter().filter_map(|split| of_split(&split.name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by a version whose keys must still be read.
    const WRITTEN: &str = r#"{"best_step":12,"details":{},"examples":40,"first_step_seconds":1.5,
        "input_wait":0.01,"metrics":{"accuracy":0.5,"f1":null},"output":"runs/mrpc","padding":0.2,
        "precision":"f32","seconds":9.5,"seed":1,"skipped":0,"split":"dev",
        "splits":{"dev":{"accuracy":0.5,"f1":null}},"steps":12,"task":"mrpc",
        "tokenise_seconds":null,"train_examples":96,"train_seconds":7.25}"#;

    #[test]
    fn a_result_is_read_back_as_it_was_written_and_shown_in_the_tasks_order() {
        let result: RunResult = serde_json::from_str(WRITTEN).unwrap();
        let compact: serde_json::Value = serde_json::from_str(WRITTEN).unwrap();
        assert_eq!(result.to_json().unwrap(), compact.to_string());
        let task = crate::task::find("mrpc").unwrap();
        assert_eq!(result.lines(&task), ["mrpc dev: f1 undefined  accuracy 0.5000 (step 12)"]);
    }
}
