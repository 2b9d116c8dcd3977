//! A run's folder as others read it: for the report and for comparisons.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Metrics, RunAnalysis, RunRecord, RunResult, parse_record};
use crate::error::{Error, Result};
use crate::files::names;

/// What the files of a run say, complete or not.
#[derive(Debug, Clone)]
pub struct RunFiles {
    /// The folder.
    pub dir: PathBuf,
    /// `run.json`.
    pub record: RunRecord,
    /// `result.json`; `None` before the run is complete.
    pub result: Option<RunResult>,
    /// `metrics.jsonl`.
    pub curves: Curves,
    /// `analysis.json`; `None` before the first evaluation, and of runs of older versions.
    pub analysis: Option<RunAnalysis>,
}

/// Numbers by step: `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Curves {
    /// Losses, rates and norms.
    pub steps: Vec<StepLine>,
    /// Evaluations.
    pub evaluations: Vec<EvaluationLine>,
}

/// A line of losses.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct StepLine {
    /// Updates done.
    pub step: usize,
    /// The mean loss since the line before.
    pub loss: f64,
    /// The learning rate of the step.
    pub learning_rate: f64,
    /// The norm of the gradient; `None` where it was not finite.
    pub grad_norm: Option<f64>,
}

/// The evaluation of a development split.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct EvaluationLine {
    /// Updates done.
    pub step: usize,
    /// Epochs done.
    #[serde(default)]
    pub epoch: f64,
    /// The split.
    pub split: String,
    /// The mean loss of its labels.
    pub loss: Option<f64>,
    /// Its metrics.
    pub metrics: Metrics,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Evaluation(EvaluationLine),
    Step(StepLine),
}

impl RunFiles {
    /// Reads the files of a run.
    ///
    /// # Errors
    ///
    /// The folder holds no run, or one of its files cannot be read.
    pub fn read(dir: &Path) -> Result<Self> {
        let record = dir.join(names::RUN_RECORD);
        if !record.is_file() {
            return Err(Error::usage("the folder holds no run (it has no `run.json`)").at(dir));
        }
        let text = text(&record)?;
        let record = parse_record(&text).map_err(|error| {
            Error::new(format!("it cannot be read: {error}")).at_line(&record, error.line())
        })?;
        let result = dir.join(names::RESULT);
        let result = match result.is_file() {
            false => None,
            true => Some(serde_json::from_str(&self::text(&result)?).map_err(|error| {
                Error::new(format!("it cannot be read: {error}")).at_line(&result, error.line())
            })?),
        };
        let metrics = dir.join(names::METRICS);
        let curves = match metrics.is_file() {
            false => Curves::default(),
            true => Curves::parse(&self::text(&metrics)?, &metrics)?,
        };
        Ok(Self { dir: dir.to_owned(), record, result, curves, analysis: RunAnalysis::read(dir)? })
    }

    /// The best evaluation of the split that selects it: of a complete run the result's, else the
    /// best so far. Its step and metrics.
    pub fn best(&self) -> Option<(usize, &Metrics)> {
        if let Some(result) = &self.result {
            return Some((result.best_step, &result.metrics));
        }
        let split = &self.record.task.dev.first()?.name;
        let metric = self.record.task.selecting_metric();
        let value = |line: &EvaluationLine| line.metrics.get(metric.name()).copied().flatten();
        let mut best: Option<&EvaluationLine> = None;
        for line in self.curves.evaluations.iter().filter(|line| line.split == *split) {
            let better = match (value(line), best.and_then(value)) {
                (Some(new), Some(old)) => metric.is_better(new, old),
                (new, _) => new.is_some() || best.is_none(),
            };
            if better {
                best = Some(line);
            }
        }
        best.map(|line| (line.step, &line.metrics))
    }

    /// The loss of that evaluation.
    pub fn best_loss(&self) -> Option<f64> {
        let (step, _) = self.best()?;
        let split = &self.record.task.dev.first()?.name;
        let mut lines = self.curves.evaluations.iter();
        lines.rfind(|line| line.step == step && line.split == *split)?.loss
    }
}

impl Curves {
    /// Parses the text of a `metrics.jsonl`. A last line that was cut when the run was killed is left
    /// out, as a resumed run does.
    ///
    /// # Errors
    ///
    /// Another line is not one of losses or of an evaluation.
    pub fn parse(text: &str, path: &Path) -> Result<Self> {
        let mut curves = Self::default();
        let complete = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        for (number, line) in complete.lines().enumerate() {
            match serde_json::from_str(line) {
                Ok(Line::Evaluation(line)) => curves.evaluations.push(line),
                Ok(Line::Step(line)) => curves.steps.push(line),
                Err(_) => {
                    return Err(Error::new(
                        "the line is neither one of losses nor of an evaluation",
                    )
                    .at_line(path, number + 1));
                }
            }
        }
        Ok(curves)
    }
}

fn text(path: &Path) -> Result<String> {
    fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_losses_and_of_evaluations_are_told_apart_and_a_cut_line_is_left_out() {
        let text = "{\"step\":4,\"epoch\":1.0,\"loss\":0.7,\"learning_rate\":1e-5,\"grad_norm\":null}\n\
                    {\"step\":4,\"epoch\":1.0,\"split\":\"dev\",\"loss\":0.5,\"metrics\":{\"f1\":null}}\n\
                    {\"step\":8,\"ep";
        let found = Curves::parse(text, Path::new("metrics.jsonl")).unwrap();
        assert_eq!((found.steps.len(), found.evaluations.len()), (1, 1));
        assert_eq!(found.evaluations[0].metrics["f1"], None);
        let error = Curves::parse("{\"step\":4}\n", Path::new("metrics.jsonl")).unwrap_err();
        assert_eq!(error.place().unwrap().line, Some(1));
    }
}
