//! The file `sweep.json`, which records the runs of a sweep: their states, their metrics, and the best run.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::PlannedRun;
use crate::error::{Error, Result};
use crate::files::{names, write_file};
use crate::metric::MetricName;
use crate::run::{Metrics, mean, to_json};

/// A sweep: `sweep.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRecord {
    /// This program's version.
    pub tfbert_version: String,
    /// The task's name.
    pub task: String,
    /// The command as it was typed.
    pub command: Vec<String>,
    /// The folder in which the command was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// The folder of the data sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
    /// The folder of the best run in the sweep's, once all runs have ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<PathBuf>,
    /// The runs, in their order.
    pub runs: Vec<SweepRun>,
}

/// A run of a sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepRun {
    /// Its folder in the sweep's.
    pub folder: PathBuf,
    /// The flags that have several values, without `--`, and this run's values.
    pub settings: BTreeMap<String, String>,
    /// The seed, where the sweep has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// How far it is.
    pub state: RunState,
    /// The metrics of its best evaluation, once it has ended.
    #[serde(default, skip_serializing_if = "Metrics::is_empty")]
    pub metrics: Metrics,
    /// The loss of that evaluation, on the development split that chose it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunState {
    /// Not begun, or not ended.
    Pending,
    /// It went to its end.
    Complete,
    /// The median rule stopped it.
    Stopped,
    /// Its loss was not finite, or memory did not suffice.
    Failed,
}

impl SweepRun {
    /// A run that has not begun.
    pub fn pending(planned: &PlannedRun) -> Self {
        Self {
            folder: planned.folder.clone(),
            settings: planned.settings.iter().cloned().collect(),
            seed: planned.seed,
            state: RunState::Pending,
            metrics: Metrics::new(),
            loss: None,
            error: None,
        }
    }
}

/// What runs, and settings with several seeds, are compared by.
#[derive(Debug, Clone, Copy)]
struct Score {
    /// The metric; `None` where it is undefined.
    value: Option<f64>,
    loss: Option<f64>,
}

impl Score {
    /// The means; `None` where a run lacks a number.
    fn mean(scores: &[Self]) -> Self {
        let of = |part: fn(&Self) -> Option<f64>| {
            let numbers: Option<Vec<f64>> = scores.iter().map(part).collect();
            numbers.map(|numbers| mean(&numbers))
        };
        Self { value: of(|score| score.value), loss: of(|score| score.loss) }
    }

    fn is_better(self, old: Self, metric: MetricName) -> bool {
        match (self.value, old.value) {
            (Some(new), Some(old)) if new != old => metric.is_better(new, old),
            (Some(_), None) => true,
            (None, Some(_)) => false,
            _ => matches!((self.loss, old.loss), (Some(new), Some(old)) if new < old),
        }
    }
}

impl SweepRecord {
    /// Reads the record of the sweep in a folder.
    ///
    /// # Errors
    ///
    /// There is none, or it is damaged.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(names::SWEEP);
        let text = fs::read_to_string(&path).map_err(|error| Error::io("read", &path, &error))?;
        parse_sweep(&text).map_err(|(line, what)| {
            Error::new(format!("it cannot be read: {what}"))
                .at_line(&path, line)
                .hint("put the file back, or choose another `--output`")
        })
    }

    /// The numbers of the runs of each combination of settings, in their order.
    pub fn settings(&self) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        for (i, run) in self.runs.iter().enumerate() {
            let same = |group: &&mut Vec<usize>| self.runs[group[0]].settings == run.settings;
            match groups.iter_mut().find(same) {
                Some(group) => group.push(i),
                None => groups.push(vec![i]),
            }
        }
        groups
    }

    /// The number of the best run: the best seed of the settings with the best mean. Settings of which
    /// every seed is complete come before others; runs that are not complete do not count. Of equal
    /// values the one of the lower loss is the best, else the first.
    pub fn best_run(&self, metric: MetricName) -> Option<usize> {
        let mut best: Option<(bool, Score, Vec<usize>)> = None;
        for group in self.settings() {
            let is_complete = |i: &usize| self.runs[*i].state == RunState::Complete;
            let complete: Vec<usize> = group.iter().copied().filter(is_complete).collect();
            if complete.is_empty() {
                continue;
            }
            let scores: Vec<Score> = complete.iter().map(|&i| self.score(i, metric)).collect();
            let (all, score) = (complete.len() == group.len(), Score::mean(&scores));
            let better = best.as_ref().is_none_or(|(old_all, old, _)| {
                if all == *old_all { score.is_better(*old, metric) } else { all }
            });
            if better {
                best = Some((all, score, complete));
            }
        }
        let better = |new, old| self.score(new, metric).is_better(self.score(old, metric), metric);
        best?.2.into_iter().reduce(|one, other| if better(other, one) { other } else { one })
    }

    fn score(&self, run: usize, metric: MetricName) -> Score {
        let run = &self.runs[run];
        Score { value: run.metrics.get(metric.name()).copied().flatten(), loss: run.loss }
    }

    /// Writes `sweep.json` into the sweep's folder.
    ///
    /// # Errors
    ///
    /// The disk is full or the folder gone.
    pub fn write(&self, dir: &Path) -> Result<()> {
        write_file(&dir.join(names::SWEEP), &to_json(self)?)
    }
}

