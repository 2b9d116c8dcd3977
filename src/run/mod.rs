//! A run's folder: what it is made of, its lock, its checkpoints and logs.
//!
//! ```text
//! runs/sst2/
//!   run.json       everything needed to repeat it
//!   log.txt  metrics.jsonl  events.out.tfevents.*
//!   checkpoints/step-000500/   complete or absent
//!   model/         the final SavedModel
//!   predictions/   in the format of the task's scorer
//!   result.json    written last: the run is complete
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::files::{Fingerprint, fingerprint, names, partial_path, write_file};
use crate::settings::TrainSettings;
use crate::task::Task;

mod checkpoint;
mod log_file;
mod metrics_log;
mod result;

pub use checkpoint::{Best, Checkpoints, Pending, State};
pub(crate) use checkpoint::{parse_manifest, parse_state};
pub use log_file::{log_line, open_log};
pub use metrics_log::MetricsLog;
pub use result::{Metrics, RunResult};

/// What a run is made of: `run.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// This program's version.
    pub tfbert_version: String,
    /// TensorFlow's version.
    pub tensorflow_version: String,
    /// The command as it was typed.
    pub command: Vec<String>,
    /// The task's row.
    pub task: Task,
    /// The labels in the order of the logits.
    pub labels: Vec<String>,
    /// The hyper-parameters.
    pub settings: TrainSettings,
    /// The export that it starts from.
    pub model: PathBuf,
    /// SHA-256 of that export's encoder weights.
    pub weights_sha256: String,
    /// The training and development files.
    pub data: Vec<DataRecord>,
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
    pub fn of(split: &str, path: &Path) -> Result<Self> {
        let Fingerprint { bytes, sha256 } = fingerprint(path)?;
        Ok(Self { split: split.to_owned(), path: path.to_owned(), bytes, sha256 })
    }
}

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// In a folder without a run.
    New,
    /// Over whatever run the folder holds.
    Overwrite,
    /// From the folder's newest complete checkpoint.
    Resume,
}

/// A run's folder, locked while this lives.
#[derive(Debug)]
pub struct RunFolder {
    dir: PathBuf,
    /// Held for its lock, which the operating system drops with the process however it ends.
    lock: File,
}

impl RunFolder {
    /// Opens and locks the folder. For a new run its record is written; for a resumed run the
    /// record that is there must agree with `record`.
    ///
    /// # Errors
    ///
    /// The folder holds a run and `begin` is `New`; it holds none and `begin` is `Resume`; the
    /// run there differs; another process is at it; the folder cannot be written.
    pub fn open(dir: &Path, begin: Begin, record: &RunRecord) -> Result<Self> {
        Self::check(dir, begin)?;
        fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
        let lock = lock(dir)?;
        let folder = Self { dir: dir.to_owned(), lock };
        match begin {
            Begin::Resume => folder.check_same(record)?,
            Begin::New => folder.write_record(record)?,
            Begin::Overwrite => {
                folder.clear()?;
                folder.write_record(record)?;
            }
        }
        Ok(folder)
    }

