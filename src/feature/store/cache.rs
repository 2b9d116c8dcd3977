//! Tokenised training files on disk. A file's name is the hash of all that its features depend on.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::writer::{MAGIC, StoreWriter, warn_unwritable};
use super::{FeatureStore, Rows, Summary};
use crate::error::Result;
use crate::feature::FeatureSettings;
use crate::files::{Digest, PartialFile, Sha256, hash_reader, hex};
use crate::task::Task;

/// Version of the files. Raise it with every change of what is stored, or of the features that
/// examples give.
const FORMAT: u32 = 2;

/// The bytes behind the index: where it begins, the checksum, [`MAGIC`].
const FOOTER: usize = 8 + 32 + 8;

/// All that features depend on.
#[derive(Debug, Serialize)]
pub struct CacheKey<'a> {
    /// The task: its form, columns and label rules.
    pub task: &'a Task,
    /// Its labels, in order.
    pub labels: &'a [String],
    /// How examples are cut.
    pub features: FeatureSettings,
    /// How many examples are read at most.
    pub limit: Option<usize>,
    /// SHA-256 of the training file.
    pub data_sha256: &'a str,
    /// SHA-256 of `tokenizer.json`.
    pub tokenizer_sha256: &'a str,
}

impl CacheKey<'_> {
    /// The name of the file.
    fn file_name(&self) -> String {
        let text = serde_json::to_vec(&(FORMAT, env!("CARGO_PKG_VERSION"), self))
            .expect("a key is plain data");
        format!("{}-{}.features", self.task.name, hex(&Sha256::digest(text)[..16]))
    }
}

/// A folder of tokenised training files. Any of them may be removed at any time.
#[derive(Debug, Clone)]
pub struct Cache {
    dir: PathBuf,
}

impl Cache {
    /// The cache in a folder, which need not exist yet.
    pub fn new(dir: PathBuf) -> Self {
        Self { dir }
    }

    /// The store under a key: from the cache, or made by `fill`.
    ///
    /// A file that is damaged is made anew, and where none can be written the store is in memory;
    /// both with a warning.
    ///
    /// # Errors
    ///
    /// Those of `fill`.
    pub fn get(
        &self,
        key: &CacheKey<'_>,
        fill: impl FnOnce(&mut StoreWriter) -> Result<()>,
    ) -> Result<FeatureStore> {
        let path = self.dir.join(key.file_name());
        match open(&path) {
            Ok(store) => {
                log::debug!("{}: tokenised before", path.display());
                return Ok(store);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => log::warn!("{}: {error}; tokenising again", path.display()),
        }
        let mut writer = match PartialFile::create(&path) {
            Ok(partial) => StoreWriter::in_file(partial),
            Err(error) => {
                // Another process that writes the same features is no trouble.
                if error.kind() != io::ErrorKind::WouldBlock {
                    warn_unwritable(&path, &error);
                }
                StoreWriter::in_memory()
            }
        };
        match fill(&mut writer) {
            Ok(()) => Ok(writer.finish()),
            Err(error) => {
                writer.discard();
                Err(error)
            }
        }
    }
}

/// Opens a complete file, every byte of it checked.
fn open(path: &Path) -> io::Result<FeatureStore> {
    let mut file = File::open(path)?;
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "the file is damaged");
    let size = file.metadata()?.len();
    let footer_at = size.checked_sub(FOOTER as u64).ok_or_else(damaged)?;
    let mut footer = [0; FOOTER];
    file.read_exact_at(&mut footer, footer_at)?;
    let (start, rest) = footer.split_at(8);
    let (checksum, magic) = rest.split_at(32);
    let index_at = u64::from_le_bytes(start.try_into().map_err(|_| damaged())?);
    let index_size = footer_at.checked_sub(index_at).ok_or_else(damaged)?;
    if magic != MAGIC || hash_reader(&mut (&mut file).take(footer_at + 8))?.1 != checksum {
        return Err(damaged());
    }
    let mut index = vec![0; usize::try_from(index_size).map_err(|_| damaged())?];
    file.read_exact_at(&mut index, index_at)?;
    let (summary, lengths, ends): (Summary, Vec<u32>, Vec<u64>) =
        postcard::from_bytes(&index).map_err(|_| damaged())?;
    let whole = lengths.len() == ends.len()
        && ends.is_sorted()
        && ends.last().is_none_or(|&end| end == index_at);
    if !whole {
        return Err(damaged());
    }
    Ok(FeatureStore { summary, lengths, ends, rows: Rows::File(file, path.to_owned()) })
}
