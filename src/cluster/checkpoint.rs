//! The chief's checkpoint on its way to the other workers.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::channel::Cluster;
use super::message::{Message, PART};
use crate::error::{Error, Result};

/// The chief's checkpoint on another worker.
#[derive(Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The text of its `state.json`.
    pub state: String,
    /// The prefix of its weights.
    pub weights: PathBuf,
}

impl Cluster {
    /// Sends the chief's checkpoint, the text of its state and the prefix of its weights, to all other
    /// workers; `None` where the run begins anew.
    ///
    /// # Errors
    ///
    /// A file cannot be read.
    pub fn send_checkpoint(&self, checkpoint: Option<(&str, &Path)>) -> Result<()> {
        let state = checkpoint.map(|(state, _)| state.to_owned());
        self.send(&Message::Checkpoint { state })?;
        if let Some((_, prefix)) = checkpoint {
            for path in files_of(prefix)? {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                self.send(&Message::File { name })?;
                let failed = |error| Error::io("read", &path, &error);
                let mut file = File::open(&path).map_err(failed)?;
                loop {
                    let mut bytes = Vec::new();
                    (&mut file).take(PART as u64).read_to_end(&mut bytes).map_err(failed)?;
                    if bytes.is_empty() {
                        break;
                    }
                    self.send(&Message::Part { bytes })?;
                }
            }
        }
        self.send(&Message::PartsEnd)
    }

    /// Receives the chief's checkpoint into a folder; `None` where the run begins anew.
    ///
    /// # Errors
    ///
    /// A file cannot be written.
    pub fn receive_checkpoint(&self, folder: &Path) -> Result<Option<Checkpoint>> {
        let unexpected = || self.chief_is_unexpected();
        let Message::Checkpoint { state } = self.receive_from_chief(true)? else {
            return Err(unexpected());
        };
        let mut open: Option<(PathBuf, File)> = None;
        let mut weights = None;
        loop {
            match self.receive_from_chief(true)? {
                Message::File { name } => {
                    let stem = name.split_once('.').map(|(stem, _)| stem);
                    let stem = stem.filter(|_| !name.contains('/')).ok_or_else(unexpected)?;
                    weights = Some(folder.join(stem));
                    let path = folder.join(&name);
                    let file = File::create(&path).map_err(|e| Error::io("write", &path, &e))?;
                    open = Some((path, file));
                }
                Message::Part { bytes } => {
                    let (path, file) = open.as_mut().ok_or_else(unexpected)?;
                    file.write_all(&bytes).map_err(|error| Error::io("write", path, &error))?;
                }
                Message::PartsEnd => break,
                _ => return Err(unexpected()),
            }
        }
        Ok(state.zip(weights).map(|(state, weights)| Checkpoint { state, weights }))
    }
}

/// The files of a TensorFlow checkpoint.
fn files_of(prefix: &Path) -> Result<Vec<PathBuf>> {
    let folder = prefix.parent().unwrap_or(Path::new("."));
    let stem = prefix.file_name().unwrap_or_default().to_string_lossy().into_owned() + ".";
    let entries = std::fs::read_dir(folder).map_err(|error| Error::io("list", folder, &error))?;
    let mut files: Vec<PathBuf> = entries
        .flatten()
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&stem))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    Ok(files)
}
