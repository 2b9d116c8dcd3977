//! Runs side by side: `tfbert compare`.
//!
//! Runs that differ only in their seed are one row, with mean and standard deviation. The columns are
//! the settings that differ between the rows, and the metrics.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::error::{Error, Result};
use crate::files::names;
use crate::metric::MetricName;
use crate::run::{RunFiles, StoppedBy, flat, mean, standard_deviation};

mod page;
mod table;

pub use page::page;
pub use table::{csv, lines, markdown};

/// How deep runs are looked for: `runs/mrpc/seed-1` in `runs`.
const DEPTH: usize = 3;

/// Settings that do not change what a run learns.
const WITHOUT_EFFECT: [&str; 3] = ["seed", "log_steps", "eval_batch_size"];

/// The runs of one task.
#[derive(Debug)]
pub struct Comparison {
    /// The task's name.
    pub task: String,
    /// Its metrics; the first orders the rows.
    pub metrics: Vec<MetricName>,
    /// The names of the settings that differ between the rows.
    pub settings: Vec<String>,
    /// The rows, best first.
    pub rows: Vec<Row>,
}

/// Runs that differ only in their seed.
#[derive(Debug)]
pub struct Row {
    /// The runs, by their seeds.
    pub runs: Vec<RunFiles>,
    /// Whether they are complete; of others the best so far is shown.
    pub state: RowState,
    /// Every setting, and the export and training file.
    settings: BTreeMap<String, Value>,
}

/// How far the runs of a row went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowState {
    /// To their ends.
    Complete,
    /// Until the median rule of a sweep stopped them.
    Stopped,
    /// Not to an end yet.
    Incomplete,
}

impl RowState {
    fn of(run: &RunFiles) -> Self {
        match &run.result {
            None => Self::Incomplete,
            Some(result) if result.stopped_by == Some(StoppedBy::MedianRule) => Self::Stopped,
            Some(_) => Self::Complete,
        }
    }
}

/// Mean and standard deviation; of one run, or with an undefined value, there is no deviation.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Summary {
    /// The mean over the runs; `None` where a run has the value undefined.
    pub mean: Option<f64>,
    /// The standard deviation of a sample (n - 1).
    pub deviation: Option<f64>,
}

/// The folders of runs that are meant by `paths`: runs themselves, or folders that hold some.
///
/// # Errors
///
/// A folder cannot be listed, or neither is nor holds a run.
pub fn find_runs(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let before = found.len();
        add_runs(path, DEPTH, &mut found)?;
        if found.len() == before {
            return Err(Error::usage("neither a run nor a folder that holds runs")
                .at(path)
                .hint("name folders such as runs/sst2; `tfbert train` makes them"));
        }
    }
    let mut seen = BTreeSet::new();
    found.retain(|path| seen.insert(path.clone()));
    Ok(found)
}

fn add_runs(path: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    if path.join(names::RUN_RECORD).is_file() {
        found.push(path.to_owned());
        return Ok(());
    }
    if depth == 0 {
        return Ok(());
    }
    let entries = fs::read_dir(path).map_err(|error| Error::io("list", path, &error))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    folders.sort_by_key(|path| natural(path));
    folders.iter().try_for_each(|folder| add_runs(folder, depth - 1, found))
}

/// Orders `seed-2` before `seed-10`.
fn natural(path: &Path) -> (String, u64, String) {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let start = name.trim_end_matches(|c: char| c.is_ascii_digit()).to_owned();
    let number = name[start.len()..].parse().unwrap_or(0);
    (start, number, name)
}

/// Compares runs, by task.
///
/// # Errors
///
/// The settings of a run cannot be written as JSON.
pub fn compare(runs: Vec<RunFiles>) -> Result<Vec<Comparison>> {
    let mut by_task: Vec<(String, Vec<RunFiles>)> = Vec::new();
    for run in runs {
        let task = &run.record.task.name;
        match by_task.iter_mut().find(|(known, _)| known == task) {
            Some((_, runs)) => runs.push(run),
            None => by_task.push((task.clone(), vec![run])),
        }
    }
    by_task.into_iter().map(|(task, runs)| Comparison::new(task, runs)).collect()
}

