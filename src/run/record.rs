//! `run.json`: what a run is made of, and which of it must be the same when the run is resumed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::files::{Fingerprint, fingerprint, names};
use crate::settings::{RunOptions, TrainSettings};
use crate::task::{DevFromTrain, Repairs, Task};

/// How many differences a message names.
const SHOWN_DIFFERENCES: usize = 3;

/// What a run is made of: `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// This program's version.
    pub tfbert_version: String,
    /// TensorFlow's version.
    pub tensorflow_version: String,
    /// Whether a step is one compiled function (`--whole-step`).
    #[serde(default)]
    pub whole_step: bool,
    /// The command as it was typed.
    pub command: Vec<String>,
    /// The task's row.
    pub task: Task,
    /// The labels in the order of the logits.
    pub labels: Vec<String>,
    /// The hyper-parameters.
    pub settings: TrainSettings,
    /// How the run was first saved and logged. Older versions wrote some of it into `settings`.
    #[serde(default)]
    pub options: RunOptions,
    /// The export that training starts from.
    pub model: PathBuf,
    /// SHA-256 of that export's encoder weights.
    pub weights_sha256: String,
    /// The training and development files.
    pub data: Vec<DataRecord>,
    /// The trained model that training starts from, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartRecord>,
    /// The folder in which the command was typed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
    /// The folder of the data sets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data_dir: Option<PathBuf>,
}

/// A trained model that a run starts from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartRecord {
    /// Its folder.
    pub model: PathBuf,
    /// SHA-256 of its weights.
    pub sha256: String,
}

/// A file that a run reads.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataRecord {
    /// The split's name.
    pub split: String,
    /// The file.
    pub path: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// Its SHA-256.
    pub sha256: String,
}

impl DataRecord {
    /// The record of a file as it is now.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn read(split: &str, path: &Path) -> Result<Self> {
        let Fingerprint { bytes, sha256 } = fingerprint(path)?;
        Ok(Self { split: split.to_owned(), path: path.to_owned(), bytes, sha256 })
    }
}

/// What a run's result depends on: all of it must be the same when the run is resumed.
#[derive(Debug, Serialize)]
struct Determined<'a> {
    task: Task,
    labels: &'a [String],
    settings: &'a TrainSettings,
    weights_sha256: &'a str,
    /// SHA-256 of the trained model's weights.
    #[serde(skip_serializing_if = "Option::is_none")]
    start: Option<&'a str>,
    /// SHA-256 by split.
    data: BTreeMap<&'a str, &'a str>,
}

impl RunRecord {
    /// Reads the record of the run in a folder.
    ///
    /// # Errors
    ///
    /// There is none, or it is damaged.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join(names::RUN_RECORD);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::io("read", &path, &e))?;
        parse_record(&text).map_err(|error| {
            Error::new(format!("it cannot be read: {error}"))
                .at_line(&path, error.line())
                .hint("put the file back, or start the run over with `--overwrite`")
        })
    }

    /// The part that must be the same when the run is resumed: not versions (another one is warned
    /// of), not where files lie, not names for display, not how the command was typed or when the run
    /// is saved.
    fn determined(&self) -> Determined<'_> {
        let Self {
            tfbert_version: _,
            tensorflow_version: _,
            whole_step: _,
            command: _,
            task,
            labels,
            settings,
            options: _,
            model: _,
            weights_sha256,
            data,
            start,
            directory: _,
            data_dir: _,
        } = self;
        let mut task = task.clone();
        task.base = None;
        task.folder = String::new();
        task.label_names = None;
        // The same file reads the same with and without a repair, or is refused without it.
        task.repairs = Repairs::default();
        let data = data.iter().map(|file| (file.split.as_str(), file.sha256.as_str())).collect();
        let start = start.as_ref().map(|start| start.sha256.as_str());
        Determined { task, labels, settings, weights_sha256, start, data }
    }

    /// What must be the same on all workers of a cluster, as texts by name: what the run's result and the
    /// moments of its checkpoints depend on, and the versions.
    ///
    /// # Errors
    ///
    /// It cannot be written as JSON.
    pub fn facts(&self) -> Result<BTreeMap<String, String>> {
        let mut facts = flat(&self.determined())?;
        for (name, value) in flat(&self.options)? {
            facts.insert(format!("options.{name}"), value);
        }
        for (name, version) in
            [("tfbert", &self.tfbert_version), ("tensorflow", &self.tensorflow_version)]
        {
            facts.insert(name.to_owned(), Value::from(version.as_str()));
        }
        let text = |(name, value): (String, Value)| match value {
            Value::String(text) => (name, text),
            value => (name, value.to_string()),
        };
        Ok(facts.into_iter().map(text).collect())
    }

    /// What differs between the training file and its split when this run began and now, if `task` draws its
    /// development part from the training file: examples that the model was trained on may then be among it.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn changed_split(&self, task: &Task, file: &Path) -> Result<Option<String>> {
        let (Some(known), Some(now)) = (self.task.dev_from_train, task.dev_from_train) else {
            return Ok(None);
        };
        if known != now {
            let of = |draw: DevFromTrain| format!("share {} with seed {}", draw.share, draw.seed);
            return Ok(Some(format!("the split was {}, now {}", of(known), of(now))));
        }
        let Some(record) = self.data.first() else { return Ok(None) };
        let Fingerprint { bytes, sha256 } = fingerprint(file)?;
        if sha256 == record.sha256 {
            return Ok(None);
        }
        Ok(Some(match bytes == record.bytes {
            true => "the file has other content of the same size".into(),
            false => format!("the file had {} bytes, now {bytes}", record.bytes),
        }))
    }

    /// Refuses `now`, what a command would begin, where it would not end as the run of this record;
    /// warns of other versions.
    ///
    /// # Errors
    ///
    /// Something that the result depends on differs; the error names the first few.
    pub(super) fn check_resumable(&self, now: &Self) -> Result<()> {
        for (name, known, now) in [
            ("tfbert", &self.tfbert_version, &now.tfbert_version),
            ("TensorFlow", &self.tensorflow_version, &now.tensorflow_version),
        ] {
            if known != now {
                log::warn!(
                    "the run was started with {name} {known}, this is {now}: the last digits may \
                     differ from those of an uninterrupted run"
                );
            }
        }
        if self.whole_step != now.whole_step {
            let on = if self.whole_step { "on" } else { "off" };
            log::warn!(
                "the run was started with `--whole-step {on}`: without that flag the last digits may \
                 differ from those of an uninterrupted run"
            );
        }
        let known = flat(&self.determined())?;
        let now = flat(&now.determined())?;
        let differences = differences(&known, &now);
        if differences.is_empty() {
            return Ok(());
        }
        let mut shown = differences[..differences.len().min(SHOWN_DIFFERENCES)].join("; ");
        if differences.len() > SHOWN_DIFFERENCES {
            shown += &format!("; and {} more", differences.len() - SHOWN_DIFFERENCES);
        }
        Err(Error::usage(format!("run.json has different settings: {shown}")).hint(
            "give the same values as the run's first command (`command` in run.json), or start it \
             over with `--overwrite`",
        ))
    }
}

