//! Runs of one setting that differ in their seed: each one's scores, their mean and standard
//! deviation, the best, and those that learned nothing.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Metrics, RunResult};
use crate::error::{Error, Result};
use crate::files::names;
use crate::metric::MetricName;
use crate::task::Task;

/// The most seeds of one command.
const MOST: usize = 1000;

/// A loss of at least this share of ln(labels) is that of a guess.
const GUESS: f64 = 0.99;

/// Seeds as they are typed: `1-5`, `1,7,42`, `1-3,9`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seeds(Vec<u64>);

impl Seeds {
    /// The seeds, in the order in which they were given; at least one.
    pub fn list(&self) -> &[u64] {
        &self.0
    }
}

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let number = |text: &str| {
            text.trim().parse::<u64>().map_err(|_| format!("`{}` is not a seed", text.trim()))
        };
        let mut seeds = Vec::new();
        for part in text.split(',') {
            let (first, last) = match part.split_once('-') {
                Some((first, last)) => (number(first)?, number(last)?),
                None => (number(part)?, number(part)?),
            };
            if first > last {
                return Err(format!("`{}` counts down", part.trim()));
            }
            if last - first >= MOST as u64 || seeds.len() >= MOST {
                return Err(format!("more than {MOST} seeds"));
            }
            seeds.extend(first..=last);
        }
        let mut sorted = seeds.clone();
        sorted.sort_unstable();
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("seed {} is there twice", pair[0]));
        }
        Ok(Self(seeds))
    }
}

impl fmt::Display for Seeds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seeds: Vec<_> = self.0.iter().map(u64::to_string).collect();
        f.write_str(&seeds.join(","))
    }
}

/// One seed's run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedRun {
    /// The seed.
    pub seed: u64,
    /// The run's folder.
    pub output: PathBuf,
    /// The metrics of its best step on the development split that selects it.
    pub metrics: Metrics,
    /// The loss there.
    pub loss: Option<f64>,
    /// Whether it learned nothing.
    pub degenerate: bool,
}

impl SeedRun {
    /// The complete run in a folder. `labels` is the number of the task's labels.
    ///
    /// # Errors
    ///
    /// Its `metrics.jsonl` cannot be read.
    pub fn read(folder: &Path, task: &Task, labels: usize, result: &RunResult) -> Result<Self> {
        let path = folder.join(names::METRICS);
        let text = fs::read_to_string(&path).map_err(|error| Error::io("read", &path, &error))?;
        let loss = loss_at(&text, result.best_step, &result.split);
        Ok(Self {
            seed: result.seed,
            output: folder.to_owned(),
            metrics: result.metrics.clone(),
            loss,
            degenerate: is_degenerate(task, labels, &result.metrics, loss),
        })
    }
}

/// The loss of an evaluation in the text of `metrics.jsonl`.
fn loss_at(text: &str, step: usize, split: &str) -> Option<f64> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut evaluations = lines.filter(|line| line["split"] == split && line["step"] == step);
    evaluations.next_back()?["loss"].as_f64()
}

/// A classifier that learned nothing has the loss of a guess, ln(labels), or predicts one class, for
/// which Matthews' correlation is 0 or undefined.
fn is_degenerate(task: &Task, labels: usize, metrics: &Metrics, loss: Option<f64>) -> bool {
    if !task.head.labels_each_row() {
        return false;
    }
    let guesses = loss.is_some_and(|loss| loss >= GUESS * (labels.max(1) as f64).ln());
    let correlation = metrics.get(MetricName::MatthewsCorrelation.name());
    guesses || correlation.is_some_and(|value| value.unwrap_or(0.0) == 0.0)
}

/// What the runs came to together: `seeds.json`, and the last line of `tfbert train --seeds --json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeedsResult {
    /// The task's name.
    pub task: String,
    /// The development split that the metrics are of.
    pub split: String,
    /// The mean of each metric over all runs; `None` where a run has it undefined.
    pub mean: Metrics,
    /// The standard deviation (of a sample: n - 1); `None` also for one run.
    pub standard_deviation: Metrics,
    /// The seed of the best run by the task's first metric, of equal ones that of the lower loss.
    pub best_seed: u64,
    /// The seeds whose runs learned nothing. They count in the mean.
    pub degenerate_seeds: Vec<u64>,
    /// Each run.
    pub runs: Vec<SeedRun>,
}

