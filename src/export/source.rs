//! The model that is exported, and the run that made it.

use std::fs;
use std::path::{Path, PathBuf};

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
    /// Reads a run's folder, or that of a model, which may stand without its run.
    ///
    /// # Errors
    ///
    /// There is neither, the run is not complete, or a description is damaged.
    pub fn read(path: &Path) -> Result<Self> {
        let model = model_folder(path)?;
        let trained = TrainedModel::read(&model)?;
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

fn model_folder(path: &Path) -> Result<PathBuf> {
    let is_model = |dir: &Path| dir.join("saved_model.pb").is_file();
    let model = path.join(names::MODEL);
    if is_model(path) {
        return Ok(path.to_owned());
    }
    if is_model(&model) {
        return Ok(model);
    }
    let error = |what: &str| Error::usage(what).at(path);
    if !path.exists() {
        return Err(error("there is no such folder")
            .hint("name the folder of a run, such as `runs/sst2`, or of its model"));
    }
    if path.join(names::RUN_RECORD).is_file() {
        let what = match path.join(names::RESULT).is_file() {
            true => "the run's model was removed, as a sweep does with all but the best",
            false => "the run is not complete: it has no model yet",
        };
        return Err(error(what).hint(format!(
            "train it with `tfbert train --resume --output {}`, then export it",
            path.display()
        )));
    }
    Err(error("the folder holds neither a run nor a trained model")
        .hint("name the folder of a run, such as `runs/sst2`, or of its model"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_model_is_refused_with_what_to_name() {
        let dir = tempfile::tempdir().unwrap();
        let hint = |path: &Path| {
            let error = Source::read(path).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            error.hint_text().unwrap().to_owned()
        };
        assert!(hint(&dir.path().join("none")).contains("runs/sst2"));
        assert!(hint(dir.path()).contains("runs/sst2"));
        fs::write(dir.path().join(names::RUN_RECORD), "{}").unwrap();
        assert!(hint(dir.path()).contains("--resume"));
        fs::write(dir.path().join(names::RESULT), "{}").unwrap();
        let error = Source::read(dir.path()).unwrap_err();
        assert!(error.what().contains("was removed"), "{error}");
    }
}