impl Comparison {
    fn new(task: String, runs: Vec<RunFiles>) -> Result<Self> {
        let metrics = runs.first().map(|run| run.record.task.metrics.clone()).unwrap_or_default();
        let mut rows: Vec<Row> = Vec::new();
        for run in runs {
            let (settings, state) = (settings(&run)?, RowState::of(&run));
            let same = |row: &&mut Row| row.settings == settings && row.state == state;
            match rows.iter_mut().find(same) {
                Some(row) => row.runs.push(run),
                None => rows.push(Row { runs: vec![run], state, settings }),
            }
        }
        rows.iter_mut().for_each(|row| row.runs.sort_by_key(|run| run.record.settings.seed));
        let names: BTreeSet<&String> = rows.iter().flat_map(|row| row.settings.keys()).collect();
        let differs = |name: &&&String| {
            let values: Vec<_> = rows.iter().map(|row| row.settings.get(**name)).collect();
            values.windows(2).any(|pair| pair[0] != pair[1])
        };
        let settings = names.iter().filter(differs).map(|name| (*name).clone()).collect();
        if let Some(&metric) = metrics.first() {
            let value = |row: &Row| row.metric(metric).mean;
            rows.sort_by(|one, other| match (value(one), value(other)) {
                (Some(one), Some(other)) if metric.is_better(one, other) => {
                    std::cmp::Ordering::Less
                }
                (Some(one), Some(other)) if metric.is_better(other, one) => {
                    std::cmp::Ordering::Greater
                }
                (one, other) => one.is_none().cmp(&other.is_none()),
            });
        }
        Ok(Self { task, metrics, settings, rows })
    }

    /// The comparison as JSON.
    pub fn to_json(&self) -> Value {
        let summary = |summary: Summary| json!({"mean": summary.mean, "sd": summary.deviation});
        let row = |row: &Row| {
            let settings =
                self.settings.iter().map(|name| (name.clone(), row.setting(name).clone()));
            let metrics = self
                .metrics
                .iter()
                .map(|metric| (metric.name().to_owned(), summary(row.metric(*metric))));
            json!({
                "runs": row.runs.iter().map(|run| &run.dir).collect::<Vec<_>>(),
                "seeds": row.runs.iter().map(|run| run.record.settings.seed).collect::<Vec<_>>(),
                "complete": row.state == RowState::Complete,
                "state": row.state_text(),
                "settings": settings.collect::<Map<_, _>>(),
                "metrics": metrics.collect::<Map<_, _>>(),
                "loss": summary(row.loss()),
                "best_step": summary(row.best_step()),
                "train_seconds": summary(row.seconds()),
            })
        };
        json!({"task": self.task, "rows": self.rows.iter().map(row).collect::<Vec<_>>()})
    }
}

impl Row {
    /// The runs' folder, or of several seeds what their folders begin with.
    pub fn name(&self) -> String {
        let first = self.runs[0].dir.display().to_string();
        match self.runs.as_slice() {
            [_] => first,
            runs => {
                let parent = |run: &RunFiles| run.dir.parent().map(Path::to_owned);
                let one = parent(&runs[0]);
                match one.filter(|one| runs.iter().all(|run| parent(run).as_ref() == Some(one))) {
                    Some(parent) => parent.join("*").display().to_string(),
                    None => format!("{first} and {} more", runs.len() - 1),
                }
            }
        }
    }

    /// `complete`, `not complete`, or which rule stopped the runs.
    pub fn state_text(&self) -> String {
        let steps = |run: &RunFiles| run.result.as_ref().map(|result| result.steps);
        let first = steps(&self.runs[0]);
        match (self.state, first.filter(|_| self.runs.iter().all(|run| steps(run) == first))) {
            (RowState::Complete, _) => "complete".into(),
            (RowState::Incomplete, _) => "not complete".into(),
            (RowState::Stopped, Some(step)) => format!("stopped by the median rule at step {step}"),
            (RowState::Stopped, None) => "stopped by the median rule".into(),
        }
    }

    /// A setting; null where it has none.
    pub fn setting(&self, name: &str) -> &Value {
        self.settings.get(name).unwrap_or(&Value::Null)
    }

    /// A metric at each run's best step.
    pub fn metric(&self, metric: MetricName) -> Summary {
        self.over(|run| run.best()?.1.get(metric.name()).copied().flatten())
    }

    /// The loss of the selecting split at the best step.
    pub fn loss(&self) -> Summary {
        self.over(|run| run.best_loss())
    }

