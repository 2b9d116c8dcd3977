//! Writes features into a store, part by part.

use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::{FeatureStore, Row, Rows, Summary};
use crate::dataset::Dataset;
use crate::error::{Error, Result};
use crate::feature::Features;
use crate::files::{Digest, PartialFile, Sha256};

/// The last bytes of a complete file.
pub(super) const MAGIC: &[u8; 8] = b"tfbertF1";

/// Takes features part by part.
///
/// When the file cannot be written any further (a full disk), a warning is logged, the file is removed
/// and its rows are kept in memory.
#[derive(Debug)]
pub struct StoreWriter {
    summary: Summary,
    lengths: Vec<u32>,
    ends: Vec<u64>,
    destination: Destination,
}

#[derive(Debug)]
enum Destination {
    Memory(Vec<u8>),
    File(HashedFile),
}

/// A partial file, with the hash and number of the bytes so far.
#[derive(Debug)]
struct HashedFile {
    partial: PartialFile,
    hasher: Sha256,
    written: u64,
}

impl StoreWriter {
    /// Keeps the rows in memory.
    pub fn in_memory() -> Self {
        Self::new(Destination::Memory(Vec::new()))
    }

    /// Writes the rows into a file.
    pub(super) fn in_file(partial: PartialFile) -> Self {
        Self::new(Destination::File(HashedFile { partial, hasher: Sha256::new(), written: 0 }))
    }

    /// Removes what was written.
    pub(super) fn discard(self) {
        if let Destination::File(file) = self.destination {
            file.partial.remove();
        }
    }

    /// Goes on with another file.
    #[cfg(test)]
    pub(super) fn replace_file(&mut self, file: std::fs::File) {
        if let Destination::File(hashed) = &mut self.destination {
            hashed.partial.file = file;
        }
    }

    fn new(destination: Destination) -> Self {
        Self { summary: Summary::default(), lengths: Vec::new(), ends: Vec::new(), destination }
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
        match &mut self.destination {
            Destination::Memory(rows) => rows.extend_from_slice(bytes),
            Destination::File(file) => {
                let Err(error) = file.write(bytes) else { return };
                let mut rows = file.give_up(&error, start);
                rows.extend_from_slice(bytes);
                self.destination = Destination::Memory(rows);
            }
        }
    }

    /// Keeps what was done about known flaws of the training file.
    pub fn set_repairs(&mut self, repairs: Vec<String>) {
        self.summary.repairs = repairs;
    }

    /// The store of all that was added.
    pub fn finish(self) -> FeatureStore {
        let Self { summary, lengths, ends, destination } = self;
        let rows = match destination {
            Destination::Memory(rows) => Rows::Memory(rows),
            Destination::File(mut file) => {
                let index = postcard::to_stdvec(&(&summary, &lengths, &ends));
                let index = index.expect("an index is plain data");
                match file.complete(&index) {
                    Ok(()) => {
                        let target = file.partial.target().to_owned();
                        Rows::File(file.partial.file, target)
                    }
                    Err(error) => {
                        Rows::Memory(file.give_up(&error, ends.last().copied().unwrap_or(0)))
                    }
                }
            }
        };
        FeatureStore { summary, lengths, ends, rows }
    }
}

impl HashedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.partial.file.write_all(bytes)?;
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
        self.partial.file.write_all(&checksum)?;
        self.partial.file.write_all(MAGIC)?;
        self.partial.rename()
    }

    /// The first `size` bytes, of a file that is then no more.
    fn give_up(&self, error: &io::Error, size: u64) -> Vec<u8> {
        warn_unwritable(self.partial.target(), error);
        self.partial.remove();
        let mut rows = vec![0; size as usize];
        self.partial.file.read_exact_at(&mut rows, 0).expect("rows that were written can be read");
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
