//! Checkpoints: complete or absent.
//!
//! TensorFlow writes the weights into a hidden folder. A background thread then computes checksums,
//! syncs and renames, so that training waits for the writing alone.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use serde::{Deserialize, Serialize};

use super::retention::Saved;
use super::to_json;
use crate::error::{Error, Result};
use crate::files::{
    DISK_HINT, Fingerprint, fingerprint, names, partial_path, sync_folder, sync_tree,
};
use crate::scores::Scores;

/// Where a run stands, apart from weights and optimiser: `state.json`.
///
/// Epoch and batch follow from the step. Files of older versions have them too; they are ignored.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct State {
    /// Updates done.
    pub step: usize,
    /// The best evaluation so far.
    pub best: Option<Best>,
    /// The step of the last evaluation.
    pub evaluated: usize,
    /// The value of the selecting metric that an evaluation must exceed to count as better for
    /// `--patience`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_exceed: Option<f64>,
    /// Evaluations in a row that did not.
    #[serde(default)]
    pub without_improvement: usize,
    /// Whether the median rule of a sweep ended the run.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped_by_median_rule: bool,
    /// Updates left out because their gradient was not finite.
    pub skipped: usize,
    /// Bytes of `metrics.jsonl`.
    pub log_bytes: u64,
    /// Bytes of the TensorBoard events.
    #[serde(default)]
    pub events_bytes: u64,
    /// Sum of the losses since the last line of `metrics.jsonl`.
    pub loss_sum: f64,
    /// Number of losses in `loss_sum`.
    pub loss_count: usize,
}

impl State {
    /// Refuses a state that stands past the end of a run of `total` steps.
    ///
    /// # Errors
    ///
    /// It does: the training file gave more steps when the checkpoint was written.
    pub fn check(&self, total: usize) -> Result<()> {
        if self.step <= total {
            return Ok(());
        }
        Err(Error::new(format!("the checkpoint is of step {}, the run has {total}", self.step))
            .hint("start the run over with `--overwrite`"))
    }
}

/// An evaluation, and the step it was made after.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// Updates done.
    pub step: usize,
    /// Scores of each development split, in the task's order.
    pub scores: Vec<(String, Scores)>,
    /// Mean loss on the first split, where it is a number; older versions did not keep it.
    #[serde(default)]
    pub loss: Option<f64>,
}

/// Name, size and checksum of a checkpoint's files.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Manifest {
    files: BTreeMap<String, Fingerprint>,
}

const STATE: &str = "state.json";
const MANIFEST: &str = "manifest.json";
const WEIGHTS: &str = "weights";
const WEIGHTS_INDEX: &str = "weights.index";

/// The checkpoints of a run.
#[derive(Debug)]
pub struct Checkpoints {
    dir: PathBuf,
    pending: Option<Pending>,
}

/// A checkpoint that the background thread completes.
#[derive(Debug)]
pub struct Pending(JoinHandle<Result<()>>);

impl Checkpoints {
    /// The checkpoints in a run's folder.
    pub fn new(run: &Path) -> Self {
        Self { dir: run.join(names::CHECKPOINTS), pending: None }
    }

    /// The complete checkpoints, oldest first, once the last one is complete.
    ///
    /// # Errors
    ///
    /// It could not be completed.
    pub fn list(&mut self) -> Result<Vec<Saved>> {
        self.wait()?;
        let best = |step: usize| {
            let text = fs::read_to_string(self.path(step).join(STATE)).ok()?;
            parse_state(&text).ok()?.best.map(|best| best.step)
        };
        Ok(steps(&self.dir).into_iter().map(|step| Saved { step, best: best(step) }).collect())
    }

    /// The prefix of the weights of a step's checkpoint.
    pub fn weights(&self, step: usize) -> PathBuf {
        self.path(step).join(WEIGHTS)
    }