impl SeedsResult {
    /// Sums up at least one run.
    ///
    /// # Errors
    ///
    /// There is no run.
    pub fn new(task: &Task, split: &str, runs: Vec<SeedRun>) -> Result<Self> {
        let first = task.metrics[0];
        let mut best = runs.first().ok_or_else(|| Error::new("no seed was run"))?;
        let value = |run: &SeedRun| run.metrics.get(first.name()).copied().flatten();
        for run in &runs {
            let better = match (value(run), value(best)) {
                // As of the evaluations of a run: of equal values the one of the lower loss.
                (Some(new), Some(old)) if new == old => {
                    matches!((run.loss, best.loss), (Some(new), Some(old)) if new < old)
                }
                (Some(new), Some(old)) => first.is_better(new, old),
                (new, old) => new.is_some() && old.is_none(),
            };
            if better {
                best = run;
            }
        }
        let over = |reduce: fn(&[f64]) -> Option<f64>| -> Metrics {
            let of = |metric: &MetricName| {
                let values: Option<Vec<f64>> =
                    runs.iter().map(|run| run.metrics.get(metric.name()).copied()?).collect();
                (metric.name().to_owned(), values.and_then(|values| reduce(&values)))
            };
            task.metrics.iter().map(of).collect()
        };
        Ok(Self {
            task: task.name.clone(),
            split: split.to_owned(),
            mean: over(|values| Some(mean(values))),
            standard_deviation: over(standard_deviation),
            best_seed: best.seed,
            degenerate_seeds: runs
                .iter()
                .filter(|run| run.degenerate)
                .map(|run| run.seed)
                .collect(),
            runs,
        })
    }

    /// Reads what several runs came to, from their common folder.
    ///
    /// # Errors
    ///
    /// The file is missing or damaged.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(names::SEEDS_RESULT);
        let text = fs::read_to_string(&path).map_err(|error| Error::io("read", &path, &error))?;
        serde_json::from_str(&text).map_err(|error| {
            Error::new(format!("it cannot be read: {error}")).at_line(&path, error.line())
        })
    }

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

    /// What a person reads: the means, the best run, and the runs that learned nothing.
    pub fn lines(&self, task: &Task) -> Vec<String> {
        let count = self.runs.len();
        let values = task.metrics.iter().map(|metric| {
            let name = metric.name();
            let of = |metrics: &Metrics| metrics.get(name).copied().flatten();
            match (of(&self.mean), of(&self.standard_deviation)) {
                (Some(mean), Some(deviation)) => format!("{name} {mean:.4} ± {deviation:.4}"),
                (Some(mean), None) => format!("{name} {mean:.4}"),
                (None, _) => format!("{name} undefined"),
            }
        });
        let values: Vec<_> = values.collect();
        let plural = if count == 1 { "" } else { "s" };
        let mut lines = vec![format!(
            "{} {}, {count} seed{plural}: {}",
            self.task,
            self.split,
            values.join("  ")
        )];
        if let Some(best) = self.runs.iter().find(|run| run.seed == self.best_seed) {
            let model = best.output.join(names::MODEL);
            lines.push(format!("best: seed {}: {}", best.seed, model.display()));
        }
        if !self.degenerate_seeds.is_empty() {
            let seeds: Vec<_> = self.degenerate_seeds.iter().map(u64::to_string).collect();
            lines.push(format!(
                "learned nothing (the loss of a guess, or one class for all): {} of {count}: seed {}",
                seeds.len(),
                seeds.join(", ")
            ));
        }
        lines
    }

    /// Writes `seeds.json` into the folder that holds the runs' folders.
    ///
    /// # Errors
    ///
    /// The disk is full or the folder gone.
    pub fn write(&self, folder: &Path) -> Result<()> {
        crate::files::write_file(&folder.join(names::SEEDS_RESULT), &(self.to_json()? + "\n"))
    }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Of a sample: divided by n - 1. One value has none.