    /// Refuses a folder that `begin` does not fit, and changes nothing.
    ///
    /// # Errors
    ///
    /// As [`RunFolder::open`], but for the record.
    pub fn check(dir: &Path, begin: Begin) -> Result<()> {
        let holds_run = dir.join(names::RUN_RECORD).is_file();
        match begin {
            Begin::New if holds_run => {
                return Err(Error::usage("the folder holds a run already").at(dir).hint(format!(
                    "continue it with `--resume`, replace it with `--overwrite`, or choose another \
                     `--output` than {}",
                    dir.display()
                )));
            }
            Begin::New if is_occupied(dir) => {
                return Err(Error::usage("the folder is not empty and holds no run")
                    .at(dir)
                    .hint("choose another `--output`"));
            }
            Begin::Resume if !holds_run => {
                return Err(Error::usage("there is no run to resume")
                    .at(dir)
                    .hint("leave `--resume` out to begin one"));
            }
            Begin::Overwrite if !holds_run && is_occupied(dir) => {
                return Err(Error::usage(
                    "the folder is not empty and holds no run, so it is not overwritten",
                )
                .at(dir)
                .hint("choose another `--output`"));
            }
            _ => {}
        }
        if dir.join(names::LOCK).exists() {
            lock(dir)?; // Only a probe: released at once.
        }
        Ok(())
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The folder of the final model.
    pub fn model(&self) -> PathBuf {
        self.dir.join(names::MODEL)
    }

    /// The result, if the run is complete.
    pub fn result(&self) -> Option<RunResult> {
        let text = fs::read_to_string(self.dir.join(names::RESULT)).ok()?;
        serde_json::from_str(&text).ok().filter(|_| self.model().is_dir())
    }

    /// Writes the result, after which the run is complete.
    ///
    /// # Errors
    ///
    /// The disk is full or the folder gone.
    pub fn write_result(&self, result: &RunResult) -> Result<()> {
        write_file(&self.dir.join(names::RESULT), &(result.to_json()? + "\n"))
    }

    /// Refuses a folder that is gone, or not the one any more that this locked.
    ///
    /// # Errors
    ///
    /// The folder was removed, moved, or removed and made again.
    pub fn check_held(&self) -> Result<()> {
        let held = self.lock.metadata();
        let there = fs::metadata(self.dir.join(names::LOCK));
        let same = matches!((&held, &there), (Ok(held), Ok(there))
            if held.dev() == there.dev() && held.ino() == there.ino());
        if same {
            return Ok(());
        }
        Err(Error::new("the run's folder was removed or replaced while the run was going")
            .at(&self.dir)
            .hint("put it back and continue with `--resume`, or begin the run anew"))
    }

    fn write_record(&self, record: &RunRecord) -> Result<()> {
        write_file(&self.dir.join(names::RUN_RECORD), &to_json(record)?)
    }

    /// Removes what a run wrote, its record last, so that a half-cleared folder is still a run.
    fn clear(&self) -> Result<()> {
        // The result first: without it the run does not count as complete.
        let mut files = vec![names::RESULT.to_owned()];
        let entries =
            fs::read_dir(&self.dir).map_err(|error| Error::io("list", &self.dir, &error))?;
        files.extend(entries.flatten().filter_map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            let is_log = name == names::METRICS || name == names::LOG;
            (is_log || name.starts_with(names::EVENTS_PREFIX)).then_some(name)
        }));
        for path in files.iter().map(|name| self.dir.join(name)).filter(|path| path.exists()) {
            fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error))?;
        }
        let model = self.model();
        for path in [
            self.dir.join(names::CHECKPOINTS),
            partial_path(&model),
            model,
            self.dir.join(names::PREDICTIONS),
        ] {
            if path.exists() {
                fs::remove_dir_all(&path).map_err(|error| Error::io("remove", &path, &error))?;
            }
        }
        Ok(())
    }

    /// Compares the folder's record with what this command would begin.
    fn check_same(&self, record: &RunRecord) -> Result<()> {
        let path = self.dir.join(names::RUN_RECORD);
        let text = fs::read_to_string(&path).map_err(|error| Error::io("read", &path, &error))?;
        let known = parse_record(&text).map_err(|error| {
            Error::new(format!("the run's record is damaged: {error}"))
                .at_line(&path, error.line())
                .hint("put the file back, or begin the run anew with `--overwrite`")
        })?;
        for (name, known, now) in [
            ("tfbert", &known.tfbert_version, &record.tfbert_version),
            ("TensorFlow", &known.tensorflow_version, &record.tensorflow_version),
        ] {
            if known != now {
                log::warn!(
                    "the run was begun by {name} {known}, this is {now}: it may end in other digits \
                     than without the interruption"
                );
            }
        }
        let differences = differences(&known, record)?;
        if differences.is_empty() {
            return Ok(());
        }
        Err(Error::usage(format!("the run there was begun otherwise: {}", differences.join("; ")))
            .at(&path)
            .hint("give the run's own values, or begin it anew with `--overwrite`"))
    }
}

/// Parses a `run.json`.
pub(crate) fn parse_record(text: &str) -> serde_json::Result<RunRecord> {
    serde_json::from_str(text)
}

/// Whether a folder has files that are not what a try leaves that was stopped as it began.
fn is_occupied(dir: &Path) -> bool {
    let partial = partial_path(Path::new(names::RUN_RECORD));
    let ours = |name: &std::ffi::OsStr| name == names::LOCK || name == partial;
    fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| !ours(&entry.file_name())))
    })
}

fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(names::LOCK);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| Error::io("open", &path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::new("another tfbert is training in this folder")
                .at(dir)
                .hint("wait for it, or choose another `--output`"))
        }
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path, &error)),
    }
}

/// What differs of two records, of that which the result depends on.
fn differences(known: &RunRecord, now: &RunRecord) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let (a, b) = (flat(known)?, flat(now)?);
    for (key, value) in &a {
        if changes_nothing(key) {
            continue;
        }
        match b.iter().find(|(other, _)| other == key) {
            Some((_, other)) if other == value => {}
            Some((_, other)) => found.push(format!("`{key}` was {value}, now {other}")),
            None => found.push(format!("`{key}` was {value}, now absent")),
        }
    }
    for (key, value) in &b {
        if !changes_nothing(key) && !a.iter().any(|(other, _)| other == key) {
            found.push(format!("`{key}` was absent, now {value}"));
        }
    }
    Ok(found)
}

/// Whether a record's value may differ and the run still ends the same: where files lie, how the
/// command was typed, when checkpoints are written, what is done with a loss that was finite so
/// far. Versions are warned of.
fn changes_nothing(key: &str) -> bool {
    matches!(
        key,
        "model"
            | "settings.save_steps"
            | "settings.on_nan"
            | "tfbert_version"
            | "tensorflow_version"
    ) || key.starts_with("data.") && key.ends_with(".path")
        || key.starts_with("command")
        || key.starts_with("task.base")
        || key.starts_with("task.label_names")
}

/// A record as `path.to.value`, `value` pairs.
fn flat(record: &RunRecord) -> Result<Vec<(String, String)>> {
    fn walk(prefix: &str, value: &serde_json::Value, into: &mut Vec<(String, String)>) {
        let join = |key: &str| {
            if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") }
        };
        match value {
            serde_json::Value::Object(map) => {
                map.iter().for_each(|(key, value)| walk(&join(key), value, into));
            }
            serde_json::Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(i, value)| walk(&join(&i.to_string()), value, into));
            }
            value => into.push((prefix.to_owned(), value.to_string())),
        }
    }
    let value = serde_json::to_value(record).map_err(|error| Error::new(error.to_string()))?;
    let mut pairs = Vec::new();
    walk("", &value, &mut pairs);
    Ok(pairs)
}

/// Pretty JSON with a line end.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map(|json| json + "\n")
        .map_err(|error| Error::new(format!("could not write JSON: {error}")))
}
