//! `metrics.jsonl`: a line for every few steps and every evaluation, written as it goes.
//!
//! It holds nothing that depends on the clock, so a resumed run's file equals an uninterrupted
//! run's byte for byte.

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::error::{Error, Result};
use crate::files::names;

/// The log, open for appending.
#[derive(Debug)]
pub struct MetricsLog {
    path: PathBuf,
    file: File,
    bytes: u64,
}

impl MetricsLog {
    /// Opens the log in a run's folder and cuts it to `bytes`, its length when the checkpoint was written.
    ///
    /// # Errors
    ///
    /// It cannot be written, or is shorter than the checkpoint says.
    pub fn open(dir: &Path, bytes: u64) -> Result<Self> {
        let path = dir.join(names::METRICS);
        let failed = |error: std::io::Error| Error::io("write", &path, &error);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        let found = file.metadata().map_err(failed)?.len();
        if found < bytes {
            return Err(Error::new(format!(
                "it has {found} bytes, fewer than the {bytes} when the checkpoint was written: lines were lost"
            ))
            .at(&path)
            .hint("put the file back, or start the run over with `--overwrite`"));
        }
        file.set_len(bytes).map_err(failed)?;
        file.seek(SeekFrom::Start(bytes)).map_err(failed)?;
        Ok(Self { path, file, bytes })
    }

    /// Appends a line.
    ///
    /// # Errors
    ///
    /// The disk is full.
    pub fn write(&mut self, line: &impl Serialize) -> Result<()> {
        let mut json = serde_json::to_string(line)
            .map_err(|error| Error::new(error.to_string()).at(&self.path))?;
        json.push('\n');
        self.file
            .write_all(json.as_bytes())
            .map_err(|error| Error::io("write", &self.path, &error))?;
        self.bytes += json.len() as u64;
        Ok(())
    }

    /// Makes all lines so far survive a power cut; how many bytes they are.
    ///
    /// # Errors
    ///
    /// The disk fails.
    pub fn sync(&mut self) -> Result<u64> {
        self.file.sync_data().map_err(|error| Error::io("write", &self.path, &error))?;
        Ok(self.bytes)
    }
}
