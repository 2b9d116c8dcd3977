//! Checkpoints: complete or absent.
//!
//! TensorFlow writes the weights into a hidden folder beside; a thread of its own then computes
//! checksums, syncs and renames, so that training waits for the write alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use super::disk::{ROOM, aside, fingerprint, sync_folder, sync_tree};
use super::to_json;
use crate::error::{Error, Result};
use crate::scores::Scores;

/// Where a run stands, beside weights and optimiser: `state.json`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Updates done.
    pub step: usize,
    /// Epochs done.
    pub epoch: usize,
    /// Batches of the current epoch done.
    pub batch: usize,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// The step of the last evaluation.
    pub evaluated: usize,
    /// Updates left out since their loss was not finite.
    pub skipped: usize,
    /// Bytes of `metrics.jsonl`.
    pub log_bytes: u64,
    /// Sum of the losses since the last line of `metrics.jsonl`, and of how many steps.
    pub loss_sum: f64,
    /// See `loss_sum`.
    pub loss_count: usize,
}

/// An evaluation, and the step it was made after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Updates done.
    pub step: usize,
    /// Scores of each development split, in the task's order.
    pub scores: Vec<(String, Scores)>,
}

/// Name, size and checksum of a checkpoint's files.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    files: BTreeMap<String, FileRecord>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct FileRecord {
    bytes: u64,
    sha256: String,
}

const STATE: &str = "state.json";
const MANIFEST: &str = "manifest.json";
const WEIGHTS: &str = "weights";

/// The checkpoints of a run.
#[derive(Debug)]
pub struct Checkpoints {
    dir: PathBuf,
    keep: usize,
    pending: Option<Pending>,
}

/// A checkpoint that is being completed beside training.
#[derive(Debug)]
pub struct Pending(JoinHandle<Result<()>>);

impl Checkpoints {
    /// The checkpoints in a run's folder, of which the newest `keep` stay, and the best.
    pub fn new(run: &Path, keep: usize) -> Self {
        Self { dir: run.join("checkpoints"), keep: keep.max(1), pending: None }
    }

    /// The prefix of the weights of a step's checkpoint.
    pub fn weights(&self, step: usize) -> PathBuf {
        self.path(step).join(WEIGHTS)
    }

    fn path(&self, step: usize) -> PathBuf {
        self.dir.join(format!("step-{step:06}"))
    }

    /// Saves: `write` is given the prefix to write the weights to. Returns once they are written;
    /// the rest goes on beside, and its failure is told by the next call.
    ///
    /// # Errors
    ///
    /// The disk is full or the folder gone; earlier checkpoints stay.
    pub fn save(&mut self, state: &State, write: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
        self.wait()?;
        let path = self.path(state.step);
        let partial = aside(&path);
        let prepared = (|| {
            if partial.exists() {
                fs::remove_dir_all(&partial)
                    .map_err(|error| Error::io("remove", &partial, &error))?;
            }
            fs::create_dir_all(&partial)
                .map_err(|error| Error::io("make", &partial, &error).hint(ROOM))?;
            write(&partial.join(WEIGHTS))
        })();
        if let Err(error) = prepared {
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
        let state = state.clone();
        let (dir, keep) = (self.dir.clone(), self.keep);
        self.pending = Some(Pending(std::thread::spawn(move || {
            let result = complete(&partial, &path, &state);
            if result.is_err() {
                let _ = fs::remove_dir_all(&partial);
                return result;
            }
            retire(&dir, keep, state.best.as_ref().map(|best| best.step));
            Ok(())
        })));
        Ok(())
    }

    /// Waits until the last checkpoint is complete.
    ///
    /// # Errors
    ///
    /// It could not be completed.
    pub fn wait(&mut self) -> Result<()> {
        match self.pending.take() {
            None => Ok(()),
            Some(Pending(thread)) => thread
                .join()
                .unwrap_or_else(|_| Err(Error::new("the checkpoint's thread ended unexpectedly"))),
        }
    }

    /// Removes what interrupted saves left.
    pub fn clean(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().ends_with(".partial") {
                let _ = fs::remove_dir_all(entry.path());
            }
        }
    }

    /// The newest complete checkpoint's state, and a warning for each newer one that is damaged.
    ///
    /// # Errors
    ///
    /// The folder cannot be read.
    pub fn newest(&self) -> Result<(Option<State>, Vec<String>)> {
        let mut warnings = Vec::new();
        for step in steps(&self.dir).into_iter().rev() {
            let path = self.path(step);
            match verify(&path) {
                Ok(state) => return Ok((Some(state), warnings)),
                Err(error) => warnings.push(format!(
                    "the checkpoint {} is damaged and passed over: {}",
                    path.display(),
                    error.to_string().replace('\n', "; ")
                )),
            }
        }
        Ok((None, warnings))
    }
}

/// Adds state and manifest, syncs, renames.
fn complete(partial: &Path, path: &Path, state: &State) -> Result<()> {
    let failed = |error: std::io::Error| Error::io("write", partial, &error).hint(ROOM);
    fs::write(partial.join(STATE), to_json(state)?).map_err(failed)?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(partial).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (bytes, sha256) = fingerprint(&entry.path())?;
        files
            .insert(entry.file_name().to_string_lossy().into_owned(), FileRecord { bytes, sha256 });
    }
    fs::write(partial.join(MANIFEST), to_json(&Manifest { files })?).map_err(failed)?;
    sync_tree(partial).map_err(failed)?;
    if path.exists() {
        // The same step is saved again after a resume from an older checkpoint.
        fs::remove_dir_all(path).map_err(|error| Error::io("remove", path, &error))?;
    }
    fs::rename(partial, path).map_err(failed)?;
    sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(failed)
}

/// Reads a checkpoint's state after comparing every file with the manifest.
fn verify(path: &Path) -> Result<State> {
    let read = |name: &str| {
        let file = path.join(name);
        fs::read_to_string(&file).map_err(|error| Error::io("read", &file, &error))
    };
    let manifest: Manifest = serde_json::from_str(&read(MANIFEST)?)
        .map_err(|error| Error::new(error.to_string()).at(&path.join(MANIFEST)))?;
    for (name, expected) in &manifest.files {
        let file = path.join(name);
        let length = fs::metadata(&file).map_err(|error| Error::io("read", &file, &error))?.len();
        if length != expected.bytes {
            return Err(
                Error::new(format!("expected {} bytes, found {length}", expected.bytes)).at(&file)
            );
        }
        let (_, sha256) = fingerprint(&file)?;
        if sha256 != expected.sha256 {
            return Err(Error::new("its checksum differs from the manifest's").at(&file));
        }
    }
    serde_json::from_str(&read(STATE)?)
        .map_err(|error| Error::new(error.to_string()).at(&path.join(STATE)))
}

/// The steps of the checkpoints in a folder, ascending.
fn steps(dir: &Path) -> Vec<usize> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let mut steps: Vec<usize> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.strip_prefix("step-")?.parse().ok())
        .collect();
    steps.sort_unstable();
    steps
}

/// Removes all but the newest `keep` checkpoints and the best. What cannot be removed stays.
fn retire(dir: &Path, keep: usize, best: Option<usize>) {
    let steps = steps(dir);
    for &step in &steps[..steps.len().saturating_sub(keep)] {
        if Some(step) != best {
            let _ = fs::remove_dir_all(dir.join(format!("step-{step:06}")));
        }
    }
}
