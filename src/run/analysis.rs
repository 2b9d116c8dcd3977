//! `analysis.json`: what the best evaluation shows beyond its metrics.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::analysis::{Analysis, Lengths};
use crate::error::{Error, Result};
use crate::files::{names, write_file};

/// What the best evaluation of a run shows. Its size is bounded, whatever the data set.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct RunAnalysis {
    /// The step after which it was made.
    pub step: usize,
    /// How long the training examples are in word pieces.
    pub train_lengths: Lengths,
    /// Each development split, in the task's order.
    pub splits: Vec<Analysis>,
}

impl RunAnalysis {
    /// Writes it into a run's folder.
    ///
    /// # Errors
    ///
    /// The disk is full or the folder gone.
    pub fn write(&self, run: &Path) -> Result<()> {
        let json = serde_json::to_string(self)
            .map_err(|error| Error::new(format!("could not write JSON: {error}")))?;
        write_file(&run.join(names::ANALYSIS), &(json + "\n"))
    }

    /// Reads it from a run's folder; `None` where there is none.
    ///
    /// # Errors
    ///
    /// It cannot be read.
    pub fn read(run: &Path) -> Result<Option<Self>> {
        let path = run.join(names::ANALYSIS);
        match fs::read_to_string(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", &path, &error)),
            Ok(text) => parse(&text).map(Some).map_err(|error| {
                Error::new(format!("it cannot be read: {error}"))
                    .at_line(&path, error.line())
                    .hint("remove the file; the report then lacks what it holds")
            }),
        }
    }
}

/// Parses an `analysis.json`.
pub(crate) fn parse(text: &str) -> serde_json::Result<RunAnalysis> {
    serde_json::from_str(text)
}
