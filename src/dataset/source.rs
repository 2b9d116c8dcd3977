//! Where examples come from: one file of a task.

use std::path::{Path, PathBuf};

use super::dev_rows::DevRows;
use super::{Dataset, Example, Labels, reader};
use crate::error::{Error, Result};
use crate::task::{Part, Split, Task, source};

/// One file of a task, and what of it is read.
#[derive(Debug, Clone, Copy)]
pub struct DataSource<'a> {
    /// The task.
    pub task: &'a Task,
    /// The file.
    pub split: &'a Split,
    /// The folder of all data sets.
    pub data_dir: &'a Path,
    /// The task's labels, from [`Labels::of_task`]; empty for heads without names of labels.
    pub labels: &'a Labels,
    /// How many examples are read at most; all of them where absent.
    pub limit: Option<usize>,
}

/// How far reading has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Examples that were read.
    pub examples: usize,
    /// Bytes of the file that were read.
    pub bytes: u64,
}

/// Examples in one of the parts of [`DataSource::read_in_parts`].
const PART: usize = 4096;

impl DataSource<'_> {
    /// The path of the file, checked to exist.
    ///
    /// # Errors
    ///
    /// The file or its folder is missing; the hint names what to set.
    pub fn path(&self) -> Result<PathBuf> {
        find(self.task, self.split, self.data_dir)
    }

    /// Reads all examples, or as many as the limit. What was repaired on the way is logged.
    ///
    /// # Errors
    ///
    /// A file that is missing, empty or has a bad row; the error names the line.
    pub fn read(&self) -> Result<Dataset> {
        let mut all = self.empty(self.path()?);
        let path = all.path.clone();
        let repairs = self.read_each(&path, |example, _| {
            all.examples.push(example);
            Ok(())
        })?;
        log_repairs(&path, &repairs);
        Ok(all)
    }

    /// Reads as [`DataSource::read`] does, and gives the dataset away in parts, in order, so that
    /// only one is in memory: [`PART`] examples, and what then follows about the same passage.
    /// Returns what was repaired on the way, for [`log_repairs`].
    ///
    /// # Errors
    ///
    /// Those of [`DataSource::read`], and those of `take`.
    pub fn read_in_parts(
        &self,
        mut take: impl FnMut(&Dataset, Position) -> Result<()>,
    ) -> Result<Vec<String>> {
        let mut part = self.empty(self.path()?);
        let path = part.path.clone();
        let mut last = Position::default();
        let repairs = self.read_each(&path, |example, position| {
            let examples = &mut part.examples;
            if examples.len() >= PART && !examples.last().is_some_and(|l| l.same_passage(&example))
            {
                take(&part, last)?;
                part.examples.clear();
            }
            part.examples.push(example);
            last = position;
            Ok(())
        })?;
        take(&part, last)?;
        Ok(repairs)
    }

    fn empty(&self, path: PathBuf) -> Dataset {
        Dataset { path, examples: Vec::new(), split: self.split.name.clone() }
    }

    fn read_each(
        &self,
        path: &Path,
        mut each: impl FnMut(Example, Position) -> Result<()>,
    ) -> Result<Vec<String>> {
        let (task, split, labels) = (self.task, self.split, self.labels);
        let part = task.part_of(split);
        let dev =
            part.map(|(rule, _)| DevRows::draw(task, split, path, labels, rule)).transpose()?;
        let is_read = |number| match (&dev, part) {
            (Some(dev), Some((_, part))) => dev.contains(number) == (part == Part::Dev),
            _ => true,
        };
        let mut reader = reader::open(task, split, path, labels)?;
        let limit = self.limit.unwrap_or(usize::MAX);
        let (mut examples, mut number) = (0, 0);
        while examples < limit {
            let Some(example) = reader.next_example()? else { break };
            number += 1;
            if !is_read(number - 1) {
                continue;
            }
            examples += 1;
            each(example, Position { examples, bytes: reader.bytes_read() })?;
        }
        if examples > 0 {
            return Ok(reader.repairs());
        }
        Err(Error::new(format!("no examples in it; expected {}", self.task.format.row_name()))
            .at(path)
            .hint("see the file's expected form with `tfbert tasks --show NAME`"))
    }
}

/// Logs what was done about a file's known flaws (see [`Repairs`](crate::task::Repairs)).
pub fn log_repairs(path: &Path, repairs: &[String]) {
    for repair in repairs {
        log::warn!("{}: {repair}", path.display());
    }
}

/// The path of a split's file, checked to exist.
///
/// # Errors
///
/// The file or its folder is missing; the hint names what to set.
pub(super) fn find(task: &Task, split: &Split, data_dir: &Path) -> Result<PathBuf> {
    let path = task.path(split, data_dir);
    if path.is_file() {
        return Ok(path);
    }
    let what =
        if path.symlink_metadata().is_ok() { "is not a regular file" } else { "is not there" };
    let fetch = match source(&task.name) {
        Some(_) if task.base.is_none() => {
            let folder = match data_dir == Path::new("data") {
                true => String::new(),
                false => format!(" --data-dir {}", data_dir.display()),
            };
            format!("fetch it with `tfbert data fetch {}{folder}`, or ", task.name)
        }
        _ => String::new(),
    };
    Err(Error::new(format!("the {} file of task `{}` {what}", split.name, task.name))
        .at(&path)
        .hint(format!(
            "{fetch}name the folder that holds the data sets with `--data-dir DIR` or the variable \
             `TFBERT_DATA`"
        )))
}
