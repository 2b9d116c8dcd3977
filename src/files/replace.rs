//! Files, folders and links that are written aside and renamed into place.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The hint for a file or folder that cannot be written.
pub const DISK_HINT: &str = "see that the disk has room and the folder can be written";

/// Writes a file aside, syncs it, and renames it into place.
///
/// # Errors
///
/// The disk is full or the folder cannot be written; what was at `path` stays.
pub fn write_file(path: &Path, text: &str) -> Result<()> {
    let partial = partial_path(path);
    let write = || {
        write_and_rename(&partial, path, |file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        })?;
        sync_folder(parent(path))
    };
    write().map_err(|error| Error::io("write", path, &error).hint(DISK_HINT))
}

/// As [`write_file`], for a file that several processes may write at the same time: each has a
/// partial file of its own, and the last one wins. It is not synced, so after a power cut the file
/// may be empty.
///
/// # Errors
///
/// See [`write_file`].
pub fn write_shared_file(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_and_rename(&process_path(path), path, |file| file.write_all(bytes))
}

fn write_and_rename(
    partial: &Path,
    path: &Path,
    write: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let written = File::create(partial)
        .and_then(|mut file| write(&mut file))
        .and_then(|()| fs::rename(partial, path));
    if written.is_err() {
        let _ = fs::remove_file(partial);
    }
    written
}

/// Fills a folder aside with `fill`, syncs it, and renames it to `path` in place of what is there.
///
/// # Errors
///
/// `fill` fails, or the disk; what was at `path` stays.
pub fn replace_folder(path: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let partial = partial_path(path);
    let result = (|| {
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(|error| Error::io("remove", &partial, &error))?;
        }
        let failed =
            |action: &str, path: &Path, error| Error::io(action, path, &error).hint(DISK_HINT);
        fs::create_dir_all(&partial).map_err(|error| failed("create", &partial, error))?;
        fill(&partial)?;
        sync_tree(&partial).map_err(|error| failed("write", &partial, error))?;
        if path.exists() {
            fs::remove_dir_all(path).map_err(|error| Error::io("remove", path, &error))?;
        }
        fs::rename(&partial, path)
            .and_then(|()| sync_folder(parent(path)))
            .map_err(|error| failed("write", path, error))
    })();
    if result.is_err() {
        let _ = fs::remove_dir_all(&partial);
    }
    result
}

/// Makes `link` a symbolic link to `target`, in place of another link. Several processes may do so
/// at the same time.
///
/// # Errors
///
/// The folder cannot be written.
pub fn replace_link(link: &Path, target: &Path) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|known| known == target) {
        return Ok(());
    }
    let partial = process_path(link);
    let _ = fs::remove_file(&partial);
    symlink(target, &partial)?;
    fs::rename(&partial, link)
}

/// A file that is written piece by piece, locked against other processes, and then renamed into
/// place. One that a killed process left is used again.
#[derive(Debug)]
pub struct PartialFile {
    /// The file, open for reading and writing.
    pub file: File,
    partial: PathBuf,
    target: PathBuf,
}

impl PartialFile {
    /// Creates the partial file of `target`, and the folders above it.
    ///
    /// # Errors
    ///
    /// The folder cannot be written; with [`io::ErrorKind::WouldBlock`], another process writes the
    /// same file.
    pub fn create(target: &Path) -> io::Result<Self> {
        let partial = Self::resume(target)?;
        partial.file.set_len(0)?;
        Ok(partial)
    }

    /// Opens the partial file of `target` with what an earlier process wrote of it.
    ///
    /// # Errors
    ///
    /// See [`PartialFile::create`].
    pub fn resume(target: &Path) -> io::Result<Self> {
        fs::create_dir_all(parent(target))?;
        let partial = partial_path(target);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).open(&partial)?;
        file.try_lock().map_err(io::Error::from)?;
        Ok(Self { file, partial, target: target.to_owned() })
    }

    /// The name under which it is written.
    pub fn path(&self) -> &Path {
        &self.partial
    }

    /// The final name.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Gives the file its final name. It is not synced.
    ///
    /// # Errors
    ///
    /// The folder cannot be written.
    pub fn rename(&self) -> io::Result<()> {
        fs::rename(&self.partial, &self.target)
    }

    /// Removes the partial file. What was written can still be read from `file`.
    pub fn remove(&self) {
        let _ = fs::remove_file(&self.partial);
    }
}

/// The hidden neighbour of `path` that is written first: `.NAME.partial`.
pub fn partial_path(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.partial", name(path)))
}

/// As [`partial_path`], of this process alone.
fn process_path(path: &Path) -> PathBuf {
    path.with_file_name(format!(".{}.{}.partial", name(path), std::process::id()))
}

fn name(path: &Path) -> String {
    path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

fn parent(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

/// Makes a folder's entries survive a power cut.
///
/// # Errors
///
/// The folder cannot be opened or the disk fails.
pub fn sync_folder(dir: &Path) -> io::Result<()> {
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    File::open(dir)?.sync_all()
}

/// Makes all files and folders below `dir` survive a power cut.
///
/// # Errors
///
/// See [`sync_folder`].
pub fn sync_tree(dir: &Path) -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(dir).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_written_file_replaces_the_old_one_and_leaves_nothing_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run.json");
        write_file(&path, "old").unwrap();
        write_file(&path, "new").unwrap();
        write_shared_file(&path, b"newest").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "newest");
        assert_eq!(names(dir.path()), ["run.json"]);
    }

    #[test]
    fn a_file_that_cannot_be_renamed_leaves_what_was_there_and_no_partial_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("taken");
        fs::create_dir_all(path.join("by a folder")).unwrap();
        let error = write_file(&path, "text").unwrap_err();
        assert_eq!(error.hint_text(), Some(DISK_HINT));
        assert_eq!(names(dir.path()), ["taken"]);
    }

    #[test]
    fn a_folder_that_cannot_be_filled_leaves_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("model");
        replace_folder(&path, |dir| write_file(&dir.join("weights"), "old")).unwrap();
        let failed = replace_folder(&path, |dir| {
            write_file(&dir.join("weights"), "half")?;
            Err(Error::new("no room"))
        });
        assert_eq!(failed.unwrap_err().what(), "no room");
        assert_eq!(fs::read_to_string(path.join("weights")).unwrap(), "old");
        assert_eq!(names(dir.path()), ["model"]);
    }

    #[test]
    fn a_link_is_made_anew_only_where_its_target_differs() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        for target in ["one", "one", "two"] {
            replace_link(&link, Path::new(target)).unwrap();
            assert_eq!(fs::read_link(&link).unwrap(), Path::new(target));
        }
        assert_eq!(names(dir.path()), ["link"]);
    }

    #[test]
    fn a_partial_file_is_locked_until_it_is_renamed_or_dropped() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("new/features");
        let mut first = PartialFile::create(&target).unwrap();
        let busy = PartialFile::create(&target).unwrap_err();
        assert_eq!(busy.kind(), io::ErrorKind::WouldBlock);
        first.file.write_all(b"left by a crash").unwrap();
        drop(first);
        let mut second = PartialFile::create(&target).unwrap();
        second.file.write_all(b"whole").unwrap();
        second.rename().unwrap();
        assert_eq!(fs::read_to_string(&target).unwrap(), "whole");
    }
}
