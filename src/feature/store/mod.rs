//! The features of a training file on disk or in memory, read back as batches need them.
//!
//! Rows lie in a file (see [`Cache`]) or in memory; beside them a store keeps 12 bytes a feature,
//! so that a training file of any size takes little memory, and is tokenised only once.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{FeatureSizes, FeatureTarget, Features, Sequence};
use crate::dataset::{Dataset, Target};
use crate::error::{Error, Result};

mod cache;
mod writer;

pub use cache::{Cache, CacheKey};
pub use writer::StoreWriter;

/// Totals over all features of a store.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Summary {
    /// Examples that were tokenised.
    pub examples: usize,
    /// Examples that lost word pieces to the length limit.
    pub truncated: usize,
    /// Tokens of all sequences.
    pub tokens: usize,
    /// Sequences of every feature: the endings for `choice`, else 1.
    pub choices: usize,
    /// How many examples (for `tag`, words) have each label, as far as the last that occurs.
    pub label_counts: Vec<usize>,
    /// What was done about known flaws of the training file.
    pub repairs: Vec<String>,
}

/// Features, of which at least the sizes are in memory.
#[derive(Debug)]
pub struct FeatureStore {
    summary: Summary,
    /// The length of each feature's longest sequence.
    lengths: Vec<u32>,
    /// Where each feature's row ends.
    ends: Vec<u64>,
    rows: Rows,
}

#[derive(Debug)]
enum Rows {
    Memory(Vec<u8>),
    /// Rows from the file's beginning. The path is for messages.
    File(File, PathBuf),
}

/// One feature as it is stored, by postcard.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    target: FeatureTarget,
    /// For each sequence: the position at which the second segment begins, and its token ids.
    sequences: Vec<(u32, Vec<i32>)>,
}

impl FeatureStore {
    /// A store in memory of these features.
    pub fn in_memory(features: &Features) -> Self {
        let mut writer = StoreWriter::in_memory();
        writer.append(features);
        writer.finish()
    }

    /// Totals over all features.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Reads features back, in this order; the first has the index 0.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn load(&self, features: &[usize]) -> Result<Features> {
        let mut loaded = Features::default();
        let mut bytes = Vec::new();
        for (i, &feature) in features.iter().enumerate() {
            let row = self.row(feature, &mut bytes).map_err(|error| self.unreadable(&error))?;
            let sequences: Vec<_> = row
                .sequences
                .iter()
                .map(|(second_segment, input_ids)| Sequence {
                    input_ids,
                    second_segment: *second_segment as usize,
                })
                .collect();
            loaded.push(i, &sequences, row.target);
        }
        Ok(loaded)
    }

    fn row(&self, feature: usize, bytes: &mut Vec<u8>) -> io::Result<Row> {
        let start = feature.checked_sub(1).map_or(0, |before| self.ends[before]);
        let end = self.ends[feature];
        let row = match &self.rows {
            Rows::Memory(rows) => &rows[start as usize..end as usize],
            Rows::File(file, _) => {
                bytes.resize((end - start) as usize, 0);
                file.read_exact_at(bytes, start)?;
                bytes.as_slice()
            }
        };
        postcard::from_bytes(row).map_err(io::Error::other)
    }

    fn unreadable(&self, error: &io::Error) -> Error {
        match &self.rows {
            Rows::Memory(_) => Error::new(format!("could not read a feature back: {error}")),
            Rows::File(_, path) => Error::io("read", path, error)
                .hint("continue with `--resume`, and with `--no-cache` if this comes again"),
        }
    }
}

impl FeatureSizes for FeatureStore {
    fn len(&self) -> usize {
        self.lengths.len()
    }

    fn length(&self, feature: usize) -> usize {
        self.lengths[feature] as usize
    }

    fn tokens(&self) -> usize {
        self.summary.tokens
    }

    fn choices(&self) -> usize {
        self.summary.choices
    }
}

impl Summary {
    /// Counts a dataset's labels.
    pub(crate) fn count_labels(&mut self, dataset: &Dataset) {
        let mut count = |label: usize| {
            if self.label_counts.len() <= label {
                self.label_counts.resize(label + 1, 0);
            }
            self.label_counts[label] += 1;
        };
        for example in &dataset.examples {
            match &example.target {
                Some(Target::Class(class)) => count(*class),
                Some(Target::Tags(tags) | Target::Labels { labels: tags, .. }) => {
                    tags.iter().for_each(|&tag| count(tag));
                }
                _ => {}
            }
        }
        self.examples += dataset.examples.len();
    }
}

#[cfg(test)]
mod tests;
