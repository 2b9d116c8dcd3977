//! The model that is exported, and the run that made it.

use std::fs;
use std::path::Path;

use crate::error::{Error, Result};
use crate::files::names;
use crate::run::{RunRecord, RunResult};
use crate::saved_model::TrainedModel;

/// A trained model, with what its run says of it where the run is there.
#[derive(Debug, Clone)]
pub struct Source {
    /// The model.
    pub trained: TrainedModel,
    /// `run.json`.
    pub record: Option<RunRecord>,
    /// `result.json`.
    pub result: Option<RunResult>,
}

impl Source {
    /// Reads a model's folder, and the run that it lies in, if it lies in one.
    ///
    /// # Errors
    ///
    /// The folder holds no trained model, its `tfbert.json` is damaged, or the `run.json` of its run is.
    pub fn read(model: &Path) -> Result<Self> {
        let trained = TrainedModel::read(model)?;
        let run = model.parent().filter(|run| run.join(names::RUN_RECORD).is_file());
        let (record, result) = match run {
            Some(run) => (read_json(&run.join(names::RUN_RECORD))?, {
                let result = run.join(names::RESULT);
                if result.is_file() { read_json(&result)? } else { None }
            }),
            None => (None, None),
        };
        Ok(Self { trained, record, result })
    }

    /// The labels to show, in the order of the logits.
    pub fn labels(&self) -> &[String] {
        let training = &self.trained.training;
        let shown = training.task.shown_labels(&training.labels);
        let mut sorted: Vec<&String> = shown.iter().collect();
        sorted.sort();
        sorted.dedup();
        // Programs look labels up by name, so two labels cannot share one.
        if sorted.len() == shown.len() { shown } else { &training.labels }
    }
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    let text = fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))?;
    serde_json::from_str(&text).map(Some).map_err(|error| {
        Error::new(format!("it is damaged: {error}")).at_line(path, error.line()).hint(
            "copy the run's folder `model` elsewhere and name the copy: it is then exported without \
             what the run says of it",
        )
    })
}
