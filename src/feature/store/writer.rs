//! Features on their way into a store.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::{FeatureStore, Row, Rows, Summary};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::feature::Features;

/// What a file's last bytes begin with.
pub(super) const MAGIC: &[u8; 8] = b"tfbertF1";

/// Takes features part by part.
///
/// A file that cannot be written any further (a full disk) is given up with a warning, and its rows
/// go on in memory.
#[derive(Debug)]
pub struct StoreWriter {
    summary: Summary,
    lengths: Vec<u32>,
    ends: Vec<u64>,
    into: Into,
}

#[derive(Debug)]
enum Into {
    Memory(Vec<u8>),
    File(Aside),
}

/// A file that is renamed into place when it is complete.
#[derive(Debug)]
struct Aside {
    file: File,
    path: PathBuf,
    target: PathBuf,
    hasher: Sha256,
    written: u64,
}

impl StoreWriter {
    /// Keeps the rows in memory.
    pub fn in_memory() -> Self {
        Self::new(Into::Memory(Vec::new()))
    }

    /// Writes the rows into `file`, which lies at `path` and becomes `target`.
    pub(super) fn in_file(file: File, path: PathBuf, target: PathBuf) -> Self {
        Self::new(Into::File(Aside { file, path, target, hasher: Sha256::new(), written: 0 }))
    }

    /// Whether rows still go into a file.
    pub(super) fn is_in_file(&self) -> bool {
        matches!(self.into, Into::File(_))
    }

    /// Goes on with another file.
    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: File) {
        if let Into::File(aside) = &mut self.into {
            aside.file = file;
        }
    }

    fn new(into: Into) -> Self {
        Self { summary: Summary::default(), lengths: Vec::new(), ends: Vec::new(), into }
    }

    /// Adds a part of a training file with its features.
    ///
    /// # Errors
    ///
    /// An example has no target, or another number of endings than those before; the error names
    /// its line.
    pub fn append_part(&mut self, part: &Dataset, features: &Features) -> Result<()> {
        if let Some(example) = part.examples.iter().find(|example| example.target.is_none()) {
            return Err(Error::new("a training example without a label")
                .at_line(&part.path, example.line)
                .hint("name the label's column under `columns` in the task file"));
        }
        if !self.lengths.is_empty() && features.choices() != self.summary.choices {
            let what = format!(
                "expected {} endings as in the first example, found {}",
                self.summary.choices,
                features.choices()
            );
            return Err(Error::new(what).at_line(&part.path, part.examples[0].line));
        }
        self.summary.count_labels(part);
        self.append(features);
        Ok(())
    }

    /// Adds features.
    pub(super) fn append(&mut self, features: &Features) {
        let start = self.ends.last().copied().unwrap_or(0);
        let mut bytes = Vec::new();
        for feature in 0..features.len() {
            let sequences = (0..features.sequences(feature)).map(|sequence| {
                let sequence = features.sequence(feature, sequence);
                (sequence.second_segment as u32, sequence.input_ids.to_vec())
            });
            let row =
                Row { target: features.target(feature).clone(), sequences: sequences.collect() };
            bytes = postcard::to_extend(&row, bytes).expect("a row is plain data");
            self.lengths.push(features.length(feature) as u32);
            self.ends.push(start + bytes.len() as u64);
        }
        self.summary.truncated += features.truncated;
        self.summary.tokens += features.tokens();
        self.summary.choices = features.choices();
        self.write(&bytes, start);
    }

    fn write(&mut self, bytes: &[u8], start: u64) {
        match &mut self.into {
            Into::Memory(rows) => rows.extend_from_slice(bytes),
            Into::File(aside) => {
                let Err(error) = aside.write(bytes) else { return };
                let mut rows = aside.give_up(&error, start);
                rows.extend_from_slice(bytes);
                self.into = Into::Memory(rows);
            }
        }
    }

    /// The store of all that was added.
    pub fn finish(self) -> FeatureStore {
        let Self { summary, lengths, ends, into } = self;
        let rows = match into {
            Into::Memory(rows) => Rows::Memory(rows),
            Into::File(mut aside) => {
                let index = postcard::to_stdvec(&(&summary, &lengths, &ends));
                let index = index.expect("an index is plain data");
                match aside.complete(&index) {
                    Ok(()) => Rows::File(aside.file, aside.target),
                    Err(error) => {
                        Rows::Memory(aside.give_up(&error, ends.last().copied().unwrap_or(0)))
                    }
                }
            }
        };
        FeatureStore { summary, lengths, ends, rows }
    }
}

impl Aside {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.hasher.update(bytes);
        self.written += bytes.len() as u64;
        Ok(())
    }

    /// Writes the index, where it begins, the checksum of all before it, and [`MAGIC`].
    fn complete(&mut self, index: &[u8]) -> io::Result<()> {
        let start = self.written;
        self.write(index)?;
        self.write(&start.to_le_bytes())?;
        let checksum = self.hasher.clone().finalize();
        self.file.write_all(&checksum)?;
        self.file.write_all(MAGIC)?;
        fs::rename(&self.path, &self.target)
    }

    /// The first `size` bytes, of a file that is then no more.
    fn give_up(&self, error: &io::Error, size: u64) -> Vec<u8> {
        warn_unwritable(&self.target, error);
        let _ = fs::remove_file(&self.path);
        let mut rows = vec![0; size as usize];
        self.file.read_exact_at(&mut rows, 0).expect("rows that were written can be read");
        rows
    }
}

/// The run does without the cache.
pub(super) fn warn_unwritable(path: &Path, error: &io::Error) {
    log::warn!(
        "{}: could not keep the tokenised training file: {error}; the next run tokenises it again \
         (another folder: `--cache-dir DIR`, none: `--no-cache`)",
        path.display()
    );
}
