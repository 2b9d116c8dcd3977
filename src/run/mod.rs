//! A run's folder: what it is made of, its lock, its checkpoints and logs.
//!
//! ```text
//! runs/sst2/
//!   run.json       everything needed to repeat it
//!   task.json      the task file that a data file stands for; dev_ids.txt: its development part
//!   log.txt  metrics.jsonl  events.out.tfevents.*
//!   checkpoints/step-000500/   complete or absent
//!   model/         the final SavedModel
//!   predictions/   in the format of the task's scorer
//!   analysis.json  what the best evaluation shows beyond its metrics
//!   report.html    the run on one page
//!   result.json    written last: the run is complete
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::files::{names, partial_path, write_file};

mod analysis;
mod checkpoint;
mod files;
mod log_file;
mod metrics_log;
mod record;
mod result;
mod retention;
mod seeds;
mod times;

pub use analysis::RunAnalysis;
pub(crate) use analysis::parse as parse_analysis;
pub use checkpoint::{Best, Checkpoints, Pending, State, received_state};
pub(crate) use checkpoint::{parse_manifest, parse_state};
pub use files::{Curves, EvaluationLine, RunFiles, StepLine};
pub use log_file::{log_line, open_log};
pub use metrics_log::MetricsLog;
pub use record::{DataRecord, RunRecord, StartRecord};
pub(crate) use record::{flat, parse_record};
pub use result::{Metrics, RunResult, StoppedBy};
pub use retention::{Action, Moment, Retention, Saved};
pub use seeds::{SeedRun, Seeds, SeedsResult};
pub(crate) use seeds::{mean, standard_deviation};
pub use times::{ShapeTimes, Times};

/// How a run starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunMode {
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
    /// The folder holds a run and `mode` is `New`; it holds none and `mode` is `Resume`; the run
    /// there has other settings; another process uses it; the folder cannot be written.
    pub fn open(dir: &Path, mode: RunMode, record: &RunRecord) -> Result<Self> {
        Self::check(dir, mode)?;
        fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
        let lock = lock(dir)?;
        let folder = Self { dir: dir.to_owned(), lock };
        match mode {
            RunMode::Resume => folder.check_same(record)?,
            RunMode::New => folder.write_record(record)?,
            RunMode::Overwrite => {
                folder.clear()?;
                folder.write_record(record)?;
            }
        }
        Ok(folder)
    }

    /// Refuses a folder that `mode` does not fit, and changes nothing.
    ///
    /// # Errors
    ///
    /// As [`RunFolder::open`], but for the record.
    pub fn check(dir: &Path, mode: RunMode) -> Result<()> {
        let holds_run = dir.join(names::RUN_RECORD).is_file();
        match mode {
            RunMode::New if holds_run => {
                return Err(Error::usage("the folder already holds a run").at(dir).hint(format!(
                    "continue it with `--resume`, replace it with `--overwrite`, or choose another \
                     `--output` than {}",
                    dir.display()
                )));
            }
            RunMode::New if is_occupied(dir) => {
                let of_several =
                    [names::SEEDS_RESULT, names::SWEEP].iter().any(|name| dir.join(name).is_file());
                let what = match of_several {
                    true => "the folder holds the runs of several seeds or of a sweep",
                    false => "the folder is not empty and holds no run",
                };
                return Err(Error::usage(what).at(dir).hint("choose another `--output`"));
            }
            RunMode::Resume if !holds_run => {
                return Err(Error::usage("there is no run to resume")
                    .at(dir)
                    .hint("to start one, leave out `--resume`"));
            }
            RunMode::Overwrite if !holds_run && is_occupied(dir) => {
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
        self.result_without_model().filter(|_| self.model().is_dir())
    }

    /// The result, if the run was complete, also where its model was removed since.
    pub fn result_without_model(&self) -> Option<RunResult> {
        let text = fs::read_to_string(self.dir.join(names::RESULT)).ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Writes the result, after which the run is complete.
    ///
    /// # Errors
    ///
    /// The disk is full or the folder gone.
    pub fn write_result(&self, result: &RunResult) -> Result<()> {
        write_file(&self.dir.join(names::RESULT), &(result.to_json()? + "\n"))
    }

    /// Removes the checkpoints of a complete run, which only its training needed.
    ///
    /// # Errors
    ///
    /// They cannot be removed.
    pub fn remove_checkpoints(&self) -> Result<()> {
        let path = self.dir.join(names::CHECKPOINTS);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(Error::io("remove", &path, &error))
            }
            _ => Ok(()),
        }
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
            .hint("put it back and continue with `--resume`, or start another run"))
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
            let ours = [
                names::METRICS,
                names::LOG,
                names::ANALYSIS,
                names::REPORT,
                names::TASK,
                names::DEV_IDS,
            ];
            (ours.contains(&name.as_str()) || name.starts_with(names::EVENTS_PREFIX))
                .then_some(name)
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
            Error::new(format!("it cannot be read: {error}"))
                .at_line(&path, error.line())
                .hint("put the file back, or start the run over with `--overwrite`")
        })?;
        known.check_resumable(record).map_err(|error| error.at(&path))
    }
}

/// Whether a folder has files other than those of a start that was interrupted.
fn is_occupied(dir: &Path) -> bool {
    let partial = partial_path(Path::new(names::RUN_RECORD));
    let ours = |name: &std::ffi::OsStr| name == names::LOCK || name == partial;
    fs::read_dir(dir).is_ok_and(|mut entries| {
        entries.any(|entry| entry.is_ok_and(|entry| !ours(&entry.file_name())))
    })
}

/// Locks a folder; refuses one that another process has locked.
pub(crate) fn lock(dir: &Path) -> Result<File> {
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

/// Pretty JSON with a line end.
pub(crate) fn to_json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string_pretty(value)
        .map(|json| json + "\n")
        .map_err(|error| Error::new(format!("could not write JSON: {error}")))
}
