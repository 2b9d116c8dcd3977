//! A sweep's folder: how it is begun, locked, and which models it keeps.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::SweepRecord;
use crate::error::{Error, Result};
use crate::files::{names, partial_path};
use crate::run::{RunMode, lock};

/// A sweep's folder, locked while this lives.
#[derive(Debug)]
pub struct SweepFolder {
    dir: PathBuf,
    /// Held for its lock.
    _lock: File,
}

impl SweepFolder {
    /// Opens and locks the folder. To overwrite a sweep removes its runs.
    ///
    /// # Errors
    ///
    /// As [`SweepFolder::check`]; the folder cannot be written; another process uses it.
    pub fn open(dir: &Path, mode: RunMode) -> Result<Self> {
        let known = Self::check(dir, mode)?;
        fs::create_dir_all(dir).map_err(|error| Error::io("create", dir, &error))?;
        let folder = Self { dir: dir.to_owned(), _lock: lock(dir)? };
        if let (Some(known), RunMode::Overwrite) = (known, mode) {
            folder.remove_runs(&known)?;
        }
        Ok(folder)
    }

    /// Refuses a folder that `mode` does not fit, and changes nothing. The record of the sweep that it
    /// holds, if it does.
    ///
    /// # Errors
    ///
    /// In mode `New` the folder holds a sweep already; in mode `Resume` it holds none. In any mode: it
    /// holds other files, or its `sweep.json` is damaged.
    pub fn check(dir: &Path, mode: RunMode) -> Result<Option<SweepRecord>> {
        if dir.join(names::SWEEP).is_file() {
            if mode == RunMode::New {
                return Err(Error::usage("the folder already holds a sweep").at(dir).hint(format!(
                    "continue it with `--resume`, replace it with `--overwrite`, or choose another \
                     `--output` than {}",
                    dir.display()
                )));
            }
            return SweepRecord::read(dir).map(Some);
        }
        if mode == RunMode::Resume {
            return Err(Error::usage("there is no sweep to resume")
                .at(dir)
                .hint("to start one, leave out `--resume`"));
        }
        let is_other = |entry: std::io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.file_name() != names::LOCK)
        };
        if fs::read_dir(dir).is_ok_and(|mut entries| entries.any(is_other)) {
            return Err(Error::usage("the folder is not empty and holds no sweep")
                .at(dir)
                .hint("choose another `--output`"));
        }
        Ok(None)
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Removes the runs of an earlier sweep, its record last.
    fn remove_runs(&self, record: &SweepRecord) -> Result<()> {
        for run in &record.runs {
            let path = self.dir.join(&run.folder);
            if path.join(names::RUN_RECORD).is_file() {
                drop(lock(&path)?); // Refused while another process trains there.
                fs::remove_dir_all(&path).map_err(|error| Error::io("remove", &path, &error))?;
            }
            // The folder of the seeds, once it is empty.
            if let Some(parent) = path.parent().filter(|parent| *parent != self.dir) {
                let _ = fs::remove_dir(parent);
            }
        }
        let path = self.dir.join(names::SWEEP);
        fs::remove_file(&path).map_err(|error| Error::io("remove", &path, &error))
    }

    /// Removes the models of runs, and keeps everything else of them. How many there were.
    ///
    /// # Errors
    ///
    /// One cannot be removed.
    pub fn remove_models<'a>(&self, runs: impl Iterator<Item = &'a Path>) -> Result<usize> {
        let mut removed = 0;
        for run in runs {
            let model = self.dir.join(run).join(names::MODEL);
            if !model.is_dir() {
                continue;
            }
            // Renamed first: half of a model never counts as one.
            let retired = partial_path(&model);
            let _ = fs::remove_dir_all(&retired);
            fs::rename(&model, &retired)
                .and_then(|()| fs::remove_dir_all(&retired))
                .map_err(|error| Error::io("remove", &model, &error))?;
            removed += 1;
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{PlannedRun, SweepRun};
    use super::*;

    fn record(folders: &[&str]) -> SweepRecord {
        let run = |folder: &&str| {
            SweepRun::pending(&PlannedRun {
                settings: Vec::new(),
                seed: None,
                folder: folder.into(),
            })
        };
        SweepRecord {
            tfbert_version: String::new(),
            task: "sst2".into(),
            command: Vec::new(),
            directory: None,
            data_dir: None,
            best: None,
            runs: folders.iter().map(run).collect(),
        }
    }

    #[test]
    fn a_folder_is_begun_once_and_resumed_only_if_it_holds_a_sweep() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        let refused = |mode| SweepFolder::check(dir, mode).unwrap_err().what().to_owned();
        assert_eq!(refused(RunMode::Resume), "there is no sweep to resume");
        drop(SweepFolder::open(dir, RunMode::New).unwrap());
        record(&[]).write(dir).unwrap();
        assert_eq!(refused(RunMode::New), "the folder already holds a sweep");
        assert!(SweepFolder::check(dir, RunMode::Resume).unwrap().is_some());
        fs::write(dir.join(names::SWEEP), "{").unwrap();
        assert!(refused(RunMode::Overwrite).contains("cannot be read"));
        fs::remove_file(dir.join(names::SWEEP)).unwrap();
        fs::write(dir.join("letter.txt"), "").unwrap();
        for mode in [RunMode::New, RunMode::Overwrite] {
            assert_eq!(refused(mode), "the folder is not empty and holds no sweep");
        }
    }

    #[test]
    fn overwriting_removes_the_runs_of_the_sweep_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        for run in ["a/seed-1", "b", "own"] {
            fs::create_dir_all(dir.join(run)).unwrap();
            fs::write(dir.join(run).join(names::RUN_RECORD), "").unwrap();
        }
        record(&["a/seed-1", "b", "c"]).write(dir).unwrap();
        drop(SweepFolder::open(dir, RunMode::Overwrite).unwrap());
        assert!(!dir.join("a").exists() && !dir.join("b").exists());
        assert!(dir.join("own").join(names::RUN_RECORD).exists());
        assert!(!dir.join(names::SWEEP).exists());
    }

    #[test]
    fn models_are_removed_and_results_stay() {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().join("a");
        fs::create_dir_all(run.join(names::MODEL)).unwrap();
        fs::write(run.join(names::RESULT), "").unwrap();
        let folder = SweepFolder::open(&run, RunMode::New);
        assert!(folder.is_err(), "a folder of something else");
        let sweep = dir.path().join("sweep");
        let folder = SweepFolder::open(&sweep, RunMode::New).unwrap();
        fs::rename(&run, sweep.join("a")).unwrap();
        let paths = [Path::new("a"), Path::new("never-begun")];
        assert_eq!(folder.remove_models(paths.into_iter()).unwrap(), 1);
        assert!(sweep.join("a").join(names::RESULT).exists());
        assert_eq!(fs::read_dir(sweep.join("a")).unwrap().count(), 1);
    }
}
