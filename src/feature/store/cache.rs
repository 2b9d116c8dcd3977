//! Tokenised training files on disk, each under the hash of all that it depends on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::writer::{MAGIC, StoreWriter, warn_unwritable};
use super::{FeatureStore, Rows, Summary};
use crate::error::Result;
use crate::feature::FeatureSettings;
use crate::task::Task;

/// To be raised with every change of what is stored, or of the features that examples give.
const FORMAT: u32 = 1;

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
        let hash = Sha256::digest(text);
        let name: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("{}-{name}.features", self.task.name)
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

    /// The user's folder: `$XDG_CACHE_HOME/tfbert`, else `~/.cache/tfbert`; none where there is no
    /// home.
    pub fn user_folder() -> Option<PathBuf> {
        let base = std::env::var_os("XDG_CACHE_HOME")
            .map(PathBuf::from)
            .filter(|path| path.is_absolute()) // As the XDG Base Directory Specification asks.
            .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))?;
        Some(base.join("tfbert"))
    }

    /// The store under a key: the one that is there, or one that `fill` makes.
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
        let aside = path.with_extension("partial");
        let mut writer = match self.create(&aside) {
            Ok(file) => StoreWriter::in_file(file, aside.clone(), path),
            Err(error) => {
                // Another process that writes the same features is no trouble.
                if error.kind() != io::ErrorKind::WouldBlock {
                    warn_unwritable(&path, &error);
                }
                StoreWriter::in_memory()
            }
        };
        let filled = fill(&mut writer);
        if let Err(error) = filled {
            if writer.is_in_file() {
                let _ = fs::remove_file(&aside);
            }
            return Err(error);
        }
        Ok(writer.finish())
    }

    /// The file to write, locked against other processes; one that a crash left is used again.
    fn create(&self, path: &Path) -> io::Result<File> {
        fs::create_dir_all(&self.dir)?;
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        file.try_lock().map_err(io::Error::from)?;
        file.set_len(0)?;
        Ok(file)
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
    if magic != MAGIC || hash(&mut file, footer_at + 8)? != checksum {
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

/// The SHA-256 of a file's first `size` bytes.
fn hash(file: &mut File, size: u64) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    let mut left = file.take(size);
    let mut buffer = vec![0; 1 << 20];
    loop {
        match left.read(&mut buffer)? {
            0 => return Ok(hasher.finalize().into()),
            read => hasher.update(&buffer[..read]),
        }
    }
}
