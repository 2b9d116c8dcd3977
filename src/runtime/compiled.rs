//! XLA's compiled programs on disk, so that a second run of the same shapes compiles nothing.
//!
//! TensorFlow writes and reads them (`--tf_xla_persistent_cache_directory`), each under a fingerprint
//! of what was compiled; a program gives the same result whether it was compiled or read. TensorFlow
//! does not check the files: a damaged one fails the run, and one made for another processor ends the
//! process. This module sees to it that neither is read.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::files::{Digest, Fingerprint, Sha256, hex, write_shared_file};

/// The variable with XLA's flags; where the user set it, it stays as it is.
pub(super) const XLA_FLAGS: &str = "TF_XLA_FLAGS";
/// The file of checksums, by name, of the files that are complete.
const CHECKSUMS: &str = "checksums.json";
/// Bytes that must be free on the disk: TensorFlow fails a run whose programs it cannot write.
const ROOM: u64 = 64 << 20;
/// The beginning of the names of TensorFlow's files.
pub(super) const PREFIX: &str = "xla_compile_cache__";
/// Bytes of all programs above which the oldest are removed. Those of a shape take less than 1 MB.
const LARGEST: u64 = 512 << 20;

/// A folder of programs, for one processor, one library and one number of threads.
///
/// The process holds a shared lock while it uses the folder. A process that opens a folder which no
/// other one uses removes files that a killed process left, and damaged ones.
#[derive(Debug)]
pub(super) struct CompiledPrograms {
    dir: PathBuf,
    _lock: File,
}

impl CompiledPrograms {
    /// The programs below a cache folder; `None` where they cannot be used.
    pub(super) fn open(cache: &Path, library: &Path, threads: usize) -> Option<Self> {
        let dir = cache.join(format!("xla-{}", key(library, threads).ok()?));
        // TensorFlow divides its flags at spaces, and ends the process over one that it cannot read.
        let reads = |c: char| !c.is_whitespace() && c != '"' && c != '\'';
        if !dir.to_str().is_some_and(|path| path.chars().all(reads)) {
            log::debug!(
                "{}: compiled programs are not kept: its name has a space or a quote",
                dir.display()
            );
            return None;
        }
        match Self::open_dir(&dir) {
            Ok(found) => Some(found),
            Err(error) => {
                log::debug!("{}: compiled programs are not kept: {error}", dir.display());
                None
            }
        }
    }

    fn open_dir(dir: &Path) -> io::Result<Self> {
        fs::create_dir_all(dir)?;
        if free(dir)? < ROOM {
            return Err(io::Error::new(io::ErrorKind::StorageFull, "the disk is almost full"));
        }
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .read(true)
            .open(dir.join("lock"))?;
        let alone = lock.try_lock().is_ok();
        let known = checksums(dir);
        let mut size = 0;
        for (name, path) in programs(dir)? {
            size += fs::metadata(&path).map_or(0, |data| data.len());
            let sealed = known.get(&name);
            if sealed.is_some_and(|known| sha256(&path).is_ok_and(|found| found == *known)) {
                continue;
            }
            if alone {
                log::debug!("{}: removed: it may be incomplete or damaged", path.display());
                fs::remove_file(&path)?;
            } else if sealed.is_some() {
                return Err(io::Error::other(format!("{} is damaged", path.display())));
            }
        }
        if alone && size > LARGEST {
            remove_oldest(dir, LARGEST / 2)?;
        }
        lock.lock_shared()?;
        let opened = Self { dir: dir.to_owned(), _lock: lock };
        opened.seal()?; // Fails where the folder cannot be written; TensorFlow does not check that.
        Ok(opened)
    }

    /// The flags that have XLA use the folder.
    pub(super) fn flags(&self) -> String {
        format!(
            "--tf_xla_persistent_cache_directory={} --tf_xla_persistent_cache_device_types=CPU",
            self.dir.display()
        )
    }

    /// Writes the checksums of the files that have none yet.
    fn seal(&self) -> io::Result<()> {
        let known = checksums(&self.dir);
        let mut all = BTreeMap::new();
        for (name, path) in programs(&self.dir)? {
            let sum = known.get(&name).cloned().map_or_else(|| sha256(&path), Ok)?;
            all.insert(name, sum);
        }
        write_shared_file(&self.dir.join(CHECKSUMS), &serde_json::to_vec(&all)?)
    }
}

impl Drop for CompiledPrograms {
    fn drop(&mut self) {
        if let Err(error) = self.seal() {
            log::debug!("{}: {error}", self.dir.display());
        }
    }
}

/// A name for what programs depend on beside what was compiled: the library, the processor, and the
/// number of threads.
fn key(library: &Path, threads: usize) -> io::Result<String> {
    let library = library.canonicalize()?;
    let data = fs::metadata(&library)?;
    let mut hasher = Sha256::new();
    hasher.update(library.as_os_str().as_encoded_bytes());
    hasher.update(format!("{} {} {}", data.len(), data.mtime(), data.mtime_nsec()));
    hasher.update(format!("{threads} {:?}", std::thread::available_parallelism().ok()));
    let cpu = fs::read_to_string("/proc/cpuinfo")?;
    for fact in ["vendor_id", "model name", "flags"] {
        hasher.update(cpu.lines().find(|line| line.starts_with(fact)).unwrap_or_default());
    }
    Ok(hex(&hasher.finalize()[..8]))
}