    /// The best step.
    pub fn best_step(&self) -> Summary {
        self.over(|run| run.best().map(|(step, _)| step as f64))
    }

    /// Seconds of training, in the process that completed each run.
    pub fn seconds(&self) -> Summary {
        self.over(|run| run.result.as_ref().map(|result| result.train_seconds))
    }

    fn over(&self, value: impl Fn(&RunFiles) -> Option<f64>) -> Summary {
        let values: Option<Vec<f64>> = self.runs.iter().map(value).collect();
        match values {
            Some(values) => {
                Summary { mean: Some(mean(&values)), deviation: standard_deviation(&values) }
            }
            None => Summary::default(),
        }
    }
}

/// What a run's result depends on, but for its seed: settings, export and training file.
fn settings(run: &RunFiles) -> Result<BTreeMap<String, Value>> {
    let all = flat(&run.record.settings)?;
    let mut settings: BTreeMap<String, Value> = all
        .into_iter()
        .filter(|(name, value)| !WITHOUT_EFFECT.contains(&name.as_str()) && !value.is_null())
        .map(|(name, value)| (name.trim_start_matches("features.").to_owned(), value))
        .collect();
    settings.insert("model".into(), run.record.model.display().to_string().into());
    for file in &run.record.data {
        let name = format!("{}_file", file.split);
        // Two files of one name may differ in what they hold, and one file may be named in two ways.
        let short = file.sha256.get(..8).unwrap_or_default();
        let shown = file.path.file_name().unwrap_or(file.path.as_os_str()).to_string_lossy();
        settings.insert(name, format!("{shown} ({short})").into());
    }
    Ok(settings)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::run::{Curves, parse_record};

    /// A run with this seed, learning rate and F1, not on the disk.
    pub(crate) fn run(seed: u64, learning_rate: f32, f1: f64) -> RunFiles {
        let mut record = parse_record(include_str!("../../fuzz/corpus/run_json/run")).unwrap();
        record.task = crate::task::find("mrpc").unwrap();
        record.settings.seed = seed;
        record.settings.learning_rate = learning_rate;
        let text = format!(
            "{{\"step\":9,\"split\":\"dev\",\"loss\":0.5,\"metrics\":{{\"f1\":{f1},\"accuracy\":null}}}}\n"
        );
        RunFiles {
            dir: format!("runs/{learning_rate}/seed-{seed}").into(),
            record,
            result: None,
            curves: Curves::parse(&text, Path::new("metrics.jsonl")).unwrap(),
            analysis: None,
        }
    }

    #[test]
    fn seeds_are_one_row_and_settings_that_differ_are_columns() {
        let runs = vec![run(1, 5e-5, 0.80), run(2, 2e-5, 0.85), run(2, 5e-5, 0.84)];
        let [found] = compare(runs).unwrap().try_into().unwrap();
        assert_eq!(found.settings, ["learning_rate"]);
        assert_eq!(found.rows.len(), 2);
        assert_eq!(found.rows[0].name(), "runs/0.00002/seed-2", "the best first");
        let seeds = &found.rows[1];
        assert_eq!((seeds.name().as_str(), seeds.runs.len()), ("runs/0.00005/*", 2));
        let f1 = seeds.metric(MetricName::F1);
        // (0.80 + 0.84) / 2, and √(2 · 0.02²).
        assert!((f1.mean.unwrap() - 0.82).abs() < 1e-12);
        assert!((f1.deviation.unwrap() - 0.02 * 2.0_f64.sqrt()).abs() < 1e-12);
        assert_eq!(seeds.metric(MetricName::Accuracy), Summary::default());
    }

    #[test]
    fn runs_are_found_below_a_folder_in_the_order_of_their_numbers() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["mrpc/seed-10", "mrpc/seed-2", "sst2"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
            fs::write(dir.path().join(name).join(names::RUN_RECORD), "{}").unwrap();
        }
        let found = find_runs(&[dir.path().to_owned(), dir.path().join("sst2")]).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|path| path.strip_prefix(dir.path()).unwrap().display().to_string())
            .collect();
        assert_eq!(found, ["mrpc/seed-2", "mrpc/seed-10", "sst2"]);
        fs::create_dir(dir.path().join("empty")).unwrap();
        let error = find_runs(&[dir.path().join("empty")]).unwrap_err();
        assert_eq!(error.exit_code(), 2);
    }
}
