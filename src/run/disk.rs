//! Files that are whole or absent.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::{Error, Result};

/// Writes a file aside, synced, and renames it into place.
///
/// # Errors
///
/// The disk is full or the folder cannot be written; what was at `path` stays.
pub fn write_whole(path: &Path, text: &str) -> Result<()> {
    let aside = aside(path);
    let write = || -> std::io::Result<()> {
        let mut file = File::create(&aside)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&aside, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    };
    write().map_err(|error| {
        let _ = fs::remove_file(&aside);
        Error::io("write", path, &error).hint(ROOM)
    })
}

/// Fills a folder aside with `fill`, syncs it, and puts it in the place of `path`.
///
/// # Errors
///
/// `fill` fails, or the disk; what was at `path` stays.
pub fn replace_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let aside = aside(path);
    let result = (|| {
        if aside.exists() {
            fs::remove_dir_all(&aside).map_err(|error| Error::io("remove", &aside, &error))?;
        }
        fs::create_dir_all(&aside).map_err(|error| Error::io("make", &aside, &error).hint(ROOM))?;
        fill(&aside)?;
        sync_tree(&aside).map_err(|error| Error::io("write", &aside, &error).hint(ROOM))?;
        if path.exists() {
            fs::remove_dir_all(path).map_err(|error| Error::io("remove", path, &error))?;
        }
        fs::rename(&aside, path)
            .and_then(|()| sync_folder(path.parent().unwrap_or(Path::new("."))))
            .map_err(|error| Error::io("write", path, &error).hint(ROOM))
    })();
    if result.is_err() {
        let _ = fs::remove_dir_all(&aside);
    }
    result
}

pub(super) const ROOM: &str = "see that the disk has room and the folder can be written";

/// A hidden neighbour of `path` that no reader looks at.
pub(super) fn aside(path: &Path) -> PathBuf {
    let name =
        path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    path.with_file_name(format!(".{name}.partial"))
}

/// Makes a folder's entries survive a power cut.
pub(super) fn sync_folder(dir: &Path) -> std::io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// Syncs all files and folders below `dir`.
pub(super) fn sync_tree(dir: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            sync_tree(&path)?;
        } else {
            File::open(&path)?.sync_all()?;
        }
    }
    sync_folder(dir)
}

/// The SHA-256 of a file, in hexadecimal.
///
/// # Errors
///
/// The file cannot be read.
pub fn sha256(path: &Path) -> Result<String> {
    fingerprint(path).map(|(_, sha256)| sha256)
}

/// Size and SHA-256 of a file.
pub(super) fn fingerprint(path: &Path) -> Result<(u64, String)> {
    let failed = |error: std::io::Error| Error::io("read", path, &error);
    let mut file = File::open(path).map_err(failed)?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        let read = file.read(&mut buffer).map_err(failed)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
        bytes += read as u64;
    }
    let sha256 = hasher.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((bytes, sha256))
}