/// Parses a `sweep.json`, whose folders must lie in the sweep's. An error has its line.
pub(crate) fn parse_sweep(text: &str) -> std::result::Result<SweepRecord, (usize, String)> {
    let record: SweepRecord =
        serde_json::from_str(text).map_err(|error| (error.line(), error.to_string()))?;
    let inside = |path: &Path| {
        path.components().next().is_some()
            && path.components().all(|part| matches!(part, Component::Normal(_)))
    };
    let mut folders = record.runs.iter().map(|run| &run.folder).chain(&record.best);
    match folders.find(|folder| !inside(folder)) {
        Some(folder) => {
            let what = format!("`{}` is no folder of the sweep", folder.display());
            Err((1, what))
        }
        None => Ok(record),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record of accuracies: by settings, of each seed. One below 0 is of a run that was stopped.
    fn record_of(settings: &[&[f64]]) -> SweepRecord {
        let mut runs = Vec::new();
        for (epochs, seeds) in settings.iter().enumerate() {
            for (seed, value) in seeds.iter().enumerate() {
                let planned = PlannedRun {
                    settings: vec![("epochs".into(), epochs.to_string())],
                    seed: Some(seed as u64),
                    folder: format!("epochs-{epochs}/seed-{seed}").into(),
                };
                let state = if *value < 0.0 { RunState::Stopped } else { RunState::Complete };
                let metrics = Metrics::from([("accuracy".into(), Some(value.abs()))]);
                runs.push(SweepRun { state, metrics, ..SweepRun::pending(&planned) });
            }
        }
        SweepRecord {
            tfbert_version: "0".into(),
            task: "sst2".into(),
            command: vec!["tfbert".into(), "sweep".into()],
            directory: None,
            data_dir: None,
            best: None,
            runs,
        }
    }

    #[test]
    fn the_best_run_is_the_best_seed_of_the_settings_with_the_best_mean() {
        let best = |settings: &[&[f64]]| record_of(settings).best_run(MetricName::Accuracy);
        // The means are 0.7 and 0.75; the highest value is of the first settings.
        assert_eq!(best(&[&[0.5, 0.9], &[0.7, 0.8]]), Some(3));
        assert_eq!(best(&[&[0.5, 0.5], &[0.5, 0.5]]), Some(0), "the first of equals");
        assert_eq!(best(&[&[0.5, 0.6], &[0.9, -0.1]]), Some(1), "all seeds are complete");
        assert_eq!(best(&[&[-0.5, 0.6], &[-0.9, -0.8]]), Some(1), "no settings are complete");
        assert_eq!(best(&[&[-0.5]]), None);
    }

    #[test]
    fn of_equal_values_the_lower_loss_is_the_best() {
        let best = |losses: [[Option<f64>; 2]; 2]| {
            let mut record = record_of(&[&[0.5, 0.5], &[0.5, 0.5]]);
            for (run, loss) in record.runs.iter_mut().zip(losses.concat()) {
                run.loss = loss;
            }
            record.best_run(MetricName::Accuracy)
        };
        assert_eq!(best([[Some(0.4), Some(0.4)], [Some(0.6), Some(0.1)]]), Some(3));
        assert_eq!(best([[Some(0.3), Some(0.2)], [Some(0.6), Some(0.1)]]), Some(1));
        assert_eq!(best([[None, Some(0.2)], [Some(0.6), Some(0.1)]]), Some(0), "no mean");
    }

    #[test]
    fn a_record_is_read_back_and_its_folders_lie_in_the_sweeps() {
        let record = record_of(&[&[0.5, -0.25]]);
        let dir = tempfile::tempdir().unwrap();
        record.write(dir.path()).unwrap();
        assert_eq!(SweepRecord::read(dir.path()).unwrap(), record);
        for folder in ["../other", "/etc", ""] {
            let best = Some(folder.into());
            SweepRecord { best, ..record.clone() }.write(dir.path()).unwrap();
            let error = SweepRecord::read(dir.path()).unwrap_err();
            assert!(error.what().contains("is no folder of the sweep"), "{folder}: {error}");
        }
    }
}