/// The bytes that this process may still write to a folder's disk.
fn free(dir: &Path) -> io::Result<u64> {
    let path = CString::new(dir.as_os_str().as_encoded_bytes())?;
    let mut found = std::mem::MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the path ends in a zero byte, the structure is this function's own to write, and all
    // zeros is a valid value of it.
    #[allow(unsafe_code)]
    let (failed, found) = unsafe {
        let failed = libc::statvfs(path.as_ptr(), found.as_mut_ptr()) != 0;
        (failed, found.assume_init())
    };
    if failed {
        return Err(io::Error::last_os_error());
    }
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// The programs of a folder, one that was being written included: names and paths.
fn programs(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) {
            found.push((name, entry.path()));
        }
    }
    Ok(found)
}

/// Removes the programs that were made first, until the others take no more than `keep` bytes.
fn remove_oldest(dir: &Path, keep: u64) -> io::Result<()> {
    let mut found = Vec::new();
    for (_, path) in programs(dir)? {
        let data = fs::metadata(&path)?;
        found.push((data.modified()?, data.len(), path));
    }
    found.sort_by_key(|(made, ..)| std::cmp::Reverse(*made));
    let mut size = 0;
    for (_, length, path) in found {
        size += length;
        if size > keep {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// The noted checksums; none where they cannot be read.
fn checksums(dir: &Path) -> BTreeMap<String, String> {
    fs::read(dir.join(CHECKSUMS))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default()
}

fn sha256(path: &Path) -> io::Result<String> {
    Ok(Fingerprint::of_file(path)?.sha256)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            programs(dir).unwrap().into_iter().map(|(name, _)| name).collect();
        names.sort();
        names
    }

    #[test]
    fn a_program_stays_when_the_process_that_made_it_ended_well() {
        let dir = tempfile::tempdir().unwrap();
        let first = CompiledPrograms::open_dir(dir.path()).unwrap();
        fs::write(dir.path().join("xla_compile_cache__a.pb"), "program").unwrap();
        drop(first);
        drop(CompiledPrograms::open_dir(dir.path()).unwrap());
        assert_eq!(names(dir.path()), ["xla_compile_cache__a.pb"]);
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_so_is_what_was_damaged() {
        let dir = tempfile::tempdir().unwrap();
        let first = CompiledPrograms::open_dir(dir.path()).unwrap();
        fs::write(dir.path().join("xla_compile_cache__damaged.pb"), "program").unwrap();
        fs::write(dir.path().join("xla_compile_cache__whole.pb"), "program").unwrap();
        drop(first);
        fs::write(dir.path().join("xla_compile_cache__damaged.pb"), "progr").unwrap();
        fs::write(dir.path().join("xla_compile_cache__left.pb"), "program").unwrap();
        drop(CompiledPrograms::open_dir(dir.path()).unwrap());
        assert_eq!(names(dir.path()), ["xla_compile_cache__whole.pb"]);
    }

    #[test]
    fn the_programs_that_were_made_first_make_room_for_others() {
        let dir = tempfile::tempdir().unwrap();
        for (name, age) in [("new", 1), ("newest", 0), ("oldest", 3), ("old", 2)] {
            let path = dir.path().join(format!("{PREFIX}{name}.pb"));
            fs::write(&path, "program").unwrap();
            let made = std::time::SystemTime::now() - std::time::Duration::from_secs(60 * age);
            File::options().write(true).open(&path).unwrap().set_modified(made).unwrap();
        }
        remove_oldest(dir.path(), 15).unwrap();
        assert_eq!(
            names(dir.path()),
            ["xla_compile_cache__new.pb", "xla_compile_cache__newest.pb"]
        );
    }

    #[test]
    fn beside_another_process_nothing_is_removed_and_a_damaged_folder_is_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let first = CompiledPrograms::open_dir(dir.path()).unwrap();
        fs::write(dir.path().join("xla_compile_cache__new.pb"), "program").unwrap();
        drop(CompiledPrograms::open_dir(dir.path()).unwrap());
        assert_eq!(names(dir.path()), ["xla_compile_cache__new.pb"]);
        fs::write(dir.path().join("xla_compile_cache__new.pb"), "progr").unwrap();
        let error = CompiledPrograms::open_dir(dir.path()).unwrap_err();
        assert!(error.to_string().contains("new.pb is damaged"), "{error}");
        drop(first);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_done_without() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(CompiledPrograms::open(&file, &file, 0).is_none());
    }

    #[test]
    fn a_folder_whose_name_would_divide_tensorflows_flags_is_done_without() {
        let dir = tempfile::tempdir().unwrap();
        let library = dir.path().join("library");
        fs::write(&library, "1").unwrap();
        assert!(CompiledPrograms::open(&dir.path().join("plain"), &library, 0).is_some());
        assert!(CompiledPrograms::open(&dir.path().join("my cache"), &library, 0).is_none());
    }

    #[test]
    fn other_threads_and_another_library_have_other_programs() {
        let dir = tempfile::tempdir().unwrap();
        let (one, other) = (dir.path().join("one"), dir.path().join("other"));
        fs::write(&one, "1").unwrap();
        fs::write(&other, "22").unwrap();
        assert_eq!(key(&one, 2).unwrap(), key(&one, 2).unwrap());
        assert_ne!(key(&one, 2).unwrap(), key(&one, 1).unwrap());
        assert_ne!(key(&one, 2).unwrap(), key(&other, 2).unwrap());
    }
}