/// Parses a `run.json`.
pub(crate) fn parse_record(text: &str) -> serde_json::Result<RunRecord> {
    serde_json::from_str(text)
}

/// What differs, for people.
fn differences(known: &BTreeMap<String, Value>, now: &BTreeMap<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    for (key, value) in known {
        match now.get(key) {
            Some(other) if other == value => {}
            Some(other) => {
                found.push(format!("`{key}` was {}, now {}", short(value), short(other)));
            }
            None => found.push(format!("`{key}` was {}, now absent", short(value))),
        }
    }
    for (key, value) in now.iter().filter(|(key, _)| !known.contains_key(*key)) {
        found.push(format!("`{key}` was absent, now {}", short(value)));
    }
    found
}

/// A value for people: the beginning of a long one.
fn short(value: &Value) -> String {
    let text = value.to_string();
    let mut chars = text.chars();
    let start: String = chars.by_ref().take(20).collect();
    if chars.next().is_some() { format!("{start}…") } else { text }
}

/// A value as `path.to.value`, `value` pairs.
pub(crate) fn flat(value: &impl Serialize) -> Result<BTreeMap<String, Value>> {
    fn walk(prefix: &str, value: Value, into: &mut BTreeMap<String, Value>) {
        let join = |key: &str| {
            if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
        };
        match value {
            Value::Object(map) => {
                map.into_iter().for_each(|(key, value)| walk(&join(&key), value, into));
            }
            Value::Array(items) => {
                let items = items.into_iter().enumerate();
                items.for_each(|(i, value)| walk(&join(&i.to_string()), value, into));
            }
            value => {
                into.insert(prefix.to_owned(), value);
            }
        }
    }
    let value = serde_json::to_value(value).map_err(|error| Error::new(error.to_string()))?;
    let mut pairs = BTreeMap::new();
    walk("", value, &mut pairs);
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Written by an earlier version, which kept `save_steps` and `on_nan` among the settings.
    const OLD: &str = include_str!("../../fuzz/corpus/run_json/run");

    #[test]
    fn a_record_of_an_older_version_is_resumed_with_other_options_and_files_elsewhere() {
        let old = parse_record(OLD).unwrap();
        let mut now = old.clone();
        now.options = RunOptions { save_steps: Some(99), ..RunOptions::default() };
        now.model = "elsewhere".into();
        now.data[0].path = "elsewhere.tsv".into();
        now.command = Vec::new();
        old.check_resumable(&now).unwrap();
    }

    #[test]
    fn a_training_file_that_changed_since_its_split_is_told_with_what_differs() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("rows.csv");
        std::fs::write(&file, "one").unwrap();
        let mut record = parse_record(OLD).unwrap();
        let task = record.task.clone();
        assert_eq!(record.changed_split(&task, &file).unwrap(), None, "it has a file of its own");
        record.task.dev_from_train = Some(DevFromTrain { share: 0.2, seed: 1 });
        record.data[0] = DataRecord::read("train", &file).unwrap();
        let mut task = record.task.clone();
        assert_eq!(record.changed_split(&task, &file).unwrap(), None);
        std::fs::write(&file, "two").unwrap();
        let found = record.changed_split(&task, &file).unwrap().unwrap();
        assert!(found.contains("other content of the same size"), "{found}");
        std::fs::write(&file, "three").unwrap();
        let found = record.changed_split(&task, &file).unwrap().unwrap();
        assert!(found.contains("had 3 bytes, now 5"), "{found}");
        task.dev_from_train = Some(DevFromTrain { share: 0.3, seed: 1 });
        let found = record.changed_split(&task, &file).unwrap().unwrap();
        assert!(found.contains("share 0.2 with seed 1, now share 0.3"), "{found}");
    }

    #[test]
    fn at_most_three_differences_are_named_and_long_values_are_cut() {
        let old = parse_record(OLD).unwrap();
        let mut now = old.clone();
        now.settings.seed = 9;
        now.settings.epochs = 9;
        now.data[1].sha256 = "0".repeat(64);
        now.weights_sha256 = "0".repeat(64);
        now.labels.push("2".into());
        let error = old.check_resumable(&now).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        let what = error.what();
        assert!(what.contains("`data.dev.sha256`") || what.contains("`data.dev`"), "{error}");
        assert!(what.contains("; and 2 more") && what.len() < 300, "{error}");
    }
}