    fn path(&self, step: usize) -> PathBuf {
        self.dir.join(format!("step-{step:06}"))
    }

    /// Saves: `write` is given the prefix to write the weights to. Returns once they are written.
    /// The background thread completes the checkpoint and then removes those of the steps
    /// `delete`; if it fails, the next call returns its error.
    ///
    /// # Errors
    ///
    /// The disk is full or the folder gone; earlier checkpoints stay.
    pub fn save(
        &mut self,
        state: &State,
        delete: Vec<usize>,
        write: impl FnOnce(&Path) -> Result<()>,
    ) -> Result<()> {
        self.wait()?;
        let path = self.path(state.step);
        let partial = partial_path(&path);
        let prepared = (|| {
            if partial.exists() {
                fs::remove_dir_all(&partial)
                    .map_err(|error| Error::io("remove", &partial, &error))?;
            }
            // Not `create_dir_all`: if the run's folder is gone, it must not be created again empty.
            if !self.dir.is_dir() {
                make(&self.dir)?;
            }
            make(&partial)?;
            write(&partial.join(WEIGHTS))
        })();
        if let Err(error) = prepared {
            let _ = fs::remove_dir_all(&partial);
            return Err(error);
        }
        let state = state.clone();
        let delete: Vec<PathBuf> = delete.into_iter().map(|step| self.path(step)).collect();
        self.pending = Some(Pending(std::thread::spawn(move || {
            let result = complete(&partial, &path, &state);
            if result.is_err() {
                let _ = fs::remove_dir_all(&partial);
                return result;
            }
            delete.iter().for_each(|path| remove(path));
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

    /// Cleans up after interrupted saves: a complete checkpoint gets its name, the rest is removed.
    pub fn clean(&self) {
        for entry in fs::read_dir(&self.dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let hidden = entry.path();
            if name.ends_with(RETIRED) {
                let _ = fs::remove_dir_all(&hidden);
            } else if let Some(name) = name.strip_suffix(".partial") {
                let path = self.dir.join(name.trim_start_matches('.'));
                let whole = !path.exists() && verify(&hidden).is_ok();
                if !whole || fs::rename(&hidden, &path).is_err() {
                    let _ = fs::remove_dir_all(&hidden);
                }
            }
        }
    }

    /// The newest complete checkpoint's state, and a warning for each newer one that is damaged.
    /// Damaged ones are renamed, so that they do not count as checkpoints any more.
    ///
    /// A checkpoint counts as complete only if the best one that its state names is complete too:
    /// the final model is made from that.
    ///
    /// # Errors
    ///
    /// A damaged checkpoint cannot be renamed.
    pub fn newest(&self) -> Result<(Option<State>, Vec<String>)> {
        let mut warnings = Vec::new();
        for step in steps(&self.dir).into_iter().rev() {
            let path = self.path(step);
            let state = verify(&path).and_then(|state| match &state.best {
                _ if state.step != step => {
                    Err(Error::new(format!("its {STATE} is that of step {}", state.step)))
                }
                Some(best) if best.step != step => self.check(best.step).map(|()| state),
                _ => Ok(state),
            });
            match state {
                Ok(state) => return Ok((Some(state), warnings)),
                Err(error) => {
                    warnings.push(format!(
                        "the checkpoint {} is damaged and passed over: {}",
                        path.display(),
                        error.to_string().replace('\n', "; ")
                    ));
                    let damaged = damaged(&path);
                    let _ = fs::remove_dir_all(&damaged);
                    fs::rename(&path, &damaged)
                        .map_err(|error| Error::io("rename", &path, &error))?;
                }
            }
        }
        Ok((None, warnings))
    }

    /// Compares a step's checkpoint with its manifest.
    ///
    /// # Errors
    ///
    /// It is missing or damaged.
    pub fn check(&self, step: usize) -> Result<()> {
        verify(&self.path(step)).map(drop)
    }
}

impl Drop for Checkpoints {
    /// Completes the last checkpoint also where a later step fails.
    fn drop(&mut self) {
        if let Err(error) = self.wait() {
            log::error!("{error}");
        }
    }
}

const RETIRED: &str = ".retired";

/// The name that a damaged checkpoint gets. It is removed when its step is saved again.
fn damaged(path: &Path) -> PathBuf {
    path.with_extension("damaged")
}

fn make(dir: &Path) -> Result<()> {
    fs::create_dir(dir).map_err(|error| Error::io("create", dir, &error).hint(DISK_HINT))
}

/// Adds state and manifest, syncs, renames.
fn complete(partial: &Path, path: &Path, state: &State) -> Result<()> {
    let failed = |error: std::io::Error| Error::io("write", partial, &error).hint(DISK_HINT);
    fs::write(partial.join(STATE), to_json(state)?).map_err(failed)?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(partial).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, fingerprint(&entry.path())?);
    }
    fs::write(partial.join(MANIFEST), to_json(&Manifest { files })?).map_err(failed)?;
    sync_tree(partial).map_err(failed)?;
    // A step is saved a second time where a signal came before its evaluation. If the process ends
    // between the two renames, `clean` finds the new one complete and gives it its name.
    remove(path);
    fs::rename(partial, path).map_err(failed)?;
    sync_folder(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
    let _ = fs::remove_dir_all(damaged(path));
    Ok(())
}

/// Removes a checkpoint: it is renamed first, so that half of it never counts as a checkpoint. One
/// that cannot be removed stays.
fn remove(path: &Path) {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let retired = path.with_file_name(format!(".{name}{RETIRED}"));
    let _ = fs::remove_dir_all(&retired);
    if fs::rename(path, &retired).is_ok() {
        let _ = fs::remove_dir_all(&retired);
    }
}

/// Reads a checkpoint's state after comparing every file with the manifest.
fn verify(path: &Path) -> Result<State> {
    let read = |name: &str| {
        let file = path.join(name);
        fs::read_to_string(&file).map_err(|error| Error::io("read", &file, &error))
    };
    let manifest = parse_manifest(&read(MANIFEST)?)
        .map_err(|error| Error::new(error).at(&path.join(MANIFEST)))?;
    for (name, expected) in &manifest.files {
        let file = path.join(name);
        let length = fs::metadata(&file).map_err(|error| Error::io("read", &file, &error))?.len();
        if length != expected.bytes {
            return Err(
                Error::new(format!("expected {} bytes, found {length}", expected.bytes)).at(&file)
            );
        }
        if fingerprint(&file)? != *expected {
            return Err(Error::new("its checksum differs from the manifest's").at(&file));
        }
    }
    parse_state(&read(STATE)?).map_err(|error| Error::new(error).at(&path.join(STATE)))
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

/// Parses a manifest; it must name the state and the weights, and only files of its own folder.
pub(crate) fn parse_manifest(text: &str) -> std::result::Result<Manifest, String> {
    let manifest: Manifest = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if let Some(name) = manifest.files.keys().find(|name| name.contains('/') || *name == "..") {
        return Err(format!("`{name}` is not the name of a file in the same folder"));
    }
    for name in [STATE, WEIGHTS_INDEX] {
        if !manifest.files.contains_key(name) {
            return Err(format!("it lacks {name}"));
        }
    }
    Ok(manifest)
}

/// The state that another worker's checkpoint is of, for this worker: of the files that it goes on
/// writing this one has none.
///
/// # Errors
///
/// The text is no state.
pub fn received_state(text: &str) -> Result<State> {
    let state = parse_state(text)
        .map_err(|error| Error::new(format!("the chief's state cannot be read: {error}")))?;
    Ok(State { log_bytes: 0, events_bytes: 0, ..state })
}

/// Parses a `state.json`.
pub(crate) fn parse_state(text: &str) -> std::result::Result<State, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}