pub(crate) fn standard_deviation(values: &[f64]) -> Option<f64> {
    let mean = mean(values);
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (values.len() > 1).then(|| (squares / (values.len() - 1) as f64).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::task;

    fn run(seed: u64, f1: Option<f64>, loss: f64) -> SeedRun {
        let task = task::find("mrpc").unwrap();
        let metrics = Metrics::from([("f1".into(), f1), ("accuracy".into(), Some(0.5))]);
        let degenerate = is_degenerate(&task, 2, &metrics, Some(loss));
        let output = format!("runs/mrpc/seed-{seed}").into();
        SeedRun { seed, output, metrics, loss: Some(loss), degenerate }
    }

    #[test]
    fn seeds_are_ranges_and_lists() {
        let parse = |text: &str| text.parse::<Seeds>().map(|seeds| seeds.to_string());
        assert_eq!(parse("1-5").unwrap(), "1,2,3,4,5");
        assert_eq!(parse("1,7,42").unwrap(), "1,7,42");
        assert_eq!(parse("9, 1-3").unwrap(), "9,1,2,3");
        for (text, error) in [
            ("", "`` is not a seed"),
            ("1,,2", "`` is not a seed"),
            ("-3", "`` is not a seed"),
            ("x", "`x` is not a seed"),
            ("5-1", "`5-1` counts down"),
            ("1-3,2", "seed 2 is there twice"),
            ("0-18446744073709551615", "more than 1000 seeds"),
        ] {
            assert_eq!(parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn runs_are_summed_up_by_mean_deviation_and_the_best() {
        let task = task::find("mrpc").unwrap();
        // (0.80 + 0.84 + 0.82) / 3 = 0.82; √((0.02² + 0.02² + 0) / 2) = 0.02.
        let runs = vec![run(1, Some(0.80), 0.4), run(2, Some(0.84), 0.4), run(3, Some(0.82), 0.4)];
        let found = SeedsResult::new(&task, "dev", runs).unwrap();
        assert_eq!(found.best_seed, 2);
        assert_eq!(
            found.lines(&task),
            [
                "mrpc dev, 3 seeds: f1 0.8200 ± 0.0200  accuracy 0.5000 ± 0.0000",
                "best: seed 2: runs/mrpc/seed-2/model",
            ]
        );
        let read: SeedsResult = serde_json::from_str(&found.to_json().unwrap()).unwrap();
        assert_eq!(read, found);
    }

    #[test]
    fn a_run_that_guesses_is_counted_and_named() {
        let task = task::find("mrpc").unwrap();
        // ln 2 = 0.6931, of which 99 % are 0.6862.
        let runs = vec![run(7, Some(0.81), 0.6870), run(9, Some(0.85), 0.6800)];
        let found = SeedsResult::new(&task, "dev", runs).unwrap();
        assert_eq!(found.degenerate_seeds, [7]);
        assert!(found.lines(&task)[2].ends_with("1 of 2: seed 7"), "{:?}", found.lines(&task));
        let cola = task::find("cola").unwrap();
        let none = Metrics::from([("matthews_correlation".into(), Some(0.0))]);
        assert!(is_degenerate(&cola, 2, &none, Some(0.6)));
        let stsb = task::find("stsb").unwrap();
        assert!(!is_degenerate(&stsb, 0, &Metrics::new(), Some(2.0)));
    }

    #[test]
    fn one_seed_has_no_deviation_and_an_undefined_metric_no_mean() {
        let task = task::find("mrpc").unwrap();
        let found = SeedsResult::new(&task, "dev", vec![run(1, None, 0.4)]).unwrap();
        assert_eq!(found.lines(&task)[0], "mrpc dev, 1 seed: f1 undefined  accuracy 0.5000");
        let found = SeedsResult::new(&task, "dev", vec![run(1, None, 0.4), run(2, Some(0.1), 0.4)]);
        assert_eq!(found.unwrap().best_seed, 2);
        assert!(SeedsResult::new(&task, "dev", Vec::new()).is_err());
    }

    #[test]
    fn the_loss_is_that_of_the_best_steps_evaluation() {
        let text = "{\"step\":4,\"loss\":0.7}\n\
                    {\"step\":4,\"split\":\"dev\",\"loss\":0.5}\n\
                    {\"step\":8,\"split\":\"dev\",\"loss\":0.6}\n";
        assert_eq!(loss_at(text, 4, "dev"), Some(0.5));
        assert_eq!(loss_at(text, 8, "dev"), Some(0.6));
        assert_eq!(loss_at(text, 8, "test"), None);
    }
}
